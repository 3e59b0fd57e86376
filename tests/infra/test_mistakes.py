"""`make check-infra` is green, and red for each mistake that is made here on purpose, naming it."""

from __future__ import annotations

import re
import shutil

import pytest

from infra.checks import run
from infra.checks.__main__ import main
from infra.checks.finding import CheckError, Finding
from infra.checks.run import check

MAIN, EVENTS = "infra/main.bicep", "infra/events.bicep"
APP, ALERTS = "infra/app/function-app.bicep", "infra/app/alerts.bicep"
ACCESS, HOST = "infra/app/data-access.bicep", "infra/app/host-storage.bicep"
LETTERS, DATA = "infra/app/dead-letters.bicep", "infra/app/data-storage.bicep"
HOOK, HOOK_PS = "infra/hooks/postdeploy.sh", "infra/hooks/postdeploy.ps1"

#: What: (file, what stands there, what is put there, what must be said).
MISTAKES = {
    # The language
    "brace-missing": (APP, "    reserved: true // Linux\n  }", "    reserved: true // Linux", "syntax"),
    "quote-missing": (EVENTS, "endpointType: 'AzureFunction'", "endpointType: 'AzureFunction", "syntax"),
    "undefined-symbol": (MAIN, "name: functionAppName\n", "name: functionName\n", "functionName is not declared"),
    "undefined-function": (MAIN, "toLower(uniqueString(", "toLowerCase(uniqueString(", "function toLowerCase"),
    "unused-parameter": (
        MAIN,
        "param alertEmail",
        "param mail string = ''\nparam alertEmail",
        "param mail is never used",
    ),
    "unused-variable": (ACCESS, "resource account", "var spare = 1\n\nresource account", "var spare is never used"),
    "declared-twice": (EVENTS, "param appName string", "param appName string\nparam appName string", "declared twice"),
    "module-parameter-missing": (MAIN, "    planName: 'plan-${token}'\n", "", "parameter planName of .* is missing"),
    "module-parameter-unknown": (MAIN, "    planName:", "    planTitle:", "has no parameter planTitle"),
    "module-output-unknown": (MAIN, "identity.outputs.clientId", "identity.outputs.appId", "has no output appId"),
    "module-file-missing": (MAIN, "'app/identity.bicep'", "'app/identities.bicep'", "there is no file app/identities"),
    "parameter-type": (MAIN, "maxWaitSeconds int = 60", "maxWaitSeconds int = '60'", "maxWaitSeconds is int, not '60'"),
    "decorator-misspelt": (MAIN, "@minValue(10)", "@minimumValue(10)", "@minimumValue does not exist"),
    "read-differently": (
        MAIN,
        "!empty(statusTopicName) ? statusTopic!.outputs.endpoint : ''",
        "empty(statusTopicName) ? '' : statusTopic!.outputs.endpoint",
        "put parentheses",
    ),
    # Schemas
    "property-misspelt": (
        APP,
        "perInstanceConcurrency:",
        "perInstanceConcurency:",
        "perInstanceConcurency does not exist",
    ),
    "property-misplaced": (
        APP,
        "    httpsOnly: true\n",
        "    functionTimeout: 600\n    httpsOnly: true\n",
        "functionTimeout does not",
    ),
    "property-type": (HOST, "allowBlobPublicAccess: false", "allowBlobPublicAccess: 'false'", "is bool, not 'false'"),
    "value-unknown": (EVENTS, "'StringBeginsWith'", "'StringStartsWith'", "operatorType is one of .*StringBeginsWith"),
    "required-missing": (LETTERS, "    principalId: topic.identity.principalId\n", "", "principalId is missing"),
    "version": (
        HOST,
        "storageAccounts@2025-01-01' = ",
        "storageAccounts@2021-01-01' = ",
        "schema here is of 2025-01-01",
    ),
    "alert-property": (ALERTS, "evaluationFrequency: alert.", "frequency: alert.", "frequency does not exist"),
    # Settings
    "setting-not-set": (MAIN, re.compile(r" *STORAGE__tableServiceUri: .*\n"), "", "STORAGE__tableServiceUri= must be"),
    "setting-unknown": (
        MAIN,
        "MAX_WAIT_SECONDS:",
        "MAXIMUM_WAIT_SECONDS:",
        "the app does not read MAXIMUM_WAIT_SECONDS",
    ),
    "setting-wrong": (MAIN, "'0 */15 * * * *'", "'every quarter'", "RECONCILE_SCHEDULE=every quarter"),
    "identity-not-named": (MAIN, re.compile(r" *STORAGE__clientId: .*\n"), "", "STORAGE__clientId is not set"),
    "listing-on-each-start": (MAIN, "        RECONCILE_ON_START: 'false'\n", "", "RECONCILE_ON_START must be set"),
    "connection-string": (
        APP,
        "AzureWebJobsStorage__accountName: hostStorageName",
        "AzureWebJobsStorage: hostStorageName",
        "AzureWebJobsStorage is a connection string",
    ),
    "secret": (
        MAIN,
        "STORAGE__clientId: identity.outputs.clientId",
        "STORAGE__clientId: 'AccountKey=x'",
        "holds a secret",
    ),
    "not-on-flex": (
        APP,
        "AzureWebJobsStorage__credential:",
        "FUNCTIONS_WORKER_RUNTIME: 'python'\n    AzureWebJobsStorage__credential:",
        "FUNCTIONS_WORKER_RUNTIME is not allowed on Flex",
    ),
    "events-from-anywhere": (MAIN, re.compile(r" *EVENT_TOPICS: .*\n"), "", "EVENT_TOPICS must name the account"),
    "telemetry-without-identity": (
        APP,
        "    APPLICATIONINSIGHTS_CLIENT_ID: identityClientId\n",
        "",
        "APPLICATIONINSIGHTS_CLIENT_ID is not set",
    ),
    # Limits
    "timeout-too-short": ("host.json", '"00:10:00"', '"00:05:00"', "functionTimeout is 300 s, and MAX_STREAM_SECONDS"),
    "wait-above-timeout": ("host.json", '"00:10:00"', '"00:03:20"', "functionTimeout is 200 s, and MAX_WAIT_SECONDS"),
    "stream-above-app": (
        MAIN,
        "maxStreamSeconds int = 180",
        "maxStreamSeconds int = 700",
        "700 is outside of 1 to 480",
    ),
    "waiters-below-concurrency": (
        MAIN,
        "maxWaiters int = 1200",
        "maxWaiters int = 500",
        r"MAX_WAITERS \(500\) is below",
    ),
    "concurrency-default": (
        APP,
        re.compile(r"triggers: \{\n.*\n *\}"),
        "triggers: {}",
        "perInstanceConcurrency is not",
    ),
    "batch-of-one": (EVENTS, "maxEventsPerBatch int = 99", "maxEventsPerBatch int = 1", "maxEventsPerBatch is 1, not"),
    "retry-too-often": (EVENTS, "maxDeliveryAttempts: 30", "maxDeliveryAttempts: 50", "maxDeliveryAttempts is 50, not"),
    "python-version": (APP, "version: '3.13'", "version: '3.12'", "not python 3.13"),
    # Filters
    "filter-misses-folder": (
        EVENTS,
        "[queuedFolder, inputFolder, outputFolder]",
        "[queuedFolder, inputFolder]",
        "concerns",
    ),
    "filter-ignores-prefix": (
        EVENTS,
        "/blobs/${areExact[i] ? prefixes[i] : ''}'",
        "/blobs/'",
        "filter: BlobCreated .* passes blob-status",
    ),
    "filter-slash-twice": (EVENTS, "part => '${part}/')", "part => '/${part}/')", "concerns the counts and passes no"),
    "filter-without-blobs": (
        EVENTS,
        "/blobs/${areExact[i] ? prefixes[i] : ''}'",
        "/${areExact[i] ? prefixes[i] : ''}'",
        "must hold /blobs/",
    ),
    "event-type-missing": (
        EVENTS,
        "        'Microsoft.Storage.BlobDeleted'\n",
        "",
        "BlobDeleted of .* concerns the counts",
    ),
    "moves-filtered-by-path": (
        EVENTS,
        "        'Microsoft.Storage.DirectoryDeleted'\n      ]\n",
        "        'Microsoft.Storage.DirectoryDeleted'\n      ]\n      subjectEndsWith: '.jpg'\n",
        "concerns the counts and passes no subscription",
    ),
    "dead-letters-in-filter": (MAIN, "= 'eventgrid-dead-letters'", "= 'queued'", "must be outside of all filters"),
    "quarantine-in-folder": (
        MAIN,
        "= 'eventgrid-quarantine'",
        "= 'input'",
        "QUARANTINE_CONTAINER=input is the container",
    ),
    "no-dead-letters": (
        EVENTS,
        "    deadLetterWithResourceIdentity: deadLetters\n",
        "",
        "no dead letters by the topic's",
    ),
    "function-unknown": (EVENTS, "'on_blob_event'", "'on_blob_events'", "has no Event Grid function 'on_blob_events'"),
    # Roles
    "role-missing-table": (
        ACCESS,
        "[blobReaderRole, tableContributorRole]",
        "[blobReaderRole]",
        "Table Data .* is missing",
    ),
    "role-missing-quarantine": (
        ACCESS,
        "scope: quarantine\n",
        "scope: account\n",
        r"Blob Data Contributor on .*eventgrid-quarantine is missing; needed for",
    ),
    "role-too-wide": (
        ACCESS,
        "for role in [blobReaderRole",
        "for role in [blobContributorRole",
        "is more than the oper",
    ),
    "role-missing-topic": (LETTERS, "scope: deadLetters\n", "scope: account\n", "needed for dead letters"),
    "role-missing-host": (
        HOST,
        "[blobOwnerRole, tableContributorRole]",
        "[tableContributorRole]",
        "Data Owner .* is miss",
    ),
    "role-missing-sender": (
        "infra/app/status-topic.bicep",
        "scope: topic\n",
        "",
        "EventGrid Data Sender on .* is missing; needed for STATUS_TOPIC_ENDPOINT",
    ),
    "role-unknown": (ACCESS, "2a2b9908-6ea1", "2a2b9908-0000", "is no role that anything here needs"),
    "operation-without-role": (
        "shared/azure/heads.py",
        "await blob.get_blob_properties(",
        "await blob.set_blob_metadata(",
        "which role does set_blob_metadata need",
    ),
    # Queries
    "query-table-misspelt": (
        ALERTS,
        "'AppRequests |",
        "'AppRequest |",
        "'AppRequest' does not refer to any known table",
    ),
    "query-column-misspelt": (ALERTS, "sum(ItemCount)", "sum(ItemsCount)", "'ItemsCount' does not refer to any known"),
    "query-type": (ALERTS, "toint(ResultCode) >= 500", "ResultCode >= 500", "not defined for the operand types string"),
    "query-syntax": (ALERTS, "| summarize requests", "| sumarize requests", "Query operator expected"),
    # Accounts, alerts, azd
    "shared-key": (
        DATA,
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess must be false",
    ),
    "telemetry-key": (
        "infra/app/monitoring.bicep",
        "    DisableLocalAuth: true\n",
        "",
        "DisableLocalAuth must be true",
    ),
    "alert-missing": (
        ALERTS,
        "metric: 'DeadLetteredCount'",
        "metric: 'MatchedEventCount'",
        "nothing tells of dead letters",
    ),
    "alert-wrong-line": (ALERTS, '"event quarantined: "', '"quarantined event: "', "the app logs no line that begins"),
    "alert-wrong-function": (ALERTS, '"get_status"', '"getStatus"', "there is no function getStatus"),
    "alert-wrong-metric": (
        ALERTS,
        "blob_status.quarantine.size",
        "quarantine_size",
        "the app measures no quarantine_size",
    ),
    "alert-sampled-away": (APP, "'Request;Trace;Exception'", "'Request'", "their lines may be sampled away"),
    "service-untagged": (APP, "{ 'azd-service-name': 'app' }", "{ service: 'app' }", "services are .*'app'"),
    "hook-wrong-variable": (HOOK, '"$TOPIC_NAME"', '"$SYSTEM_TOPIC"', "has no output SYSTEM_TOPIC"),
    "hook-parameter-missing": (
        HOOK_PS,
        re.compile(r'    "inputFolder=.*\n'),
        "",
        "parameter inputFolder of .* is missing",
    ),
    "parameter-file": ("infra/main.parameters.json", '"corsOrigins"', '"cors"', "has no parameter cors"),
}


