"""`make check-infra` is green, and red for each mistake that is made here on purpose, naming it."""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from infra.checks import run, snapshots
from infra.checks.__main__ import main
from infra.checks.finding import CheckError, Finding
from infra.checks.project import Case, Project
from infra.checks.run import as_committed, check, obey_rules

ROOT = Path(__file__).parents[2]
MAIN, EVENTS = "infra/main.bicep", "infra/events.bicep"
APP, ALERTS = "infra/app/function-app.bicep", "infra/app/alerts.bicep"
ACCESS, HOST = "infra/app/data-access.bicep", "infra/app/host-storage.bicep"
LETTERS, DATA = "infra/app/dead-letters.bicep", "infra/app/data-storage.bicep"
NETWORK = "infra/app/network.bicep"
BOOK, BUDGET = "infra/app/workbook.json", "infra/app/budget.bicep"
HOOK, HOOK_PS = "infra/hooks/postdeploy.sh", "infra/hooks/postdeploy.ps1"

#: What: (file, what stands there, what is put there, what the compiler must say).
MISTAKES_IN_BICEP = {
    # The language
    "brace-missing": (APP, "    reserved: true // Linux\n  }", "    reserved: true // Linux", "BCP018"),
    "quote-missing": (EVENTS, "endpointType: 'AzureFunction'", "endpointType: 'AzureFunction", "BCP004"),
    "undefined-symbol": (MAIN, "name: functionAppName\n", "name: functionName\n", '"functionName" does not exist'),
    "undefined-function": (MAIN, "toLower(uniqueString(", "toLowerCase(uniqueString(", '"toLowerCase" does not exist'),
    "unused-parameter": (
        MAIN,
        "param alertEmail",
        "param mail string = ''\nparam alertEmail",
        '"mail" is declared but',
    ),
    "unused-variable": (ACCESS, "resource account ", "var spare = 1\n\nresource account ", '"spare" is declared but'),
    "unused-existing": (
        LETTERS,
        "resource blobs",
        "resource spare 'Microsoft.Storage/storageAccounts@2025-01-01' existing = { name: 'x' }\n\nresource blobs",
        "no-unused-existing-resources",
    ),
    "declared-twice": (EVENTS, "param appName string", "param appName string\nparam appName string", "multiple times"),
    "module-parameter-missing": (MAIN, "    planName: 'plan-${token}'\n", "", 'missing .*"planName"'),
    "module-parameter-unknown": (MAIN, "    planName:", "    planTitle:", '"planTitle" is not allowed'),
    "module-parameter-type": (MAIN, "    httpConcurrency: httpConcurrency", "    httpConcurrency: 'all'", "BCP036"),
    "module-output-unknown": (
        MAIN,
        "identity.outputs.clientId",
        "identity.outputs.appId",
        'not contain property "appId"',
    ),
    "module-file-missing": (MAIN, "'app/identity.bicep'", "'app/identities.bicep'", "Could not find file"),
    "module-scope-missing": (
        MAIN,
        "module identity 'app/identity.bicep' = {\n  scope: group\n",
        "module identity 'app/identity.bicep' = {\n",
        "BCP134",
    ),
    "module-named": (
        MAIN,
        "module alerts 'app/alerts.bicep' = {\n",
        "module alerts 'app/alerts.bicep' = {\n  name: 'alerts'\n",
        "no-module-name",
    ),
    "module-may-be-missing": (MAIN, "statusTopic!.outputs", "statusTopic.outputs", "BCP318"),
    "depends-on-too-much": (
        MAIN,
        "  dependsOn: [storage]\n",
        "  dependsOn: [storage, identity]\n",
        "no-unnecessary-dependson",
    ),
    "parameter-type": (MAIN, "maxWaitSeconds int = 60", "maxWaitSeconds int = '60'", 'Expected a value of type "int"'),
    "parameter-untyped": (HOST, "param tags { *: string }", "param tags object", "use-user-defined-types"),
    "default-not-allowed": (MAIN, "param authMode string = 'function'", "param authMode string = 'none'", "BCP033"),
    "default-too-large": (
        MAIN,
        "maxStreamSeconds int = 180",
        "maxStreamSeconds int = 700",
        "maximum allowable value is 480",
    ),
    "decorator-misspelt": (MAIN, "@minValue(10)", "@minimumValue(10)", '"minimumValue" does not exist'),
    "decorator-of-other-type": (MAIN, "@minValue(10)", "@minLength(10)", "BCP124"),
    "output-type": (
        MAIN,
        "output APP_NAME string = functionAppName",
        "output APP_NAME int = functionAppName",
        "BCP033",
    ),
    "known-too-late": (MAIN, "name: groupName", "name: monitoring.outputs.workspaceId", "BCP120|BCP080"),
    "circle": (MAIN, "    planName: 'plan-${token}'", "    planName: app.outputs.url", "BCP079|BCP080"),
    "secret-put-out": (
        HOST,
        "output name string = account.name",
        "output name string = account.name\noutput key string = account.listKeys().keys[0].value",
        "outputs-should-not-contain-secrets",
    ),
    "cloud-in-address": (
        MAIN,
        ".blob.${environment().suffixes.storage}",
        ".blob.core.windows.net",
        "no-hardcoded-env-urls",
    ),
    "region-in-resource": (HOST, "  location: location\n", "  location: 'westeurope'\n", "no-hardcoded-location"),
    "key-twice": (APP, "    httpsOnly: true\n", "    httpsOnly: true\n    httpsOnly: true\n", "BCP025"),
    # Schemas
    "property-misspelt": (
        APP,
        "perInstanceConcurrency:",
        "perInstanceConcurency:",
        '"perInstanceConcurency" is not allowed',
    ),
    "property-misplaced": (
        APP,
        "    httpsOnly: true\n",
        "    functionTimeout: 600\n    httpsOnly: true\n",
        '"functionTimeout" is not',
    ),
    "property-type": (HOST, "allowBlobPublicAccess: false", "allowBlobPublicAccess: 'false'", "BCP036"),
    "property-read-only": (
        DATA,
        "    supportsHttpsTrafficOnly: true\n",
        "    supportsHttpsTrafficOnly: true\n    creationTime: 'now'\n",
        "BCP073",
    ),
    "value-unknown": (EVENTS, "'StringBeginsWith'", "'StringStartsWith'", "BCP088"),
    "required-missing": (LETTERS, "    principalId: topicPrincipalId\n", "", 'missing .*"principalId"'),
    "kind-unknown": (APP, "'FlexConsumption'\n", "'FlexConsumption'\n    size: 1\n", "BCP036"),
    "budget-threshold": (BUDGET, "threshold: 50", "threshold: 'half'", "BCP036"),
    "budget-currency": (BUDGET, "    amount: amount\n", "    amount: amount\n    currency: 'USD'\n", "BCP037"),
    "loop-of-wrong-type": (DATA, "for each in items(retentionDays)", "for each in retentionDays", "BCP137"),
    "type-unknown": (HOST, "'Microsoft.Storage/storageAccounts@", "'Microsoft.Storage/storageAccount@", "BCP081"),
    "version": (
        HOST,
        "storageAccounts@2025-01-01' = ",
        "storageAccounts@2021-01-01' = ",
        '"allowCrossTenantReplication" is not',
    ),
    "alert-property": (ALERTS, "evaluationFrequency: alert.", "frequency: alert.", '"frequency" is not allowed'),
    "unchecked-loop": (APP, "  name: 'ftp'\n", "  name: app.kind\n", "BCP225|BCP120"),
}

