"""What the rules look at: the files, the app, and deployments of several kinds, evaluated."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from infra.checks.evaluate import Deployment, deploy
from infra.checks.functions import group_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infra.checks.evaluate import Resource
    from infra.checks.source import BicepFile

MAIN: Final = "infra/main.bicep"
EVENTS: Final = "infra/events.bicep"
_BASE: Final = {"environmentName": "check", "location": "northeurope"}
#: What main.bicep is deployed with. Each is checked.
SCENARIOS: Final[dict[str, dict[str, Any]]] = {
    "new storage account": {},
    "existing account and topic": {
        "existingStorageAccountName": "theirimages",
        "existingStorageResourceGroup": "rg-theirs",
        "existingSystemTopicName": "their-topic",
        "existingSystemTopicResourceGroup": "rg-their-topics",
        "operatorPrincipalId": "11111111-1111-1111-1111-111111111111",
        "alertEmail": "operator@example.com",
        "queuedFolder": "images/queued",
        "inputFolder": "images/in/process",
        "outputFolder": "archive",
        "statusTopicName": "status",
        "statusTopicResourceGroup": "rg-theirs",
        "alwaysReadyHttp": 1,
        "alwaysReadyEvents": 1,
    },
    "existing account, new topic, tokens": {
        "existingStorageAccountName": "theirimages",
        "existingStorageResourceGroup": "rg-theirs",
        "authMode": "jwt",
        "jwtIssuer": "https://login.example.com/",
        "jwtAudience": "first-client,second-client",
        "jwtAudienceClaim": "client_id",
        "jwtRequiredClaims": "token_use=access,scope=counts.read",
        "jwtAlgorithms": "RS256,ES256",
        "maxWaitSeconds": 200,
        "maxStreamSeconds": 480,
        "reconcileSliceSeconds": 540,
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario, deployed.

    Attributes:
        name: Which.
        main: Of main.bicep.
        events: Of events.bicep, with what main.bicep put out.
    """

    name: str
    main: Deployment
    events: Deployment

    def made(self, kind: str) -> Iterator[Resource]:
        """Iterate over the resources of a type."""
        return (each for each in (*self.main.resources, *self.events.resources) if each.type == kind)

    @property
    def settings(self) -> dict[str, Any]:
        """The app's settings."""
        found: dict[str, Any] = {}
        for each in self.made("Microsoft.Web/sites/config"):
            found |= each.body["properties"]
        return found

    @property
    def storage_id(self) -> str:
        """The id of the account that the settings name, wherever it is."""
        name = str(self.settings.get("STORAGE__blobServiceUri", "")).removeprefix("https://").partition(".")[0]
        group = group_id(str(self.main.outputs.get("STORAGE_RESOURCE_GROUP", "")))
        return f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"

    @property
    def app(self) -> Resource:
        """The function app."""
        return next(self.made("Microsoft.Web/sites"))


@dataclass(frozen=True, slots=True)
class Project:
    """The project under check.

    Attributes:
        root: Its folder.
        files: The Bicep files, by path.
        cases: The scenarios.
    """

    root: Path
    files: Mapping[Path, BicepFile]
    cases: list[Case]

    def text(self, name: str) -> str:
        """Return a file's text, or "" when it is not there."""
        path = self.root / name
        return path.read_text() if path.is_file() else ""

    @property
    def host(self) -> dict[str, Any]:
        """host.json."""
        found: dict[str, Any] = json.loads(self.text("host.json"))
        return found

    def calls(self) -> Iterator[tuple[str, Calls]]:
        """Iterate over the app's own modules: name, and what each calls."""
        for path in [self.root / "function_app.py", *sorted((self.root / "shared").rglob("*.py"))]:
            yield str(path.relative_to(self.root)), _calls(path.read_text())

    def functions(self) -> dict[str, str]:
        """Return the functions of the app and the kind of trigger that each has."""
        found = {}
        for node in ast.walk(ast.parse(self.text("function_app.py"))):
            for decorator in getattr(node, "decorator_list", []):
                if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                    found[str(getattr(node, "name", ""))] = decorator.func.attr
        return found


@dataclass(frozen=True, slots=True)
class Calls:
    """What a module imports and which methods it calls.

    Attributes:
        imports: The modules that it imports from.
        methods: Of each call of a method its name, its line, and the texts among its arguments.
    """

    imports: frozenset[str]
    methods: tuple[tuple[str, int, tuple[str, ...]], ...]


@cache
def _calls(text: str) -> Calls:
    imports, methods = set(), []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            imports.add(node.module or "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            methods.append((node.func.attr, node.lineno, tuple(texts)))
    return Calls(frozenset(imports), tuple(methods))


def deploy_all(root: Path, files: Mapping[Path, BicepFile]) -> list[Case]:
    """Evaluate all scenarios.

    Raises:
        CheckError: One cannot be evaluated.
    """
    cases = []
    for name, parameters in SCENARIOS.items():
        main = deploy(files, (root / MAIN).resolve(), _BASE | parameters, "")
        cases.append(Case(name, main, deploy_events(root, files, main.outputs)))
    return cases


def deploy_events(root: Path, files: Mapping[Path, BicepFile], outputs: Mapping[str, Any]) -> Deployment:
    """Evaluate events.bicep with what main.bicep put out.

    Raises:
        CheckError: It cannot be evaluated, or an output is missing.
    """
    path = (root / EVENTS).resolve()
    given = {name: outputs[output] for name, output in EVENT_PARAMETERS.items() if output in outputs}
    return deploy(files, path, given, str(outputs.get("TOPIC_RESOURCE_GROUP", "")))


#: Parameter of events.bicep → output of main.bicep; the hooks hand them over (rules/hooks.py).
EVENT_PARAMETERS: Final = {
    "topicName": "TOPIC_NAME",
    "appResourceGroup": "APP_RESOURCE_GROUP",
    "appName": "APP_NAME",
    "storageResourceGroup": "STORAGE_RESOURCE_GROUP",
    "storageAccountName": "STORAGE_ACCOUNT",
    "deadLetterContainer": "DEAD_LETTER_CONTAINER",
    "queuedFolder": "QUEUED_FOLDER",
    "inputFolder": "INPUT_FOLDER",
    "outputFolder": "OUTPUT_FOLDER",
}
