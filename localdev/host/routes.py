"""HTTP routes: which function answers a method and a path.

Templates are those of ASP.NET Core, as far as function apps use them: literals (case-insensitive), `{name}`,
`{name?}`, `{name:int}` and a few more constraints, `{*rest}`. A literal segment wins over a parameter, a constrained
parameter over a free one, and a catch-all loses against everything. Where no route takes the method, the answer is an
empty 404 and never a 405 (Azure/azure-functions-host #10098).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from localdev.host.errors import AppError
from localdev.host.worker import Function

ALL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""What a trigger without `methods` takes."""

_CONSTRAINTS = {
    "": r"[^/]+?",
    "int": r"-?\d+",
    "long": r"-?\d+",
    "bool": r"(?:true|false)",
    "alpha": r"[a-z]+",
    "guid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
_PARAMETER = re.compile(r"\{(?P<catchall>\*{0,2})(?P<name>\w+)(?::(?P<constraint>\w+))?(?P<optional>\?)?\}")


class Route(NamedTuple):
    """A function's route."""

    precedence: tuple[int, ...]
    pattern: re.Pattern[str]
    methods: frozenset[str]
    function: Function
    template: str


class Router:
    """The routes of an app.

    Attributes:
        routes: the routes, the most specific first.
    """

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        http = (function for function in functions if function.kind == "httpTrigger")
        self.routes = sorted((_route(function, prefix) for function in http), key=lambda route: route.precedence)

    def match(self, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
        """Return the function for a method and a percent-encoded path with its decoded route parameters, or None.

        An encoded slash stays inside its segment. Bytes that are not UTF-8 become U+FFFD.
        """
        decoded = unquote(re.sub("%2f", "%252F", path, flags=re.IGNORECASE)).removesuffix("/")
        for route in self.routes:
            if method not in route.methods or route.function.disabled:
                continue
            if found := route.pattern.fullmatch(decoded):
                params = {name: value for name, value in found.groupdict().items() if value is not None}
                return route.function, params
        return None


def _route(function: Function, prefix: str) -> Route:
    template = str(function.trigger.get("route") or function.name).strip("/")
    full = f"{prefix}/{template}" if prefix else template
    segments = full.split("/")
    methods = function.trigger.get("methods")
    return Route(
        precedence=tuple(_precedence(segment) for segment in segments),
        pattern=re.compile("".join(_segment(segment, function) for segment in segments), re.IGNORECASE),
        methods=frozenset(str(method).upper() for method in methods) if methods else ALL_METHODS,
        function=function,
        template=full,
    )


def _precedence(segment: str) -> int:
    parameter = _PARAMETER.search(segment)
    if not parameter:
        return 0
    if parameter["catchall"]:
        return 3
    return 1 if parameter["constraint"] else 2


def _segment(segment: str, function: Function) -> str:
    parts, end, optional = ["/"], 0, False
    for parameter in _PARAMETER.finditer(segment):
        constraint = _CONSTRAINTS.get((parameter["constraint"] or "").lower())
        if constraint is None:
            raise AppError(f"{function.name}: this host does not know the route constraint {parameter[0]}.")
        expression = r".*" if parameter["catchall"] else constraint
        parts += [re.escape(segment[end : parameter.start()]), f"(?P<{parameter['name']}>{expression})"]
        optional = optional or bool(parameter["optional"] or parameter["catchall"])
        end = parameter.end()
    parts.append(re.escape(segment[end:]))
    return f"(?:{''.join(parts)})?" if optional else "".join(parts)