#: What: (file, what stands there, what is put there, what a rule must say, and in which case).
#: The case is "everything" for what is made on request, and the smallest for the rest.
MISTAKES = {
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
    "listing-on-each-start": (MAIN, "    RECONCILE_ON_START: 'false'\n", "", "RECONCILE_ON_START must be set"),
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
    "events-from-anywhere": (
        MAIN,
        "EVENT_TOPICS: appAccess.outputs.storageId",
        "EVENT_TOPICS: ''",
        "EVENT_TOPICS must name",
    ),
    "claim-on-a-condition": (
        MAIN,
        "    JWT_CASES_CLAIM: jwtCasesClaim\n",
        "    ...(empty(caseFrom) ? {} : { JWT_CASES_CLAIM: jwtCasesClaim })\n",
        "JWT_CASES_CLAIM is left out",
    ),
    "operator-without-topics": (
        MAIN,
        re.compile(r"output EVENT_TOPICS .*\n"),
        "",
        "output EVENT_TOPICS is None, the app has '/subscriptions/",
    ),
    "operator-with-other-days": (
        MAIN,
        "= settings.QUARANTINE_RETENTION_DAYS",
        "= '7'",
        "output QUARANTINE_RETENTION_DAYS is 7, the app has '90'",
    ),
    "telemetry-without-identity": (
        APP,
        "    APPLICATIONINSIGHTS_CLIENT_ID: identityClientId\n",
        "",
        "APPLICATIONINSIGHTS_CLIENT_ID is not set",
    ),
    # Limits
    "timeout-too-short": ("host.json", '"00:10:00"', '"00:05:00"', "functionTimeout is 300 s, and MAX_STREAM_SECONDS"),
    "wait-above-timeout": ("host.json", '"00:10:00"', '"00:03:20"', "functionTimeout is 200 s, and MAX_WAIT_SECONDS"),
    "waiters-below-concurrency": (
        MAIN,
        "maxWaiters int = 1200",
        "maxWaiters int = 500",
        r"MAX_WAITERS \(500\) is below",
    ),
    "concurrency-default": (
        APP,
        "triggers: {",
        "triggers: httpConcurrency > 0 ? {} : {",
        "perInstanceConcurrency is not",
    ),
    "batch-of-one": (EVENTS, "maxEventsPerBatch int = 99", "maxEventsPerBatch int = 1", "maxEventsPerBatch is 1, not"),
    "retry-too-often": (EVENTS, "maxDeliveryAttempts: 30", "maxDeliveryAttempts: 50", "maxDeliveryAttempts is 50, not"),
    "python-version": (APP, "version: '3.13'", "version: '3.12'", "not python 3.13"),
    # Filters
    "filter-misses-folder": (
        EVENTS,
        "concat([queuedFolder, inputFolder, outputFolder], extraLocations)",
        "concat(take([queuedFolder, inputFolder, outputFolder], 2), extraLocations)",
        "concerns the counts",
    ),
    "filter-misses-extra-folder": (
        EVENTS,
        "concat([queuedFolder, inputFolder, outputFolder], extraLocations)",
        "[queuedFolder, inputFolder, outputFolder]",
        "concerns the counts",
    ),
    "filter-ignores-prefix": (
        EVENTS,
        "/blobs/${areExact[i] ? prefixes[i] : ''}'",
        "/blobs/${areExact[i] ? '' : prefixes[i]}'",
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
    "dead-letters-in-filter": (
        MAIN,
        "param deadLetterContainer string = ''",
        "param deadLetterContainer string = 'queued'",
        "must be outside of all filters",
        "new-account",
    ),
    "quarantine-in-folder": (
        MAIN,
        "param quarantineContainer string = ''",
        "param quarantineContainer string = 'input'",
        "QUARANTINE_CONTAINER=input is the container",
        "new-account",
    ),
    "no-dead-letters": (
        EVENTS,
        re.compile(r"  identity: empty.*\n.*\n.*\n"),
        "",
        "no dead letters by the topic's",
    ),
    "function-unknown": (EVENTS, "'on_blob_event'", "'on_blob_events'", "has no Event Grid function 'on_blob_events'"),
    # Roles
    "role-missing-table": (
        ACCESS,
        "? [tableContributorRole] : []",
        "? [] : [tableContributorRole]",
        "Table Data .* is missing",
    ),
    "role-missing-quarantine": (
        ACCESS,
        "scope: quarantine\n",
        "scope: account\n",
        r"Blob Data Contributor on .*blob-status-quarantine-.* is missing; needed for",
    ),
    "role-too-wide": (
        ACCESS,
        "? [blobReaderRole]",
        "? [blobReaderRole, blobContributorRole]",
        "is more than the oper",
    ),
    "role-missing-topic": (LETTERS, "scope: deadLetters\n", "scope: account\n", "needed for dead letters"),
    "role-missing-host": (
        HOST,
        "[blobOwnerRole, tableContributorRole]",
        "skip([blobOwnerRole, tableContributorRole], 1)",
        "Data Owner .* is miss",
    ),
    "role-missing-sender": (
        "infra/app/status-topic.bicep",
        "scope: topic\n",
        "",
        "EventGrid Data Sender on .* is missing; needed for STATUS_TOPIC_ENDPOINT",
        "everything",
    ),
    "role-unknown": (ACCESS, "2a2b9908-6ea1", "2a2b9908-0000", "is no role that anything here needs"),
    "image-read": (
        "shared/azure/heads.py",
        "await blob.get_blob_properties(",
        "await blob.download_blob(",
        "the app reads no image",
    ),
    "operation-without-role": (
        "shared/azure/heads.py",
        "await blob.get_blob_properties(",
        "await blob.set_blob_metadata(",
        "which role does set_blob_metadata need",
    ),
    # Queries
    "query-table-misspelt": (
        ALERTS,
        '\'AppMetrics | where Name == "blob_status.answers"',
        '\'AppMetric | where Name == "blob_status.answers"',
        "'AppMetric' does not refer to any known table",
    ),
    "query-column-misspelt": (ALERTS, "answers = sum(Sum)", "answers = sum(Sums)", "'Sums' does not refer to any"),
    "query-type": (
        ALERTS,
        "toint(Properties.status) >= 500",
        "tostring(Properties.status) >= 500",
        "not defined for the operand types string",
    ),
    "query-syntax": (ALERTS, "| summarize answers", "| sumarize answers", "Query operator expected"),
    # Retention, workbook
    "retention-of-images": (DATA, "prefixMatch: ['${each.key}/']", "prefixMatch: ['']", "not the whole account"),
    "retention-missing": (
        MAIN,
        ", '${deadLetterName}': deadLetterRetentionDays",
        "",
        "nothing drops what lies in blob-status-dead",
    ),
    "retention-too-short": (
        MAIN,
        "quarantineRetentionDays + 1",
        "quarantineRetentionDays - 1",
        "longer than the app keeps",
    ),
    "workbook-metric": (BOOK, "blob_status.wakes", "blob_status.woken", "the app measures no blob_status.woken"),
    "workbook-column": (BOOK, "sum(Quantity)", "sum(Bytes)", "'Bytes' does not refer to any known"),
    "workbook-line": (BOOK, "reconciled: ", "reconciliation: ", "the app logs no line that begins with"),
    # Network
    "network-account-public": (
        MAIN,
        "    isPrivate: vnetEnabled\n",
        "    isPrivate: false\n",
        "publicNetworkAccess must be Dis",
        "everything",
    ),
    "network-endpoint-missing": (
        NETWORK,
        "range(0, length(accounts) * length(services))",
        "range(0, length(accounts))",
        "no private endpoint with a name for table of stimages",
    ),
    "network-name-missing": (
        NETWORK,
        "privateDnsZoneGroups@2025-01-01' = [\n  for i in endpoints: {",
        "privateDnsZoneGroups@2025-01-01' = [\n  for i in skip(endpoints, 1): {",
        "no private endpoint with a name for blob of sthost",
    ),
    "network-theirs-unreached": (
        MAIN,
        "      { name: storageName, id: appAccess.outputs.storageId }\n",
        "",
        "no private endpoint with a name for blob of theirimages",
        "tokens",
    ),
    "network-not-delegated": (
        NETWORK,
        "'Microsoft.App/environments'",
        "'Microsoft.Web/serverFarms'",
        "not in a subnet that",
    ),
    "network-app-outside": (
        MAIN,
        "network!.outputs.appSubnetId",
        "''",
        "not in a subnet that is delegated",
        "everything",
    ),
    "network-dead-letters-refused": (
        DATA,
        "'AzureServices', default",
        "'None', default",
        "bypass must be AzureServices",
        "everything",
    ),
    # In front of the app
    "authentication-refuses-events": (
        APP,
        "excludedPaths: openPaths",
        "excludedPaths: skip(openPaths, 1)",
        "authentication refuses /runtime/webhooks/EventGrid",
        "everything",
    ),
    "authentication-redirects": (APP, "'Return401'", "'RedirectToLoginPage'", "must be Return401", "everything"),
    "certificate-of-events": (
        APP,
        "join(openPaths, ';')",
        "join(skip(openPaths, 1), ';')",
        "without a certificate /runtime/webhooks/EventGrid is refused",
        "everything",
    ),
    "certificate-and-large-batches": (
        MAIN,
        "clientCertRequired ? '64' : '128'",
        "clientCertRequired ? '128' : '64'",
        "a delivery above 100 KB is refused",
        "everything",
    ),
    "tls-too-old": (APP, "scmMinTlsVersion: '1.2'", "scmMinTlsVersion: '1.0'", "siteConfig must be"),
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
    "alert-of-memory-missing": (ALERTS, "'MemoryWorkingSet'", "'Http5xx'", "nothing tells of memory that runs out"),
    "alert-wrong-line": (ALERTS, '"event quarantined: "', '"quarantined event: "', "the app logs no line that begins"),
    "alert-wrong-function": (BOOK, '\\"get_status\\"', '\\"getStatus\\"', "there is no function getStatus"),
    "alert-wrong-metric": (
        ALERTS,
        "blob_status.quarantine.size",
        "quarantine_size",
        "the app measures no quarantine_size",
    ),
    "alert-of-others": (
        MAIN,
        "'${eventSubscription}-moves']",
        "'${eventSubscription}']",
        r"looks at \['blob-status-\w+'\], ours are",
    ),
    "role-of-another-identity": (
        EVENTS,
        "userAssignedIdentity: topicIdentityId",
        "userAssignedIdentity: '${topicIdentityId}-2'",
        "needed for dead letters",
        "hierarchical-namespace",
    ),
    "alert-sampled-away": ("host.json", '"Trace;Exception"', '"Exception"', "their lines may be sampled away"),
    "alert-not-logged": (
        "host.json",
        '"Function.on_blob_event.User": "Information"',
        '"Function.on_blob_event.User": "Error"',
        "on_blob_event.User must be Information",
    ),
    "requests-filtered": (
        "host.json",
        '"default": "Information"',
        '"default": "Information", "Host.Results": "Warning"',
        "Host.Results must be Information",
    ),
    "requests-not-sampled": (
        "host.json",
        '"Trace;Exception"',
        '"Request;Trace;Exception"',
        "every poll would leave a row",
    ),
    "calls-logged": (
        "host.json",
        '      "Function.case_stream_options": "Warning",\n',
        "",
        "Function.case_stream_options must be Warning",
    ),
    "host-json-overridden": (
        APP,
        "OTEL_TRACES_SAMPLER_ARG: '0.01'",
        "AzureFunctionsJobHost__logging__logLevel__default: 'Warning'",
        "overrides host.json",
    ),
    "azd-too-old": ("azure.yaml", '">= 1.24.0"', '">= 1.23.9"', "requiredVersions must say so"),
    "hook-of-any-subscription": (
        "infra/hooks/azure.ps1",
        "show --subscription $env:AZURE_SUBSCRIPTION_ID `",
        "show `",
        "`az eventgrid system-topic event-subscription show` works on az's default subscription",
    ),
    "hook-hides-errors": (
        HOOK,
        "on_blob_event --output none 2>&1",
        "on_blob_event --output none 2>/dev/null",
        "thrown away",
    ),
    "hook-not-run": ("azure.yaml", "./infra/hooks/predown.ps1", "./infra/hooks/predown.sh", "predown.ps1 is not run"),
    "no-soft-delete": (HOST, "enabled: true, days: 7 }", "enabled: false }", "containerDeleteRetentionPolicy must be"),
    "service-untagged": (APP, "{ 'azd-service-name': 'app' }", "{ service: 'app' }", "services are .*'app'"),
    "hook-wrong-variable": (HOOK, "$TOPIC_RESOURCE_GROUP", "$SYSTEM_TOPIC_GROUP", "SYSTEM_TOPIC_GROUP is neither"),
    "hook-deploys-nothing": (HOOK_PS, "events.bicepparam", "events.json", "events.bicepparam is not deployed"),
    "parameter-file": ("infra/main.parameters.json", '"corsOrigins"', '"cors"', "has no parameter cors"),
}


def test_green(bicep):
    """Nothing is to be mended as it stands: no word of the compiler, and snapshots of these sources."""
    assert check(ROOT, bicep) == []


@pytest.fixture
def _no_compiler(monkeypatch):
    """Find no compiler."""
    monkeypatch.delenv("BICEP", raising=False)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)


