"""The rules of the layout, read off the source: what may import what, who may list, how small the triggers are."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.serving import endpoints
from tests.builders import ROOT

SHARED = sorted((ROOT / "shared").rglob("*.py"))
APP = [ROOT / "function_app.py", *SHARED]
LISTS = re.compile(r"\b(list_blobs|list_blob_names|walk_blobs|find_blobs_by_tags|list_containers)\b")
MAX_TRIGGER_LINES = 10


def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def imports_of(tree: ast.AST) -> set[str]:
    """Return the dotted names of all that is imported, wherever; ``from a import b`` is ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            found.update((str(node.module), *(f"{node.module}.{name.name}" for name in node.names)))
    return found


def calls_of(tree: ast.AST, function: str) -> list[ast.Call]:
    """Return all calls of a function or class by its bare name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "shared" / "model").glob("*.py")), ids=lambda path: path.stem)
def test_the_model_waits_for_nothing(path):
    """Values and pure functions decide at once."""
    tree = tree_of(path)
    assert not {"asyncio", "threading", "time", "os", "socket", "random"} & imports_of(tree)
    if path.stem != "ports":
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


@pytest.mark.parametrize("path", APP, ids=lambda path: path.stem)
def test_i10_only_the_listing_lists(path):
    """I10: no call that lists blobs or containers stands outside of shared/azure/listing.py."""
    assert bool(LISTS.search(path.read_text())) is (path.stem == "listing")


@pytest.mark.parametrize("path", APP, ids=lambda path: path.stem)
def test_i10_only_the_root_imports_the_listing(path):
    """I10: the listing is imported where the app is wired."""
    assert ("shared.azure.listing" in imports_of(tree_of(path))) is (path.stem == "services")


def test_i10_only_the_reconciler_is_given_a_listing():
    """I10: the one BlobListing that is made goes straight into the Reconciler."""
    made = {path.stem: calls_of(tree_of(path), "BlobListing") for path in APP}
    assert {stem for stem, calls in made.items() if calls} == {"services"}
    (listing,) = made["services"]
    (reconciler,) = calls_of(tree_of(ROOT / "shared" / "services.py"), "Reconciler")
    inside = [ast.dump(each) for each in ast.walk(reconciler)]
    assert ast.dump(listing) in inside


def test_i10_only_the_reconciler_takes_a_listing():
    """I10: no other module than the reconciler's so much as names the Listing port."""
    named = [
        path.stem
        for path in APP
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and "Listing" in {name.name for name in node.names}
    ]
    assert sorted(named) == ["parts"]


#: A room, a module of it, and what it must not import: one a row of the table in docs/architecture.md, and circles.
VIOLATIONS = [
    ("every room has its place", "model/ledger", "shared.writing.plan"),
    ("every room has its place", "writing/plan", "shared.reconciling.run"),
    ("every room has its place", "serving/cors", "shared.intake.delivery"),
    ("every room has its place", "serving/cors", "shared.services"),
    ("every room has its place", "clock", "shared.model.tally"),
    ("settings:", "settings/storage", "shared.model.tally"),
    ("process:", "process/telemetry", "shared.model.tally"),
    ("azure:", "azure/heads", "shared.process.telemetry"),
    ("writing:", "writing/plan", "shared.process.stop_signal"),
    ("reconciling:", "reconciling/run", "shared.azure.table"),
    ("watching:", "watching/waiters", "shared.writing.writer"),
    ("intake:", "intake/delivery", "shared.watching.watch"),
    ("serving:", "serving/cors", "shared.writing.tally_row"),
    ("services:", "../localdev/ports", "shared.services"),
    ("engines know no SDK and no HTTP", "watching/waiters", "aiohttp"),
    ("only azure/", "serving/cors", "azure.core"),
    ("what is deployed needs no tool", "writing/plan", "localdev.ports"),
    ("nothing but tests imports tests", "../bench/writing/naive", "tests.e2e.stack"),
    ("no circles", "reconciling/run", "shared.reconciling.lease"),
]


