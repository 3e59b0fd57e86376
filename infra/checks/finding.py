"""One thing that is wrong, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What a check found.

    Attributes:
        file: The file, relative to the project.
        line: From 1, or 0 for the file as a whole.
        message: Names what is wrong and what would be right.
    """

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class CheckError(Exception):
    """The check cannot go on here; carries the finding.

    Args:
        finding: What stopped it.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding
