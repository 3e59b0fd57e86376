"""Expressions of the Bicep language, evaluated on their syntax trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import CheckError, Finding
from infra.checks.functions import FUNCTIONS, Runtime, group_id
from infra.checks.source import line_of, text_of
from infra.checks.symbols import bound_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tree_sitter import Node

_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Expressions:
    """Evaluates expressions of one file.

    Args:
        file: Its name, for findings.
        group: The resource group that is deployed into.
        value_of: Returns what a declared name stands for; raises KeyError for one that is not declared.
        known: What is known of a resource: name → value, or None for anything else than a resource.
    """

    def __init__(
        self,
        file: str,
        group: str,
        value_of: Callable[[str], Any],
        known: Callable[[Any], dict[str, str] | None],
    ) -> None:
        self._file = file
        self._group = group
        self._value_of = value_of
        self._known = known

    def error(self, line: int, message: str) -> CheckError:
        """Return the error that says this of a line."""
        return CheckError(Finding(self._file, line, message))

    def rounds(self, loop: Node, bound: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Iterate over a loop: the bound names of each round."""
        names = bound_names(loop)
        body = loop.child_by_field_name("body") or loop.named_children[-1]
        over = [each for each in loop.named_children if each.type != "comment"]
        values = self.evaluate(over[over.index(body) - 1], bound)
        for index, value in enumerate(values):
            yield {**bound, names[0]: value, **({names[1]: index} if len(names) > 1 else {})}

    def evaluate(self, node: Node | None, bound: Mapping[str, Any]) -> Any:
        """Return an expression's value; ``bound`` are the names of loops and lambdas around it."""
        if node is None:
            return None
        method = getattr(self, f"_eval_{node.type}", None)
        if method is None:
            raise self.error(line_of(node), f"this check cannot evaluate {node.type}: {text_of(node)[:60]!r}")
        return method(node, bound)

    def _eval_parenthesized_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        return self.evaluate(node.named_children[0], bound)

    def _eval_number(self, node: Node, _: Mapping[str, Any]) -> int:
        return int(text_of(node))

    def _eval_boolean(self, node: Node, _: Mapping[str, Any]) -> bool:
        return text_of(node) == "true"

    def _eval_null(self, _: Node, __: Mapping[str, Any]) -> None:
        return None

    def _eval_string(self, node: Node, bound: Mapping[str, Any]) -> str:
        parts: list[Any] = []
        for each in node.named_children:
            if each.type == "interpolation":
                parts.append(self.evaluate(each.named_children[0], bound))
            else:
                text = text_of(each)
                parts.append(_ESCAPES.get(text[1], text[1]) if each.type == "escape_sequence" else text)
        joined = "".join(map(str, parts))
        return Runtime(joined) if any(isinstance(part, Runtime) for part in parts) else joined

    def _eval_array(self, node: Node, bound: Mapping[str, Any]) -> list[Any]:
        return [self.evaluate(each, bound) for each in node.named_children if each.type != "comment"]

    def _eval_object(self, node: Node, bound: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in node.named_children:
            if each.type == "object_property":
                key, value = [part for part in each.named_children if part.type != "comment"]
                name = str(self.evaluate(key, bound)) if key.type == "string" else text_of(key)
                if name in found:
                    raise self.error(line_of(each), f"{name} is there twice")
                found[name] = self.evaluate(value, bound)
        return found

    def _eval_for_statement(self, node: Node, bound: Mapping[str, Any]) -> list[Any]:
        body = node.child_by_field_name("body") or node.named_children[-1]
        return [self.evaluate(body, each) for each in self.rounds(node, dict(bound))]

    def _eval_identifier(self, node: Node, bound: Mapping[str, Any]) -> Any:
        name = text_of(node)
        if name in bound:
            return bound[name]
        try:
            return self._value_of(name)
        except KeyError:
            raise self.error(line_of(node), f"{name} is not declared") from None

    def _eval_ternary_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        test, yes, no = [each for each in node.named_children if each.type != "comment"]
        return self.evaluate(yes if self.evaluate(test, bound) else no, bound)

    def _eval_unary_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        value = self.evaluate(node.named_children[-1], bound)
        return not value if text_of(node).startswith("!") else -value

    def _eval_binary_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        left, right = (self.evaluate(node.child_by_field_name(side), bound) for side in ("left", "right"))
        operator = text_of(node.child_by_field_name("operator") or node.children[1])
        known: dict[str, Callable[[], Any]] = {
            "==": lambda: left == right,
            "!=": lambda: left != right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            "&&": lambda: left and right,
            "||": lambda: left or right,
            "??": lambda: right if left is None else left,
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
        }
        if operator not in known:
            raise self.error(line_of(node), f"this check does not know the operator {operator}")
        return known[operator]()

    def _eval_lambda_expression(self, node: Node, bound: Mapping[str, Any]) -> Callable[..., Any]:
        names = bound_names(node)
        return lambda *values: self.evaluate(
            node.named_children[-1], {**bound, **dict(zip(names, values, strict=True))}
        )

    def _eval_call_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        name = text_of(node.child_by_field_name("function") or node.named_children[0])
        arguments = node.child_by_field_name("arguments")
        values = [
            self.evaluate(each, bound)
            for each in (arguments.named_children if arguments else [])
            if each.type != "comment"
        ]
        if name == "resourceGroup" and not values:
            return {"name": self._group, "id": group_id(self._group), "location": Runtime("{group}.location")}
        if name == "resourceId" and "/" in values[0]:
            values = [self._group, *values]
        try:
            return FUNCTIONS[name](*values)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise self.error(line_of(node), f"{name}(…) cannot be evaluated: {error!r}") from error

    def _eval_subscript_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        value, index = (self.evaluate(node.child_by_field_name(part), bound) for part in ("object", "index"))
        return value[index]

    def _eval_member_expression(self, node: Node, bound: Mapping[str, Any]) -> Any:
        inner, name = node.child_by_field_name("object"), text_of(node.child_by_field_name("property") or node)
        value = self.evaluate(inner, bound)
        known = self._known(value)
        if known is not None:
            return known.get(name) or Runtime(f"{{{known['id']}.{name}}}")
        if isinstance(value, Runtime):
            return Runtime(f"{value[:-1]}.{name}}}" if value.endswith("}") else f"{value}.{name}")
        if not isinstance(value, dict) or name not in value:
            raise self.error(line_of(node), f"{text_of(inner) if inner else value} has no {name}")
        return value[name]
