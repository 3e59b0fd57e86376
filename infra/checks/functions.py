"""The functions of the Bicep language that the files use, as far as a deployment's values can be known beforehand."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"


class Runtime(str):
    """A value that only Azure knows; its text says which. Any member of it is one too."""

    __slots__ = ()


class GroupScope:
    """A resource group as the scope of a module or of a resource.

    Args:
        name: The group's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name


def group_id(group: str) -> str:
    """Return a resource group's id."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"


def _union(*values: Any) -> Any:
    if isinstance(values[0], list):
        found: list[Any] = []
        for each in (item for value in values for item in value):
            if each not in found:
                found.append(each)
        return found
    merged: dict[str, Any] = {}
    for value in values:
        for key, each in value.items():
            both = isinstance(merged.get(key), dict) and isinstance(each, dict)
            merged[key] = _union(merged[key], each) if both else each
    return merged


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"  # Azure Resource Manager writes them so
    return str(value)


def _contains(where: Any, what: Any) -> bool:
    return str(what).lower() in {key.lower() for key in where} if isinstance(where, dict) else what in where


def _resource_id(*parts: str) -> str:
    at = next(index for index, part in enumerate(parts) if "/" in part)
    kind, *names = parts[at:]
    head = group_id(parts[at - 1]) if at else group_id(Runtime("{group}"))
    return f"{head}/providers/{typed_path(kind, names)}"


def typed_path(kind: str, names: list[str]) -> str:
    """Interleave a resource type with names: a/b/c and [x, y] give a/b/x/c/y."""
    provider, *types = kind.split("/")
    return "/".join([provider, *(part for pair in zip(types, names, strict=True) for part in pair)])


def _subscription_resource_id(kind: str, *names: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/providers/{typed_path(kind, list(names))}"


def _hash(*parts: Any) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "concat": lambda *each: "".join(each) if isinstance(each[0], str) else [item for value in each for item in value],
    "contains": _contains,
    "empty": lambda value: not value,
    "environment": lambda: {"suffixes": {"storage": "core.windows.net"}},
    "first": lambda values: values[0],
    "filter": lambda values, test: [each for each in values if test(each)],
    "guid": lambda *parts: str(uuid.UUID(_hash(*parts)[:32])),
    "join": lambda values, by: by.join(map(str, values)),
    "length": len,
    "map": lambda values, change: [change(each) for each in values],
    "resourceGroup": GroupScope,
    "resourceId": _resource_id,
    "skip": lambda values, count: values[count:],
    "split": lambda text, by: text.split(by),
    "string": _string,
    "subscription": lambda: {"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION},
    "subscriptionResourceId": _subscription_resource_id,
    "take": lambda values, count: values[:count],
    "toLower": str.lower,
    "toUpper": str.upper,
    "trim": str.strip,
    "union": _union,
    "uniqueString": lambda *parts: _hash(*parts)[:13],
}
