"""Settings: what infra sets, the app reads; what app and operator must have, is set; nothing is secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import Finding
from infra.checks.project import MAIN, PARAMETERS
from shared.errors import SettingsError
from shared.settings.app import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Case, Project

#: Read by the Functions host, or by the OpenTelemetry SDK, not by the app.
OF_THE_HOST: Final = re.compile(
    r"AzureWebJobsStorage__(accountName|credential|clientId)"
    r"|APPLICATIONINSIGHTS_(CONNECTION_STRING|AUTHENTICATION_STRING)"
    r"|AzureFunctionsJobHost__\w+"
    r"|OTEL_TRACES_SAMPLER(_ARG)?"
)
#: Refused or ignored on Flex Consumption: functionAppConfig says it there.
#: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
NOT_ON_FLEX: Final = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL",
}
_SECRET: Final = re.compile(
    r"AccountKey=|SharedAccess|DefaultEndpointsProtocol=|[?&]sig=|InstrumentationKey=|password|secret", re.IGNORECASE
)
_CONNECTIONS: Final = {"STORAGE", "AzureWebJobsStorage", "AzureWebJobsDashboard"}
#: What `python -m ops` need not have as the app has it: how the app serves, and how often it acts. The address of
#: storage is exported by hand (docs/operations.md).
NOT_OF_OPS: Final = re.compile(
    r"STORAGE__\w+|APPLICATIONINSIGHTS_\w+|AUTH_MODE|JWT_\w+|CORS_ORIGINS|CASE_UNKNOWN|RECONCILE_\w+|MAX_\w+"
    r"|HEARTBEAT_SECONDS|POLL_INTERVAL_SECONDS"
)


class _Recording(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def check(project: Project) -> Iterator[Finding]:
    """Check the settings of all scenarios."""
    read: set[str] = set()
    for case in project.cases:
        environment = _Recording(as_environment(case))
        config = case.config("appsettings")
        try:
            settings = Settings.from_environ(environment)
        except SettingsError as error:
            yield config.finding(f"settings ({case.name}): the app would not start: {error}")
            continue
        finally:
            read |= environment.asked
        if settings.storage.connection_string:
            yield config.finding("settings: STORAGE must be reached by identity (STORAGE__blobServiceUri, …)")
        if not settings.storage.client_id:
            text = "settings: STORAGE__clientId is not set, and the app has a user-assigned identity only"
            yield config.finding(text)
        if settings.telemetry.target == "azure" and not settings.telemetry.client_id:
            text = "settings: APPLICATIONINSIGHTS_CLIENT_ID is not set, and Application Insights takes identities only"
            yield config.finding(text)
        if settings.event_topics != {case.storage_id.lower()}:
            yield config.finding(f"settings: EVENT_TOPICS must name the account of the images, {case.storage_id}")
        if settings.reconcile_on_start:
            yield config.finding("settings: RECONCILE_ON_START must be set to false: each new instance would list")
    declared = re.findall(r"^param (\w+)", project.text(MAIN), re.MULTILINE)
    namesakes = read & {re.sub(r"(?=[A-Z])", "_", name).upper() for name in declared}
    asked = set(re.findall(r"\$\{(\w+)", project.text(PARAMETERS)))
    for case in project.cases:
        yield from _check_names(case, read)
        yield from _check_operator(case, read, asked)
        for name in sorted(namesakes - case.settings.keys()):
            text = f"settings: {name} is left out ({case.name}), although it has a parameter: set it unconditionally"
            yield case.config("appsettings").finding(text)


def as_environment(case: Case) -> dict[str, str]:
    """Return the settings as the app's process would see them."""
    return {name: str(value) for name, value in case.settings.items()}


def _check_operator(case: Case, read: set[str], asked: set[str]) -> Iterator[Finding]:
    """Compare the app's settings with main.bicep's outputs, which an operator's shell has.

    A variable that azd asks for keeps what was given; where an extra setting says something else `ops` refuses.
    """
    ours = case.config("appsettings").properties
    for name in sorted(name for name in read & ours.keys() if not NOT_OF_OPS.fullmatch(name)):
        theirs = case.outputs.get(name)
        if theirs is None or (theirs != ours[name] and name not in asked):
            yield Finding(MAIN, f"output {name} is {theirs}, the app has {ours[name]!r}: `ops` would do something else")


def _check_names(case: Case, read: set[str]) -> Iterator[Finding]:
    config = case.config("appsettings")
    has_keys = any(not each.properties.get("DisableLocalAuth") for each in case.made("Microsoft.Insights/components"))
    for name, value in case.settings.items():
        if name in NOT_ON_FLEX:
            yield config.finding(f"settings: {name} is not allowed on Flex Consumption; functionAppConfig says it")
        elif name in _CONNECTIONS:
            yield config.finding(f"settings: {name} is a connection string, a secret; use an identity ({name}__…)")
        elif name not in read and not OF_THE_HOST.fullmatch(name):
            yield config.finding(f"settings: the app does not read {name}")
        if not isinstance(value, str):
            yield config.finding(f"settings: {name} is text, not {value!r}")
        elif _SECRET.search(value) or "listKeys" in value:
            yield config.finding(f"settings: {name} holds a secret; use an identity")
        if name == "APPLICATIONINSIGHTS_CONNECTION_STRING" and has_keys:
            text = f"settings: {name} is a secret as long as Application Insights takes keys; set DisableLocalAuth"
            yield config.finding(text)
