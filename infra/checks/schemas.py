"""Resource bodies against the published schemas (``schemas/``, extracted by ``schema_sources``)."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import Finding
from infra.checks.functions import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.evaluate import Resource

_SCHEMAS: Final = Path(__file__).parent / "schemas"
_PLAIN: Final[dict[str, type]] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}


def check(resource: Resource) -> Iterator[Finding]:
    """Check one resource's version and properties."""
    schema = _schema(resource.type)
    if schema is None:
        yield Finding(resource.file, resource.line, f"no schema of {resource.type}: add it to schema_sources.py")
        return
    if resource.version != schema["version"]:
        text = f"{resource.type}@{resource.version}: the schema here is of {schema['version']}"
        yield Finding(resource.file, resource.line, text)
    body = {"name": resource.name, **resource.body}
    for message in _wrong(body, schema["root"], schema["types"], ""):
        yield Finding(resource.file, resource.line, f"{resource.type}: {message}")


@cache
def _schema(kind: str) -> dict[str, Any] | None:
    path = _SCHEMAS / f"{kind.replace('/', '.')}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _wrong(value: Any, kind: str, types: dict[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, Runtime) or value is None or kind == "any":
        return
    if kind.endswith("[]"):
        if not isinstance(value, list):
            yield f"{path} is an array, not {value!r}"
            return
        for index, each in enumerate(value):
            yield from _wrong(each, kind[:-2], types, f"{path}[{index}]")
    elif kind in types:
        if isinstance(value, dict):
            yield from _wrong_object(value, types[kind], types, path)
        else:
            yield f"{path} is an object, not {value!r}"
    elif kind in _PLAIN:
        if type(value) is not _PLAIN[kind]:
            yield f"{path} is {kind}, not {value!r}"
    else:
        alternatives = [each.strip() for each in kind.split("|")]
        if "string" not in alternatives and value not in alternatives:
            yield f"{path} is {kind}, not {value!r}"


def _wrong_object(value: dict[str, Any], schema: dict[str, Any], types: dict[str, Any], path: str) -> Iterator[str]:
    if "discriminator" in schema:
        key = schema["discriminator"]
        chosen = value.get(key)
        if chosen not in schema["elements"]:
            yield f"{f'{path}.{key}'.lstrip('.')} is one of {', '.join(sorted(schema['elements']))}, not {chosen!r}"
            return
        schema = types[schema["elements"][chosen]]
    known = schema["properties"]
    for name, each in value.items():
        where = f"{path}.{name}".lstrip(".")
        if name in known:
            if known[name].get("readonly") and name != "name":
                yield f"{where} is read-only"
            yield from _wrong(each, known[name]["type"], types, where)
        elif "additional" in schema:
            yield from _wrong(each, schema["additional"], types, where)
        elif known:
            close = difflib.get_close_matches(name, known, 1)
            yield f"{where} does not exist{f'; {close[0]} does' if close else ''}"
    for name, rule in known.items():
        if rule.get("required") and name not in value:
            yield f"{f'{path}.{name}'.lstrip('.')} is missing"