@pytest.mark.usefixtures("_no_compiler")
@pytest.mark.parametrize("file", [EVENTS, "infra/events.bicepparam", BOOK])
def test_without_a_compiler(project, capsys, file):
    """The rules run on the committed snapshots if these belong to the sources; what was not checked is said."""
    assert main([str(project)]) == 0
    assert re.match(r"not compiled, .*az bicep install --version v\d", capsys.readouterr().out)
    (project / "host.json").write_text((project / "host.json").read_text().replace("00:10:00", "00:05:00"))
    assert any("MAX_STREAM_SECONDS" in str(each) for each in check(project, None))
    (project / file).write_text((project / file).read_text() + "\n")
    assert ["make infra-snapshots" in str(each) for each in check(project, None)] == [True]


def test_snapshots_are_compared(bicep, project):
    """A snapshot that is not what the compiler predicts is a finding; writing it anew mends it."""
    path = project / "infra/cases/new-account.events.snapshot.json"
    there = path.read_text()
    for each in (project / "infra/cases").glob("[!nt]*.bicepparam"):
        each.unlink()
    path.write_text(there.replace("1440", "60"))
    assert {each.where for each in check(project, bicep)} == {"infra/cases", "infra/cases/new-account"}
    assert check(project, bicep, writes=True) == []
    assert path.read_text() == there
    assert [name for name, *_ in as_committed(project)] == ["new-account", "tokens"]


