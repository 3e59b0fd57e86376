"""What the rules look at: the files, the app, and what deployments of several kinds would make."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from infra.checks.bicep import SUBSCRIPTION
from infra.checks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAIN: Final = "infra/main.bicep"
PARAMETERS: Final = "infra/main.parameters.json"
SUBSCRIPTION_TYPE: Final = "Microsoft.EventGrid/systemTopics/eventSubscriptions"
CONTAINER_TYPE: Final = "Microsoft.Storage/storageAccounts/blobServices/containers"
_ROLE: Final = "/providers/Microsoft.Authorization/roleAssignments/"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource that a deployment would make.

    What only Azure knows is an expression in brackets, such as ``[reference('<id>', '<version>').principalId]``.

    Attributes:
        body: As in the snapshot: id, type, name, apiVersion, properties, …
    """

    body: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its full id."""
        return str(self.body["id"])

    @property
    def type(self) -> str:
        """Its type, without the version."""
        return str(self.body["type"])

    @property
    def name(self) -> str:
        """Its own name, without those of its parents."""
        return str(self.body["name"]).rpartition("/")[2]

    @property
    def properties(self) -> dict[str, Any]:
        """Its properties."""
        found: dict[str, Any] = self.body.get("properties", {})
        return found

    @property
    def scope_id(self) -> str:
        """What a role assignment is on."""
        named = re.match(r"\[extensionResourceId\('([^']+)'", self.id)
        return named[1] if named else self.id.partition(_ROLE)[0]

    def finding(self, message: str) -> Finding:
        """Return the finding that says this of the resource."""
        name = "" if is_open(self.body["name"]) else f" {self.name}"
        return Finding("infra", f"{self.type.rpartition('/')[2]}{name}: {message}")


@dataclass(frozen=True)
class Case:
    """One of ``infra/cases``, deployed.

    Attributes:
        name: Which.
        resources: All that main.bicep and events.bicep would make.
        outputs: Of main.bicep.
    """

    name: str
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, main: Mapping[str, Any], events: Mapping[str, Any]) -> Case:
        """Return the case of two snapshots."""
        both = (*main["predictedResources"], *events["predictedResources"])
        return cls(name, tuple(map(Resource, both)), main["outputs"])

    def made(self, kind: str) -> Iterator[Resource]:
        """Iterate over the resources of a type."""
        return (each for each in self.resources if each.type == kind)

    def queries(self) -> Iterator[tuple[Resource, str]]:
        """Iterate over the queries of alerts and workbooks, each with what asks it."""
        for rule in self.made("Microsoft.Insights/scheduledQueryRules"):
            yield from ((rule, str(part["query"])) for part in rule.properties["criteria"]["allOf"])
        for book in self.made("Microsoft.Insights/workbooks"):
            items = json.loads(book.properties["serializedData"])["items"]
            yield from ((book, str(each["content"]["query"])) for each in items if "query" in each["content"])

    def config(self, name: str) -> Resource:
        """Return a configuration of the app, such as ``appsettings``; one without properties if it is not made."""
        made = (each for each in self.made("Microsoft.Web/sites/config") if each.name == name)
        return next(made, Resource({"id": "", "type": "Microsoft.Web/sites/config", "name": name}))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The app's settings; an address that only Azure knows has a made-up host."""
        found = {name: known(value) for name, value in self.config("appsettings").properties.items()}
        return {
            name: "https://known.to.azure" if is_open(value) and value.endswith(".endpoint]") else value
            for name, value in found.items()
        }

    @property
    def announced_to(self) -> str:
        """The id of the custom topic that the settings name, or ""."""
        return referred_to(str(self.config("appsettings").properties.get("STATUS_TOPIC_ENDPOINT", "")))

    @property
    def storage_id(self) -> str:
        """The id of the account that the settings name, wherever it is."""
        name = str(self.settings.get("STORAGE__blobServiceUri", "")).removeprefix("https://").partition(".")[0]
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.outputs.get('STORAGE_RESOURCE_GROUP', '')}"
        return f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"

    @property
    def app(self) -> Resource:
        """The function app."""
        return next(self.made("Microsoft.Web/sites"))


def is_open(value: object) -> bool:
    """Tell whether a value is an expression that only Azure can evaluate."""
    return isinstance(value, str) and value.startswith("[") and value.endswith("]")


def known(value: Any) -> Any:
    """Return a value with ``format`` of literals evaluated, as in the public cloud; others as they are."""
    if not is_open(value):
        return value
    text = value.replace("environment().suffixes.storage", "'core.windows.net'")
    found = re.fullmatch(r"\[format\('([^']*)', ((?:'[^']*'(?:, )?)+)\)\]", text)
    return found[1].format(*re.findall(r"'([^']*)'", found[2])) if found else value


def referred_to(value: str) -> str:
    """Return the id of the resource that an expression asks for something, or ""."""
    found = re.match(r"\[reference\('([^']+)'", value)
    return found[1] if found else ""


@dataclass(frozen=True)
class Project:
    """The project under check.

    Attributes:
        root: Its folder.
        cases: The deployments.
    """

    root: Path
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

    @cached_property
    def calls(self) -> dict[str, Calls]:
        """What each of the app's own modules calls, by its name: several rules ask."""
        paths = [self.root / "function_app.py", *sorted((self.root / "shared").rglob("*.py"))]
        return {str(path.relative_to(self.root)): _calls(path.read_text()) for path in paths}

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
