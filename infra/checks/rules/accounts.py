"""What must hold of every storage account, app and telemetry component that is made here, and of what is in front."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from infra.checks.project import SUBSCRIPTION_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.finding import Finding
    from infra.checks.project import Case, Project, Resource

_ENDPOINTS: Final = "Microsoft.Network/privateEndpoints"
#: What has to answer whoever asks: Event Grid's deliveries bring a key of the host, the health report needs none.
_OPEN_PATHS: Final = {"/runtime/webhooks/EventGrid", "/api/health"}
#: https://learn.microsoft.com/azure/app-service/app-service-web-configure-tls-mutual-auth
_LARGEST_POST_KB: Final = 100
#: What the app and the Functions host use of an account.
_SERVICES: Final = ("blob", "table")
_WANTED: Final[dict[str, dict[str, object]]] = {
    "Microsoft.Storage/storageAccounts": {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "supportsHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
    },
    "Microsoft.Storage/storageAccounts/blobServices": {"containerDeleteRetentionPolicy": {"enabled": True}},
    "Microsoft.Web/sites": {"httpsOnly": True, "siteConfig": {"minTlsVersion": "1.2", "scmMinTlsVersion": "1.2"}},
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
                    if not _is(found, value):
                        text = f"{name} must be {str(value).lower()}, not {str(found).lower()}"
                        yield each.finding(text)
        yield from _check_plan(case)
        yield from _check_retention(case)
        yield from _check_front(case)
        for network in case.made("Microsoft.Network/virtualNetworks"):
            yield from _check_private(case, network)


def _is(found: object, wanted: object) -> bool:
    """Tell whether a value is what is wanted; an object may hold more besides."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_is(found.get(name), value) for name, value in wanted.items())
    return found == wanted


def _check_plan(case: Case) -> Iterator[Finding]:
    for plan in case.made("Microsoft.Web/serverfarms"):
        if plan.body.get("sku") != {"name": "FC1", "tier": "FlexConsumption"}:
            yield plan.finding(f"the plan is {plan.body.get('sku')}, not Flex Consumption (FC1)")


def _check_retention(case: Case) -> Iterator[Finding]:
    """Check that an account that is made here drops old events in the end, and never an image."""
    quarantine, letters = (str(case.outputs.get(name)) for name in ("QUARANTINE_CONTAINER", "DEAD_LETTER_CONTAINER"))
    for each in case.made("Microsoft.Storage/storageAccounts/managementPolicies"):
        days = {
            prefix: rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
            for rule in each.properties["policy"]["rules"]
            for prefix in rule["definition"]["filters"].get("prefixMatch", [""])
        }
        for prefix in days.keys() ^ {f"{quarantine}/", f"{letters}/"}:
            text = "nothing drops what lies in" if prefix not in days else "events are to be dropped, and not"
            yield each.finding(f"retention: {text} {prefix or 'the whole account'}")
        if days.get(f"{quarantine}/", 0) <= float(case.settings["QUARANTINE_RETENTION_DAYS"]):
            yield each.finding("retention: events must stay in quarantine for longer than the app keeps them")


def _check_front(case: Case) -> Iterator[Finding]:
    """Check that a token or a certificate is not asked of Event Grid, which has neither."""
    site, validation = case.app.properties, case.config("authsettingsV2").properties.get("globalValidation")
    if validation is not None:
        for path in _OPEN_PATHS - set(validation.get("excludedPaths", [])):
            yield case.app.finding(f"front: authentication refuses {path} unless excludedPaths has it")
        if validation.get("unauthenticatedClientAction") != "Return401":
            yield case.app.finding("front: unauthenticatedClientAction must be Return401: no phone follows a redirect")
    if site.get("clientCertEnabled"):
        for path in _OPEN_PATHS - set(str(site.get("clientCertExclusionPaths")).split(";")):
            yield case.app.finding(f"front: without a certificate {path} is refused unless it is excluded")
        for each in case.made(SUBSCRIPTION_TYPE):
            if each.properties["destination"]["properties"]["preferredBatchSizeInKilobytes"] >= _LARGEST_POST_KB:
                yield each.finding(f"front: with client certificates a delivery above {_LARGEST_POST_KB} KB is refused")


def _check_private(case: Case, network: Resource) -> Iterator[Finding]:
    """Where there is a network, whatever the app needs is in it, and the accounts are nowhere else."""
    delegated = {
        f"{network.id}/subnets/{each['name']}"
        for each in network.properties["subnets"]
        for delegation in each["properties"].get("delegations", [])
        if delegation["properties"]["serviceName"] == "Microsoft.App/environments"
    }
    if case.app.properties.get("virtualNetworkSubnetId") not in delegated:
        yield case.app.finding("network: it is not in a subnet that is delegated to Microsoft.App/environments")
    named = {
        each.id.rpartition("/privateDnsZoneGroups/")[0] for each in case.made(f"{_ENDPOINTS}/privateDnsZoneGroups")
    }
    reached = {
        (connection["properties"]["privateLinkServiceId"], service)
        for each in case.made(_ENDPOINTS)
        if each.id in named
        for connection in each.properties["privateLinkServiceConnections"]
        for service in connection["properties"]["groupIds"]
    }
    made = list(case.made("Microsoft.Storage/storageAccounts"))
    for account, service in product({case.storage_id, *(each.id for each in made)}, _SERVICES):
        if (account, service) not in reached:
            name = account.rpartition("/")[2]
            yield network.finding(f"network: no private endpoint with a name for {service} of {name}")
    for each in made:
        if each.properties.get("publicNetworkAccess") != "Disabled":
            yield each.finding("network: publicNetworkAccess must be Disabled")
        if each.id == case.storage_id and each.properties.get("networkAcls", {}).get("bypass") != "AzureServices":
            yield each.finding(
                "network: Event Grid writes dead letters as a trusted service: bypass must be AzureServices"
            )