def lint_imports(where: Path) -> str:
    """Return what import-linter says of the contracts that are broken there, "" for none."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"]
    environ = {**os.environ, "PYTHONPATH": str(where), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=False)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the Python sources."""
    where = tmp_path_factory.mktemp("sources")
    for folder in ("shared", "ops", "bench", "localdev", "infra"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", "*.json", "results")
        shutil.copytree(ROOT / folder, where / folder, ignore=ignored)
    return where


def test_who_may_import_whom(sources: Path) -> None:
    """As the table in docs/architecture.md has it; nothing is imported in a circle."""
    assert lint_imports(sources) == ""


@pytest.mark.parametrize(("contract", "module", "imported"), VIOLATIONS)
def test_every_row_of_the_table_is_held(sources: Path, contract: str, module: str, imported: str) -> None:
    """One import too many, and it is named."""
    path = sources / "shared" / f"{module}.py"
    before = path.read_text()
    path.write_text(f"{before}\nimport {imported}\n")
    try:
        said = lint_imports(sources)
    finally:
        path.write_text(before)
    assert any(line.startswith(contract) and line.endswith("BROKEN") for line in said.splitlines()), said


#: Modules that have no test file of their own name, because another one tests them together with their neighbours.
TESTED_IN = {
    "azure/clients": "azure/test_batch",
    "azure/quarantine_bodies": "intake/test_quarantine",
    "intake/quarantine_rows": "intake/test_quarantine",
    "model/changes": "intake/test_event_grid",
    "model/ports": "contract/test_table",
    "process/exporters": "security/test_secrets",
    "reconciling/lease": "reconciling/test_run",
    "reconciling/report": "reconciling/test_reconciler",
    "reconciling/stages": "reconciling/test_reconciler",
    "serving/health": "serving/test_endpoints",
    "watching/topic": "watching/test_watch",
    "serving/issuer_keys": "serving/test_issuer",
    "serving/problems": "serving/test_protocol",
    "settings/tokens": "settings/test_app",
    "writing/group_commit": "writing/test_writer",
    "writing/inbox": "writing/test_handover",
    "writing/naming": "writing/test_handover",
    "writing/tally_row": "reconciling/test_recount",
}
#: A shorter module may do without.
LONG_LINES = 60


def test_whoever_changes_a_module_finds_its_tests():
    """In its room, under its name, or where this list says; the list names no module that has a file of its own."""
    tests = ROOT / "tests"
    modules = [
        path for path in SHARED if path.parent.name != "shared" and len(path.read_text().splitlines()) > LONG_LINES
    ]
    without = {
        f"{path.parent.name}/{path.stem}"
        for path in modules
        if not (tests / path.parent.name / f"test_{path.stem}.py").is_file()
    }
    assert without == TESTED_IN.keys()
    assert all((tests / f"{where}.py").is_file() for where in TESTED_IN.values())


def triggers() -> list[ast.AsyncFunctionDef]:
    """Return the decorated functions of function_app.py."""
    return [node for node in tree_of(APP[0]).body if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list]


def test_the_triggers_are_found():
    """The app has its triggers, each with a docstring."""
    names = [trigger.name for trigger in triggers()]
    assert [name for name in names if not name.endswith("_options")] == [
        *("on_blob_event", "get_status", "stream_status", "health", "get_openapi", "reconcile")
    ]
    assert all(ast.get_docstring(trigger) for trigger in triggers())


@pytest.mark.parametrize("trigger", triggers(), ids=lambda trigger: trigger.name)
def test_triggers_are_short(trigger):
    """A trigger only hands over: at most ten lines, and nothing that branches."""
    last = trigger.body[-1].end_lineno
    assert last is not None
    assert last - trigger.body[0].lineno + 1 <= MAX_TRIGGER_LINES
    assert not [node for node in ast.walk(trigger) if isinstance(node, ast.If | ast.For | ast.While | ast.Try)]


def test_blob_events_arrive_as_text():
    """The event's parameter is annotated ``str``: the typed converter fails outside of the app's reach."""
    (event,) = next(trigger for trigger in triggers() if trigger.name == "on_blob_event").args.args
    assert isinstance(event.annotation, ast.Name)
    assert event.annotation.id == "str"


@pytest.mark.parametrize("path", APP, ids=lambda path: path.stem)
def test_modules_explain_themselves(path):
    """Every module begins with what it is for."""
    assert ast.get_docstring(tree_of(path))


def test_the_local_host_shares_one_module_with_the_app():
    """The runtime host runs any app; of this one it has the parser of schedules, which must not exist twice."""
    hosts = [tree_of(path) for path in (ROOT / "localdev" / "host").glob("*.py")]
    named = {
        name
        for tree in hosts
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert {name for name in named if name.partition(".")[0] in {"shared", "function_app", "ops"}} == {
        "shared.model.schedule"
    }


def routes() -> dict[str, dict[str, ast.Call]]:
    """Return the routes: template → name of the constant with its methods → the decorator."""
    found: dict[str, dict[str, ast.Call]] = {}
    for trigger in triggers():
        for call in trigger.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "route":
                methods = next(each.value for each in call.keywords if each.arg == "methods")
                found.setdefault(ast.literal_eval(call.args[0]), {})[ast.unparse(methods)] = call
    return found


def test_preflights_need_no_key():
    """Each route has a trigger for OPTIONS that the platform lets everybody reach; no other takes that method."""
    assert len(routes()) == 4
    for by_methods in routes().values():
        assert set(by_methods) == {"endpoints.METHODS", "endpoints.PREFLIGHT"}
        levels = {each.arg: ast.unparse(each.value) for each in by_methods["endpoints.PREFLIGHT"].keywords}
        assert levels["auth_level"] == "func.AuthLevel.ANONYMOUS"
    assert endpoints.PREFLIGHT == ("OPTIONS",)
    assert "OPTIONS" not in endpoints.METHODS
