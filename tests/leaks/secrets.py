"""What must never be written: the secrets that the tests make, and what any secret looks like; and how both are found.

Who makes a token, a key or a signature in a test registers it where it is made::

    KEY = secret("a function key", "function-key-of-this-test")

The names are what a report shows, never the values.
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

from localdev.azurite import ACCOUNT_KEY

#: Long enough to be found in nothing else, short enough that what is cut or wrapped still holds it.
FRAGMENT_CHARACTERS: Final = 24
SHORTEST: Final = 8

#: What a secret looks like, for those that nobody has registered. ``REDACTED`` is what the SDKs put in their place.
PATTERNS: Final = {
    "a JSON Web Token": re.compile(rb"eyJ[\w-]{10,}\.[\w-]+\.[\w-]*"),
    "a bearer token": re.compile(rb"[Bb]earer\s+ey[\w-]{6,}"),
    "a signature in an address": re.compile(rb"sig=(?!REDACTED)[\w%+/=-]{6,}"),
    "a key in an address": re.compile(rb"[?&]code=(?!REDACTED)[^&\s\"'<>]{4,}"),
    "a key in a connection string": re.compile(rb"AccountKey=[^;\s\"'<>]{4,}"),
    "a request's signature": re.compile(rb"SharedKey(?:Lite)? \w+:[\w+/=]{8,}"),
}

_values: dict[str, str] = {}
_fragments: dict[bytes, str] = {}


def secret(name: str, value: str) -> str:
    """Register a value that must never be written; return it.

    Args:
        name: What a report calls it.
        value: At least 8 characters: less is found in innocent text.
    """
    if len(value) < SHORTEST:
        raise ValueError(f"{name} is too short to be told from other text: make it {SHORTEST} characters or more")
    _values[value] = name
    for form in {value, quote(value, safe=""), json.dumps(value)[1:-1]}:
        for fragment in (form[:FRAGMENT_CHARACTERS], form[-FRAGMENT_CHARACTERS:]):
            _fragments[fragment.encode()] = name
    return value


def count() -> int:
    """Return how many secrets are registered."""
    return len(_values)


def found(data: bytes) -> set[str]:
    """Return the names of the secrets in some text: registered ones, whole or in part, and what looks like one."""
    names = {name for fragment, name in _fragments.items() if fragment in data}
    return names | {name for name, pattern in PATTERNS.items() if pattern.search(data)}


def masked(text: str) -> str:
    """Return some text with the names of the secrets instead of them."""
    for value, name in _values.items():
        text = text.replace(value, f"<{name}>")
    data = text.encode(errors="replace")
    for name, pattern in PATTERNS.items():
        data = pattern.sub(f"<{name}>".encode(), data)
    return data.decode()


#: Everybody knows it, but it stands for one that nobody knows: where it is written, another account's would be too.
secret("the storage account's key", ACCOUNT_KEY)
