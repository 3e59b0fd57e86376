"""Extracts the schemas of the resource types that infra/ uses into ``schemas/``: `make infra-schemas`.

They come from packages, offline: Azure's MCP server on npm (137 MB, too much for every run) carries the schemas that
Bicep itself uses; those of Microsoft.Insights' alerts are missing there and are read from the models of the Python
SDK (azure-mgmt-monitor), whose names are those of the REST API.

Run as ``python -m infra.checks.schema_sources AZMCP``, with azure-mgmt-monitor importable.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

SCHEMAS: Final = Path(__file__).parent / "schemas"
AZMCP: Final = "@azure/mcp 2.0.5"
MONITOR: Final = "azure-mgmt-monitor 7.0.0"
FROM_AZMCP: Final = (
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.EventGrid/systemTopics",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions",
    "Microsoft.Insights/components",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Web/serverfarms",
    "Microsoft.Web/sites",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    "Microsoft.Web/sites/config",
)
#: Resource type → (model, the version that its operations use).
FROM_MONITOR: Final = {
    "Microsoft.Insights/actionGroups": ("ActionGroupResource", "2023-01-01"),
    "Microsoft.Insights/metricAlerts": ("MetricAlertResource", "2018-03-01"),
    "Microsoft.Insights/scheduledQueryRules": ("ScheduledQueryRuleResource", "2023-12-01"),
}
_PLAIN: Final = {"str": "string", "duration": "string", "iso-8601": "string", "bool": "bool", "int": "int"}


def main(azmcp: str) -> None:
    """Write one file a resource type.

    Args:
        azmcp: The command.
    """
    SCHEMAS.mkdir(exist_ok=True)
    for kind in FROM_AZMCP:
        command = [azmcp, "bicepschema", "get", "--resource-type", kind]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)  # noqa: S603
        _write(kind, AZMCP, *_of_azmcp(kind, answer["results"]["BicepSchemaResult"]))
    for kind, (model, version) in FROM_MONITOR.items():
        _write(kind, MONITOR, version, *_of_monitor(model))


def _write(kind: str, source: str, version: str, root: str, types: dict[str, Any]) -> None:
    reached = _reachable(root, types)
    kept = {name: types[name] for name in sorted(reached)}
    schema = {"type": kind, "version": version, "source": source, "root": root, "types": kept}
    path = SCHEMAS / f"{kind.replace('/', '.')}.json"
    lines = json.dumps(schema, indent=1, sort_keys=True)
    path.write_text(re.sub(r"\{\s+([^{}]*?)\s+\}", lambda m: "{" + re.sub(r"\s*\n\s*", " ", m[1]) + "}", lines) + "\n")


def _reachable(root: str, types: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in found and name in types:
            found.add(name)
            waiting += re.findall(r'"type": "([A-Za-z0-9_]+)', json.dumps(types[name]))
            waiting += [str(each) for each in types[name].get("elements", {}).values()]
            waiting += [str(types[name].get("additional", "")).removesuffix("[]")]
    return found


def _of_azmcp(kind: str, entries: list[dict[str, Any]]) -> tuple[str, str, dict[str, Any]]:
    types: dict[str, Any] = {}
    version = ""
    for entry in entries:
        body = entry.get("bodyType") if entry["$type"] == "Resource" else entry
        if entry["$type"] == "Resource":
            if entry["name"].partition("@")[0].lower() != kind.lower():
                continue
            version = entry["name"].partition("@")[2]
        if body and body["$type"] in {"Object", "DiscriminatedObject"}:
            name = "(resource)" if entry["$type"] == "Resource" else body["name"]
            types |= _azmcp_type(name, body)
    return version, "(resource)", types


def _azmcp_type(name: str, body: dict[str, Any]) -> dict[str, Any]:
    if body["$type"] == "Object":
        return {name: _azmcp_object(body)}
    base = _azmcp_object({"properties": body["baseProperties"]})["properties"]
    found: dict[str, Any] = {}
    elements: dict[str, str] = {}
    for number, element in enumerate(body["elements"]):
        made = _azmcp_object(element)
        made["properties"] = base | made["properties"]
        inner = f"{name}_{number}"
        elements[made["properties"][body["discriminator"]]["type"]] = inner
        found[inner] = made
    return {name: {"discriminator": body["discriminator"], "elements": elements}, **found}


def _azmcp_object(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"properties": {each["name"]: _azmcp_property(each) for each in body["properties"]}}
    if "additionalPropertiesType" in body:
        found["additional"] = body["additionalPropertiesType"]
    return found


def _azmcp_property(each: dict[str, Any]) -> dict[str, Any]:
    flags = each.get("flags", "")
    return {
        "type": each["type"],
        **({"required": True} if "Required" in flags else {}),
        **({"readonly": True} if "ReadOnly" in flags else {}),
    }


def _of_monitor(model: str) -> tuple[str, dict[str, Any]]:
    models = importlib.import_module("azure.mgmt.monitor.models")
    types: dict[str, Any] = {}
    waiting = [model]
    while waiting:
        name = waiting.pop()
        if name in types:
            continue
        class_ = getattr(models, name)
        attributes, rules = vars(class_)["_attribute_map"], vars(class_).get("_validation", {})
        types[name] = {"properties": {}}
        for attribute, how in attributes.items():
            *path, key = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", how["key"])]
            where = types[name]["properties"]
            if path:
                where.setdefault(path[0], {"type": f"{name}_{path[0]}"})
                where = types.setdefault(f"{name}_{path[0]}", {"properties": {}})["properties"]
            rule = {flag: True for flag in ("required", "readonly") if rules.get(attribute, {}).get(flag)}
            where[key] = {"type": _monitor_type(how["type"], waiting), **rule}
        subtypes = vars(class_).get("_subtype_map", {})  # the discriminator → value → model
        for discriminator, elements in subtypes.items():
            key = attributes[discriminator]["key"].replace("\\.", ".")
            types[name] = {"discriminator": key, "elements": dict(elements)}
            waiting += elements.values()
    return model, types


def _monitor_type(kind: str, waiting: list[str]) -> str:
    if kind.startswith("["):
        return f"{_monitor_type(kind[1:-1], waiting)}[]"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind[0].isupper():
        waiting.append(kind)
        return kind
    return "any"


if __name__ == "__main__":
    main(sys.argv[1])
