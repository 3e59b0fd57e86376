"""Roles against operations: what the code does on storage is allowed where it does it, and nothing else is.

The operations are read from the app's modules: calls of methods that the storage SDK's clients have. One that is not
in the tables below is a finding, so that a new operation brings its role along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import BlobClient, ContainerClient

from infra.checks.finding import Finding
from infra.checks.project import MAIN, SUBSCRIPTION_TYPE, is_open, referred_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Case, Project, Resource

#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOB_OWNER: Final = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
TABLE_CONTRIBUTOR: Final = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"
TABLE_READER: Final = "76199698-9eea-4c19-bc75-cec21354c6b6"
METRICS_PUBLISHER: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
EVENT_SENDER: Final = "d5a91429-5739-47e2-a06b-3470a27159e7"
NAMES: Final = {
    BLOB_OWNER: "Storage Blob Data Owner",
    BLOB_CONTRIBUTOR: "Storage Blob Data Contributor",
    BLOB_READER: "Storage Blob Data Reader",
    TABLE_CONTRIBUTOR: "Storage Table Data Contributor",
    TABLE_READER: "Storage Table Data Reader",
    METRICS_PUBLISHER: "Monitoring Metrics Publisher",
    EVENT_SENDER: "EventGrid Data Sender",
}
_READS: Final = {"get_blob_properties", "list_blob_names", "list_blobs", "download_blob"}
_WRITES: Final = {"upload_blob", "delete_blob", "create_container"}
_TABLE: Final = {"create_table", "get_entity", "query_entities", "submit_transaction", "create_entity", "update_entity"}
#: Names that the SDK's clients share with everything else, and such as need no role.
_NO_OPERATION: Final = {"close", "from_connection_string", "get_blob_client", "get_container_client"}
#: Writing blobs, and reading what is in them, is for this module only, in its own container.
_QUARANTINE: Final = "shared/azure/quarantine_bodies.py"


@dataclass(frozen=True, slots=True)
class Need:
    """A role that must be there.

    Attributes:
        principal: Whose: the id of the identity, or of the topic that has one; of a person the object id.
        role: Its id.
        scope: On what.
        why: The operation that needs it.
    """

    principal: str
    role: str
    scope: str
    why: str


def check(project: Project) -> Iterator[Finding]:
    """Check the roles of all scenarios."""
    reads, writes, tables, unknown = _operations(project)
    yield from unknown
    for case in project.cases:
        identity = _identity(case)
        if identity is None:
            yield case.app.finding("the app has no user-assigned identity")
            continue
        needs = [*_app_needs(case, identity, reads, writes, tables), *_topic_needs(case)]
        yield from _compare(case, needs)


def _operations(project: Project) -> tuple[str, str, str, list[Finding]]:
    """Return an example of each kind of operation in the code ("" where there is none), and what is not known."""
    public = {
        name
        for client in (BlobClient, ContainerClient, TableClient)
        for name in dir(client)
        if not name.startswith("_")
    }
    found: dict[str, str] = {}
    unknown = []
    for module, calls in project.calls.items():
        if not any(name.startswith(("azure.storage", "azure.data")) for name in calls.imports):
            continue
        for name, line, _ in calls.methods:
            if name in _WRITES and module != _QUARANTINE:
                unknown.append(Finding(f"{module}:{line}", f"roles: {name} outside of the quarantine has no role"))
            if name == "download_blob" and module != _QUARANTINE:
                text = "roles: the app reads no image, although its role would let it (docs/security.md)"
                unknown.append(Finding(f"{module}:{line}", text))
            for kind, names in (("reads", _READS), ("writes", _WRITES), ("tables", _TABLE)):
                if name in names and not (kind == "reads" and module == _QUARANTINE):
                    found.setdefault(kind, f"{name} in {module}")
            if name in public - _READS - _WRITES - _TABLE - _NO_OPERATION:
                unknown.append(Finding(f"{module}:{line}", f"roles: which role does {name} need? (rules/roles.py)"))
    return found.get("reads", ""), found.get("writes", ""), found.get("tables", ""), unknown


def _identity(case: Case) -> str | None:
    assigned = case.app.body.get("identity", {}).get("userAssignedIdentities", {})
    return next(iter(assigned), None)


def _host_account(case: Case) -> str:
    name = case.settings.get("AzureWebJobsStorage__accountName")
    return next((each.id for each in case.made("Microsoft.Storage/storageAccounts") if each.name == name), "")


def _app_needs(case: Case, app: str, reads: str, writes: str, tables: str) -> Iterator[Need]:
    account, host = case.storage_id, _host_account(case)
    if reads:
        yield Need(app, BLOB_READER, account, reads)
    if tables:
        yield Need(app, TABLE_CONTRIBUTOR, account, tables)
    if writes:
        container = f"{account}/blobServices/default/containers/{case.settings.get('QUARANTINE_CONTAINER')}"
        yield Need(app, BLOB_CONTRIBUTOR, container, writes)
    yield Need(app, BLOB_OWNER, host, "the host's locks, keys and package (AzureWebJobsStorage)")
    yield Need(app, TABLE_CONTRIBUTOR, host, "the host's diagnostic events")
    for each in case.made("Microsoft.Insights/components"):
        yield Need(app, METRICS_PUBLISHER, each.id, "telemetry without a key")
    if case.announced_to:
        yield Need(app, EVENT_SENDER, case.announced_to, "STATUS_TOPIC_ENDPOINT")


def _topic_needs(case: Case) -> Iterator[Need]:
    for each in case.made(SUBSCRIPTION_TYPE):
        topic = each.id.partition("/eventSubscriptions/")[0]
        letters = each.properties.get("deadLetterWithResourceIdentity", {}).get("deadLetterDestination", {})
        where = letters.get("properties", {})
        scope = f"{where.get('resourceId')}/blobServices/default/containers/{where.get('blobContainerName')}"
        identity = each.properties.get("deadLetterWithResourceIdentity", {}).get("identity", {})
        yield Need(identity.get("userAssignedIdentity", topic), BLOB_CONTRIBUTOR, scope, "dead letters")
        made = [found for found in case.made("Microsoft.EventGrid/systemTopics") if found.id == topic]
        if any(found.body.get("identity", {}).get("type") != "SystemAssigned" for found in made):
            yield Need(f"the identity of {topic}", BLOB_CONTRIBUTOR, scope, "the topic has no identity")


def _compare(case: Case, needs: list[Need]) -> Iterator[Finding]:
    given: dict[tuple[str, str, str], Resource] = {}
    for each in case.made("Microsoft.Authorization/roleAssignments"):
        role = str(each.properties.get("roleDefinitionId")).rpartition("/")[2]
        if role not in NAMES:
            yield each.finding(f"roles: {role} is no role that anything here needs")
        given[(_principal(each), role, each.scope_id)] = each
    for need in needs:
        if (need.principal, need.role, need.scope) not in given:
            where = need.scope.rpartition("/providers/")[2]
            text = f"roles ({case.name}): {NAMES[need.role]} on {where} is missing; needed for {need.why}"
            yield Finding(MAIN, text)
    wanted = {(need.principal, need.role, need.scope) for need in needs}
    for (principal, role, scope), each in given.items():
        is_person = not is_open(each.properties.get("principalId"))
        if (principal, role, scope) not in wanted and role in NAMES and not is_person:
            where = scope.rpartition("/providers/")[2]
            text = f"roles ({case.name}): {NAMES[role]} on {where} is more than the operations need"
            yield each.finding(text)


def _principal(assignment: Resource) -> str:
    named = str(assignment.properties.get("principalId"))
    return referred_to(named) or named