def test_green():
    """Nothing is to be mended as it stands."""
    assert main([]) == 0


def test_copy_is_green(project):
    """Nor in an untouched copy, which is what the mistakes are made in."""
    assert check(project) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_red(project, mistake):
    """Each mistake is found and named."""
    file, there, instead, said = MISTAKES[mistake]
    path = project / file
    text = path.read_text()
    changed = there.sub(instead, text) if isinstance(there, re.Pattern) else text.replace(there, instead)
    assert changed != text, "the mistake is not one: nothing changes"
    path.write_text(changed)
    found = "\n".join(map(str, check(project)))
    assert re.search(said, found), found or "nothing was found"


def test_a_rule_that_fails_hides_no_other(project, monkeypatch):
    """Neither one that cannot go on nor one that is mistaken keeps what it, or another, has found to itself."""
    (project / HOOK).chmod(0o644)
    said = Finding("x", 1, "found before")

    def stops(_):
        yield said
        raise CheckError(Finding("x", 2, "cannot go on"))

    def is_mistaken(_):
        yield from {}["what nobody has set"]

    monkeypatch.setattr(run, "ALL", [stops, is_mistaken, *run.ALL])
    found = check(project)
    assert {said, Finding("x", 2, "cannot go on")} <= set(found)
    assert any("the rule itself fails: KeyError" in str(each) for each in found)
    assert any("chmod +x" in str(each) for each in found)


def test_hook_not_executable(project):
    """A hook that cannot be executed is found."""
    (project / HOOK).chmod(0o644)
    assert any("chmod +x" in str(each) for each in check(project))


def test_no_main(project, capsys):
    """Without main.bicep the exit code is 1."""
    shutil.rmtree(project / "infra")
    assert main([str(project)]) == 1
    assert "infra/main.bicep: is not there" in capsys.readouterr().out
