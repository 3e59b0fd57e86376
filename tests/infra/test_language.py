"""The part of Bicep that the checks understand is understood rightly, and the rest is said not to be."""

from __future__ import annotations

import pytest

from infra.checks import source, symbols
from infra.checks.evaluate import deploy
from infra.checks.finding import CheckError


@pytest.fixture
def outputs(tmp_path):
    """Return a function that evaluates outputs."""

    def evaluate(text, **parameters):
        path = tmp_path / "x.bicep"
        path.write_text(text)
        file, wrong = source.read(path, tmp_path)
        assert not wrong, wrong
        assert not list(symbols.check({path: file}))
        return deploy({path: file}, path, parameters).outputs

    return evaluate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a${1}b'", "a1b"),
        (r"'it\'s \n'", "it's \n"),
        ("true ? 'yes' : 'no'", "yes"),
        ("!empty([])", False),
        ("1 + 2 * 3 == 7 && 2 > 1", True),
        ("null ?? 'x'", "x"),
        ("union({ a: { b: 1 } }, { a: { c: 2 } })", {"a": {"b": 1, "c": 2}}),
        ("union(['a', 'b'], ['b', 'c'])", ["a", "b", "c"]),
        ("map(filter(['a', ''], x => !empty(x)), x => '${x}/')", ["a/"]),
        ("[for (x, i) in ['a', 'b']: '${i}${x}']", ["0a", "1b"]),
        ("string(true)", "True"),
        ("resourceId('rg', 'A.B/c/d', 'x', 'y')", "/resourceGroups/rg/providers/A.B/c/x/d/y"),
        ("{ a: { b: ['x'] } }.a.b[0]", "x"),
    ],
)
def test_expressions(outputs, expression, value):
    """Expressions have the values that Bicep gives them."""
    found = outputs(f"output o string = {expression}")["o"]
    assert found.endswith(value) if isinstance(found, str) else found == value


def test_what_only_azure_knows_stays_open(outputs):
    """A member of a resource is a value that names it, also inside of texts."""
    text = "resource a 'A.B/c@1' existing = {\n  name: 'x'\n}\noutput o string = 'https://${a.properties.host}/'"
    assert outputs(text)["o"].endswith("/providers/A.B/c/x.properties.host}/")


@pytest.mark.parametrize(
    "expression", ["dateTimeAdd('x', 'P1D')", "listKeys('x')", "1 % 2", "{ a: 1, a: 2 }", "{ a: 1 }.b", "take(1, 1)"]
)
def test_what_is_not_known_is_said(outputs, expression):
    """Functions, operators and mistakes that cannot be evaluated are errors, never values."""
    with pytest.raises((CheckError, AssertionError)):
        outputs(f"output o string = {expression}")


def test_parameters(outputs):
    """Parameters take their limits from the decorators."""
    text = "@minValue(2)\n@maxValue(3)\nparam p int\noutput o int = p"
    assert outputs(text, p=3) == {"o": 3}
    for wrong in ({"p": 4}, {"p": "3"}, {}, {"p": 2, "q": 1}):
        with pytest.raises(CheckError):
            outputs(text, **wrong)