def test_of_another_compiler_no_snapshot_is_compared(bicep, project, monkeypatch, capsys):
    """Another version may write snapshots differently: it is named, and none is compared."""
    path = project / "infra/cases/new-account.snapshot.json"
    path.write_text(path.read_text().replace('"retentionInDays": 30', '"retentionInDays": 31'))
    monkeypatch.setattr("infra.checks.__main__.find", lambda: "bicep")
    monkeypatch.setattr("infra.checks.__main__.Bicep", lambda _: nullcontext(bicep))
    monkeypatch.setattr(
        run,
        "compiled",
        lambda root, *_, **__: [(name, *snapshots.committed(ROOT, name)) for name in snapshots.names(root)],
    )
    assert main([str(project)]) == 1
    monkeypatch.setattr("infra.checks.__main__.VERSION", "0.1.0")
    monkeypatch.setattr(run, "VERSION", "0.1.0")
    assert main([str(project)]) == 0
    assert f"they are of Bicep 0.1.0, and this is {bicep.version}" in capsys.readouterr().out


def make(project, file, there, instead):
    """Make a mistake."""
    path = project / file
    text = path.read_text()
    changed = there.sub(instead, text) if isinstance(there, re.Pattern) else text.replace(there, instead)
    assert changed != text, "the mistake is not one: nothing changes"
    path.write_text(changed)


