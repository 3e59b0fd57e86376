"""What must hold of every storage account, app and telemetry component that is made here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.finding import Finding
    from infra.checks.project import Case, Project

_WANTED: Final[dict[str, dict[str, object]]] = {
    "Microsoft.Storage/storageAccounts": {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "supportsHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
    },
    "Microsoft.Web/sites": {"httpsOnly": True},
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
}


def check(project: Project) -> Iterator[Finding]:
    """Check all scenarios."""
    for case in project.cases:
        for kind, wanted in _WANTED.items():
            for each in case.made(kind):
                for name, value in wanted.items():
                    found = each.properties.get(name)
                    if found != value:
                        text = f"{name} must be {str(value).lower()}, not {str(found).lower()}"
                        yield each.finding(text)
        yield from _check_plan(case)


def _check_plan(case: Case) -> Iterator[Finding]:
    for plan in case.made("Microsoft.Web/serverfarms"):
        if plan.body.get("sku") != {"name": "FC1", "tier": "FlexConsumption"}:
            yield plan.finding(f"the plan is {plan.body.get('sku')}, not Flex Consumption (FC1)")
