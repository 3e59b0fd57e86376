"""Which folder a blob counts in: a pure function of its name, the same for events, listings and filters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: The three places of the pipeline, in its order. They are what the protocol serves.
QUEUED: Final = "queued"
INPUT: Final = "input"
OUTPUT: Final = "output"
FOLDERS: Final = (QUEUED, INPUT, OUTPUT)
#: What body and frame call the three, and what else they say: no further folder can have such a name.
RESERVED: Final = frozenset(
    {*FOLDERS, *(f"{folder}_count" for folder in FOLDERS), "processing", "completed", "timestamp", "version"}
)
ANY_SUFFIX: Final = "*"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a folder's blobs are: a container, or a prefix in one.

    Attributes:
        container: The container's name.
        prefix: "" for the whole container; otherwise ends with "/".
    """

    container: str
    prefix: str = ""

    def holds(self, container: str, name: str) -> bool:
        """Tell whether a blob of this name lies here."""
        return container == self.container and name.startswith(self.prefix)

    def overlaps(self, other: Location) -> bool:
        """Tell whether a name could lie in both."""
        return self.holds(other.container, other.prefix) or other.holds(self.container, self.prefix)

    def __str__(self) -> str:
        return f"{self.container}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class CaseRule:
    """Where the case of a blob stands in its name.

    Attributes:
        text: The rule as it was set; what is counted depends on it.
        find: Returns the case in a name, less its folder's prefix; "" where it names none.
    """

    text: str
    find: Callable[[str], str] = field(compare=False)


def first_segment(name: str) -> str:
    """Return what stands before the first slash, or "" when there is none."""
    segment, slash, _ = name.partition("/")
    return segment if slash else ""


@dataclass(frozen=True, slots=True)
class FolderMap:
    """The folders' locations and the names that count as images.

    Attributes:
        locations: Folder → where it is: all of :data:`FOLDERS`, then further ones by name; no two overlapping.
        suffixes: Lower-case name endings without the dot, or ``("*",)`` for every blob.
        cases: Where a blob's case stands in its name; None: there are no counts of cases.
    """

    locations: Mapping[str, Location]
    suffixes: tuple[str, ...]
    cases: CaseRule | None = None
    _endings: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        endings = ("" if suffix == ANY_SUFFIX else f".{suffix}" for suffix in self.suffixes)
        object.__setattr__(self, "_endings", tuple(endings))

    def is_image(self, name: str) -> bool:
        """Tell whether this name counts. Directory markers (names that end in "/") never do."""
        return name.lower().endswith(self._endings) and not name.endswith("/")

    def folder_of(self, container: str, name: str) -> str | None:
        """Return the folder that this blob counts in, or None when it counts in none."""
        for folder, location in self.locations.items():
            if location.holds(container, name):
                return folder if self.is_image(name) else None
        return None

    @property
    def cases_of_paths(self) -> Callable[[str], str] | None:
        """Return :meth:`case_of`, or None where there are no counts of cases."""
        return self.case_of if self.cases is not None else None

    def case_of(self, path: str) -> str:
        """Return the case that a counted blob belongs to, or "" for none."""
        container, _, name = path.partition("/")
        for location in self.locations.values():
            if self.cases is not None and location.holds(container, name):
                return self.cases.find(name.removeprefix(location.prefix))
        return ""

    def fingerprint(self, account: str) -> str:
        """Return a short hash of all that decides what is counted; different ones must not share a tally."""
        places = (f"{folder}={location}/" for folder, location in self.locations.items())
        parts = [account, *places, *sorted(self.suffixes)]
        if self.cases is not None:
            parts.append(f"cases from {self.cases.text}")
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()


def in_order(folders: Iterable[str]) -> list[str]:
    """Return folders in the order in which they are served: the three, then further ones by name."""
    found = set(folders)
    return [*filter(found.__contains__, FOLDERS), *sorted(found.difference(FOLDERS))]


def parts_within(locations: Mapping[str, Location], wanted: Location) -> dict[str, Location]:
    """Return the parts of the folders that lie in a location, by folder."""
    return {
        folder: location if wanted.holds(location.container, location.prefix) else wanted
        for folder, location in locations.items()
        if location.overlaps(wanted)
    }
