"""What was written: text under a label, and log files, given out once, in whole lines, to be searched."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from tests.leaks import secrets

KILOBYTE: Final = 1024


class Exempt(NamedTuple):
    """Lines that may hold a secret.

    Attributes:
        label: Of the text: what it contains.
        lines: Which of its lines.
        reason: Why.
    """

    label: str
    lines: re.Pattern[bytes]
    reason: str


#: As few as possible.
EXEMPT: Final = (
    Exempt(
        "-m localdev.up",
        re.compile(rb"^  storage  \S+\n", re.MULTILINE),
        "`make dev` tells the developer how to reach the storage that it has just made, with Azurite's published key",
    ),
    Exempt(
        "200 to GET /config.json",
        re.compile(rb'"sas": "[^"]*"'),
        "the live page of `make dev` is given a SAS for that storage, to upload with",
    ),
)


class Text:
    """Something that is being written, bit by bit, from any thread.

    Args:
        kind: What it counts as.
        label: Where it was written.
    """

    def __init__(self, kind: str, label: str) -> None:
        self.kind = kind
        self.label = label
        self.is_over = False
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Write."""
        self._parts.append(part)

    def take(self, *, all: bool) -> bytes:
        """Return what is new, but for a line that is not whole yet, which may hold half of a secret."""
        is_over = all or self.is_over
        count = len(self._parts)
        data = b"".join(self._parts[:count])
        end = len(data) if is_over else data.rfind(b"\n") + 1
        self._parts[:count] = [data[end:]] if end < len(data) else []
        return data[:end]


class LogFile:
    """A file that a process writes its output to.

    Args:
        path: The file.
    """

    kind = "log file"
    is_over = False

    def __init__(self, path: Path) -> None:
        self.label = str(path)
        self._path = path
        self._read_bytes = 0

    def take(self, *, all: bool) -> bytes:
        """Return what is new, as :meth:`Text.take` does. A file that is gone cannot be searched, which is an error."""
        if self._path.stat().st_size == self._read_bytes:
            return b""
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        end = len(data) if all else data.rfind(b"\n") + 1
        self._read_bytes += end
        return data[:end]


class Written:
    """All that has been written, and what was found in it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.leaks = 0
        self._open: list[Text | LogFile] = []
        self._paths: set[Path] = set()
        self._reported: set[tuple[str, str, str]] = set()

    def text(self, kind: str, label: str, data: bytes = b"", *, is_over: bool = False) -> Text:
        """Begin a text; one that is over is searched to its end, and forgotten then."""
        made = Text(kind, label)
        made.add(data)
        made.is_over = is_over
        self.counts[kind] += 1
        self._open.append(made)
        return made

    def log_file(self, path: Path) -> None:
        """Search a file from now on."""
        if path not in self._paths:
            self._paths.add(path)
            self.counts[LogFile.kind] += 1
            self._open.append(LogFile(path))

    def search(self, *, all: bool = False) -> list[str]:
        """Search what is new; return a line for each leak: which secret, and where. ``all``: lines that are cut too."""
        lost, new, still_open = [], [], []
        looked_at = self._open.copy()
        for each in looked_at:
            if not each.is_over:  # asked first: what is written between the two is for the next search
                still_open.append(each)
            try:
                data = each.take(all=all)
            except FileNotFoundError:
                still_open.remove(each)
                lost.append(f"a log file was removed before it was searched: {each.label}")
                continue
            if data:
                self.bytes[each.kind] += len(data)
                new.append((each, _without_exempt(each.label, data)))
        self._open[: len(looked_at)] = still_open  # others may have begun meanwhile, in other threads
        found = lost + self._found(new)
        self.leaks += len(found)
        return found

    def _found(self, new: list[tuple[Text | LogFile, bytes]]) -> list[str]:
        """Search everything at once, which is quick; only where there is something, one after the other."""
        if not secrets.found(b"\n".join(data for _, data in new)):
            return []
        leaks = {(name, each.kind, each.label) for each, data in new for name in secrets.found(data)} - self._reported
        self._reported |= leaks
        return [f"{name}, in {kind} {label}" for name, kind, label in sorted(leaks)]

    def summary(self) -> str:
        """Return what was searched for what, in one line."""
        counts, kilobytes = self.counts, sum(self.bytes.values()) // KILOBYTE
        return (
            f"secrets: {secrets.count()} secrets and {len(secrets.PATTERNS)} patterns searched for in"
            f" {counts['log record']:,} log records, {counts['response']:,} responses,"
            f" {counts['span'] + counts['metric']:,} spans and metrics, {counts['printed text']:,} printed texts,"
            f" {counts['output']:,} outputs and {counts['log file']:,} log files of {counts['process']:,} processes"
            f" ({kilobytes:,} KB): {self.leaks} leaks"
        )


def _without_exempt(label: str, data: bytes) -> bytes:
    for each in EXEMPT:
        if each.label in label:
            data = each.lines.sub(b"", data)
    return data


#: Of this run of the tests.
WRITTEN: Final = Written()
