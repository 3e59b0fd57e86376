"""The OpenAPI document is valid, and says of routes, parameters, limits, codes and members what the code does."""

from __future__ import annotations

import ast
import json
import re
import tomllib

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from shared import errors
from shared.serving import endpoints, openapi, problems, protocol
from shared.serving.problems import PROBLEMS, BadRequest
from tests.builders import ROOT, snapshot

DOCUMENT = openapi.document(has_cases=True)
PATHS = DOCUMENT["paths"]


def parameters(path, kind):
    """Return the names of a path's documented parameters."""
    return {each["name"] for each in PATHS[path]["get"]["parameters"] if each["in"] == kind}


def test_it_is_valid():
    """By the specification's own schema."""
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_it_is_of_this_version():
    """The app's version is pyproject's."""
    assert DOCUMENT["info"]["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_it_has_the_routes_of_the_app():
    """All of them, under the host's prefix, each with the methods that are answered."""
    tree = ast.parse((ROOT / "function_app.py").read_text())
    routes = {
        f"/{call.args[0].value}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "route"
    }
    assert set(PATHS) == routes
    prefix = json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"]
    assert DOCUMENT["servers"] == [{"url": f"/{prefix}"}]
    for path in PATHS.values():
        assert {method.upper() for method in path if method != "parameters"} == set(endpoints.ALLOW.split(", "))


def test_without_cases_it_does_not_speak_of_them():
    """Then they have no routes either."""
    text = json.dumps(openapi.document())
    assert not any(word in text for word in ("{case}", "case-unknown", "case-not-permitted"))


def test_it_has_the_parameters_that_are_read():
    """Those that shared/serving/protocol.py asks for, and no others."""
    source = (ROOT / "shared" / "serving" / "protocol.py").read_text()
    read = set(re.findall(r'_(?:single|values)\((?:query|headers), "([^"]+)"\)', source))
    status, stream = "/cases/storage/status", "/cases/storage/status/stream"
    documented = parameters(status, "query") | parameters(stream, "query")
    documented |= {name.lower() for name in parameters(status, "header") | parameters(stream, "header")}
    assert documented == read


@pytest.mark.parametrize("path", ["/cases/storage/status", "/cases/storage/status/stream"])
def test_the_longest_value_is_the_longest(path):
    """As long as documented is taken, one more is refused."""
    for each in PATHS[path]["get"]["parameters"]:
        if each["name"] == "from":
            continue
        longest = each["schema"]["maxLength"]
        for length in (longest, longest + 1):
            value = "1" * length
            headers = [(each["name"].lower(), value)] if each["in"] == "header" else []
            query = [] if headers else [(each["name"], value)]
            read = (
                protocol.parse_last_event_id
                if path.endswith("stream")
                else lambda h, q: protocol.parse_status_query(h, q, 60)
            )
            if length == longest:
                read(headers, query)
            else:
                with pytest.raises(BadRequest):
                    read(headers, query)


@pytest.mark.parametrize("value", ["0", "25", "0.5", "007", "", "-1", "1e3", "NaN", "1.", ".5", " 1", "\u0661", "1\n"])
def test_a_wait_is_what_the_pattern_says(value):
    """The documented pattern and the code agree."""
    (wait,) = (each for each in PATHS["/cases/storage/status"]["get"]["parameters"] if each["name"] == "wait")
    try:
        protocol.parse_status_query([], [("wait", value)], 60)
        taken = True
    except BadRequest:
        taken = False
    assert bool(re.search(wait["schema"]["pattern"].replace("$", r"\Z"), value)) is taken


def test_it_has_every_problem():
    """Each problem is among the codes of its status, and nothing else is; each kind of error has one of its own."""
    responses = DOCUMENT["components"]["responses"]
    documented = {
        (int(status), code)
        for status, response in responses.items()
        for code in re.findall("`([^`]+)`", response["description"])
    }
    assert documented == {(each.status, each.code) for each in PROBLEMS.values()}
    codes = [each.code for each in PROBLEMS.values()]
    assert len(set(codes)) == len(codes)
    assert DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(codes)
    kinds = {each for module in (errors, problems) for each in vars(module).values() if isinstance(each, type)}
    answered = (errors.Unavailable, problems.RequestError, problems.InternalError)
    assert {each for each in kinds if issubclass(each, answered)} - {problems.RequestError} == PROBLEMS.keys()


def test_there_is_one_problem():
    """One type for all of them, whatever the status: generators make an exception of each schema that they see."""
    found = {
        json.dumps(response["content"][problems.MEDIA_TYPE])
        for response in DOCUMENT["components"]["responses"].values()
    }
    assert found == {json.dumps({"schema": {"$ref": "#/components/schemas/Problem"}})}


def test_a_problem_has_the_members_that_are_written():
    """What shared/serving/problems.py writes is what is documented."""
    written = json.loads(problems.document(BadRequest("why")))
    assert list(written) == DOCUMENT["components"]["schemas"]["Problem"]["required"]


@pytest.mark.parametrize(
    ("name", "served"),
    [("StatusData", snapshot().data), ("EventData", json.loads(snapshot().frame.partition(b"data: ")[2]))],
)
def test_further_folders_are_counts(name, served):
    """A member that is not described is the count of a further folder."""
    schema = Draft202012Validator(DOCUMENT["components"]["schemas"][name])
    assert schema.is_valid(served)
    assert schema.is_valid(served | {"failed": 2})
    assert not any(schema.is_valid(served | {"failed": odd}) for odd in (-1, "2", 0.5, None))


def test_everything_described_is_referred_to():
    """No component is left over."""
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "headers", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f'#/components/{kind}/{name}"' in text, name
