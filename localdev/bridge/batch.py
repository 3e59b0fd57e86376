"""Blob Batch bodies: `multipart/mixed` with one HTTP message in each part. Pure.

Source: https://learn.microsoft.com/rest/api/storageservices/blob-batch (at most 256 sub-requests, 4 MiB).
"""

from __future__ import annotations

from typing import Final

from localdev.bridge.http1 import Head, ProtocolError, parse_head
from localdev.bridge.operations import Change, Mutation, Properties, change_of, classify

REQUEST_LIMIT: Final = 4 * 1024 * 1024

Found = dict[Mutation, Properties | None]


def mutations(head: Head, body: bytes) -> list[tuple[str, Mutation]]:
    """Return the mutations that a batch asks for, each with its Content-ID."""
    asked = []
    for content_id, request in _messages(head, body):
        mutation = classify(request, head.get("host"))
        if isinstance(mutation, Mutation):
            asked.append((content_id, mutation))
    return asked


def changes(asked: list[tuple[str, Mutation]], response: Head, body: bytes, found: Found) -> list[Change]:
    """Return what those mutations did, judged by the parts of the batch's response with the same Content-ID."""
    answers = dict(_messages(response, body))
    made = []
    for content_id, mutation in asked:
        answer = answers.get(content_id)
        change = change_of(mutation, answer, found.get(mutation), 0) if answer else None
        if change is not None:
            made.append(change)
    return made


def _messages(head: Head, body: bytes) -> list[tuple[str, Head]]:
    """Split a multipart body into (Content-ID, head of the message inside)."""
    boundary = head.get("content-type").partition("boundary=")[2].partition(";")[0].strip().strip('"')
    if not boundary:
        return []
    delimiter = b"--" + boundary.encode("latin-1")
    whole = body.partition(delimiter + b"--")[0]
    parts = (part.lstrip(b"\r\n") for part in whole.split(delimiter + b"\r\n")[1:])
    return [message for message in map(_message, parts) if message is not None]


def _message(part: bytes) -> tuple[str, Head] | None:
    outer, _, inner = part.partition(b"\r\n\r\n")
    try:
        # parse_head takes its first line for a start line: give it one.
        content_id = parse_head(b"PART / HTTP/1.1\r\n" + outer).get("content-id")
        return content_id, parse_head(inner.partition(b"\r\n\r\n")[0])
    except ProtocolError:
        return None
