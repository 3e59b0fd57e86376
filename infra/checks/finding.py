"""One thing that is wrong, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What a check found.

    Attributes:
        where: A file relative to the project, with its line if there is one; or the name of a case.
        message: Names what is wrong and what would be right.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class CheckError(Exception):
    """The check cannot go on here; carries what stopped it.

    Args:
        findings: At least one.
    """

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