@pytest.mark.parametrize("mistake", MISTAKES_IN_BICEP)
def test_red_by_the_compiler(bicep, project, mistake):
    """Each mistake in the language, of a schema or of style is found and named."""
    file, there, instead, said = MISTAKES_IN_BICEP[mistake]
    make(project, file, there, instead)
    found = "\n".join(map(str, bicep.compile(project / file, project)))
    assert re.search(said, found), found or "nothing was found"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_red_by_a_rule(request, project, mistake):
    """Each mistake that the compiler cannot know is found and named."""
    file, there, instead, said, *named = MISTAKES[mistake]
    case = named[0] if named else "everything" if file in {EVENTS, NETWORK} else "new-account"
    make(project, file, there, instead)
    main, events = snapshots.committed(project, case)
    if file == EVENTS:
        events = snapshots.predict_events(request.getfixturevalue("bicep"), project, main["outputs"])
    elif file.endswith((".bicep", "workbook.json")):
        main, events = snapshots.predict(request.getfixturevalue("bicep"), project, case)
    cases = [Case.of(case, main, events), Case.of("tokens", *snapshots.committed(project, "tokens"))]
    found = "\n".join(map(str, obey_rules(Project(project, cases))))
    assert re.search(said, found), found or "nothing was found"


def test_a_rule_that_fails_hides_no_other(project, monkeypatch):
    """Neither one that cannot go on nor one that is mistaken keeps what it, or another, has found to itself."""
    (project / HOOK).chmod(0o644)
    said = Finding("x:1", "found before")

    def stops(_):
        yield said
        raise CheckError(Finding("x:2", "cannot go on"))

    def is_mistaken(_):
        yield from {}["what nobody has set"]

    monkeypatch.setattr(run, "ALL", [stops, is_mistaken, *run.ALL])
    found = check(project, None)
    assert {said, Finding("x:2", "cannot go on")} <= set(found)
    assert any("the rule itself fails: KeyError" in str(each) for each in found)
    assert any("chmod +x" in str(each) for each in found)


def test_hook_not_executable(project):
    """A hook that cannot be executed is found."""
    (project / HOOK).chmod(0o644)
    assert any("chmod +x" in str(each) for each in check(project, None))


@pytest.mark.usefixtures("_no_compiler")
def test_no_main(project, capsys):
    """Without main.bicep the exit code is 1."""
    shutil.rmtree(project / "infra")
    assert main([str(project)]) == 1
    assert "infra/main.bicep: is not there" in capsys.readouterr().out
