"""What neither a compiler nor Azure can know: whether infrastructure and app agree. One module a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.checks.rules import accounts, alerts, filters, hooks, limits, queries, roles, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.checks.finding import Finding
    from infra.checks.project import Project

ALL: Final[list[Callable[[Project], Iterator[Finding]]]] = [
    settings.check,
    limits.check,
    filters.check,
    roles.check,
    accounts.check,
    alerts.check,
    queries.check,
    hooks.check,
]
