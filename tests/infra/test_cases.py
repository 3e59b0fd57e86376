"""What the committed snapshots show of whole deployments."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from infra.checks import snapshots
from infra.checks.project import Case
from infra.checks.rules.roles import NAMES
from infra.checks.rules.settings import as_environment
from shared.settings.app import Settings

ROOT = Path(__file__).parents[2]
CASES = {name: Case.of(name, *snapshots.committed(ROOT, name)) for name in snapshots.names(ROOT)}


def test_two_environments_do_not_touch():
    """Outside its own group all that an environment makes bears its token, but for the roles of a person."""
    tokens = {name: case.outputs["APP_NAME"].removeprefix("func-") for name, case in CASES.items()}
    groups = {name: case.app.id.partition("/providers/")[0] for name, case in CASES.items()}
    assert len(set(tokens.values())) == len(set(groups.values())) == len(CASES)
    case, token, group = (each["existing-account"] for each in (CASES, tokens, groups))
    outside = [each for each in case.resources if not f"{each.id}/".startswith(f"{group}/")]
    shared = [each for each in outside if token not in each.id]
    assert {each.type for each in shared} == {"Microsoft.Authorization/roleAssignments"}
    assert {each.properties["principalType"] for each in shared} == {"User"}
    for name in ("COUNTS_TABLE", "QUARANTINE_CONTAINER", "DEAD_LETTER_CONTAINER", "EVENT_SUBSCRIPTION", "APP_NAME"):
        assert token in case.outputs[name]


def test_nothing_of_a_private_network_is_public():
    """Each account that is made has its public side off, and all that are used have their private endpoints."""
    for name in ("everything", "tokens"):
        case = CASES[name]
        accounts = list(case.made("Microsoft.Storage/storageAccounts"))
        assert {each.properties["publicNetworkAccess"] for each in accounts} == {"Disabled"}
        endpoints = [each.name for each in case.made("Microsoft.Network/privateEndpoints")]
        used = [next(each.name for each in accounts if "sthost" in each.name), case.storage_id.rpartition("/")[2]]
        assert endpoints == [f"pe-{account}-{service}" for account in used for service in ("blob", "table")]


def test_writes_to_the_site_come_one_after_the_other():
    """Each child of the site waits for the one before it: two at a time end in a conflict."""
    text = (ROOT / "infra/app/function-app.bicep").read_text()
    children = re.findall(r"^resource (\w+) '[^']+' = (?:if .*)?\{\n  parent: app\n(?:  .*\n)*?\}", text, re.MULTILINE)
    assert len(children) == 4
    for before, child in pairwise(children):
        assert re.search(rf"^resource {child} [^}}]*dependsOn: \[{before}\]", text, re.MULTILINE)


def test_a_budget_where_one_is_asked_for():
    """None by default; else it tells the operator at a half, at all, and when all is to be expected."""
    assert not list(CASES["new-account"].made("Microsoft.Consumption/budgets"))
    (budget,) = CASES["everything"].made("Microsoft.Consumption/budgets")
    assert budget.properties["amount"] == 200
    told = budget.properties["notifications"].values()
    assert {(each["threshold"], each["thresholdType"]) for each in told} == {
        (50, "Actual"),
        (100, "Actual"),
        (100, "Forecasted"),
    }
    assert {mail for each in told for mail in each["contactEmails"]} == {"operator@example.com"}


def test_the_workbook_shows_what_is_measured():
    """Counts, event age, drift, quarantine, waiters, wakes, 304s and the cost of a day: each has a query."""
    asked = " ".join(query for asker, query in CASES["everything"].queries() if asker.type.endswith("workbooks"))
    names = ("event.age", "status.memory", "drift", "quarantine.size", "waiters", "wakes")
    for each in ("listed", *names, '"304"', "dollars", "* 4096 /"):
        assert each in asked


def test_roles_are_named_after_their_principal():
    """An identity that was made anew gets its roles although those of the old one are still there."""
    for case in CASES.values():
        for each in case.made("Microsoft.Authorization/roleAssignments"):
            principal = str(each.properties["principalId"]).strip("[]")
            assert principal in each.body["name"] or not principal.startswith("reference("), each.body["name"]


def test_an_operator_may_have_a_role_already():
    """What is left out of operatorRoles is not assigned."""
    reader = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    people = [
        each.properties["roleDefinitionId"].rpartition("/")[2]
        for each in CASES["tokens"].made("Microsoft.Authorization/roleAssignments")
        if each.properties["principalType"] == "User"
    ]
    assert len(people) == 3
    assert reader not in people


def test_tokens_permit_cases_wherever_the_case_is_set():
    """With the claim of cases a token is limited to its own, also where CASE_FROM is an extra setting."""
    assert "caseFrom" not in (ROOT / "infra/cases/tokens.bicepparam").read_text()
    settings = Settings.from_environ(as_environment(CASES["tokens"]))
    assert settings.folders.cases is not None
    assert settings.jwt is not None
    assert settings.jwt.cases_claim == "cases"
    assert settings.case_unknown == "not-found"


@pytest.mark.parametrize("name", sorted(set(CASES) - {"tokens"}))
def test_the_command_line_acts_as_the_app_does(name):
    """What azd keeps of the outputs, empty texts included, makes the settings by which events are taken and dropped."""
    app = as_environment(CASES[name])
    storage = {each: value for each, value in app.items() if each.startswith("STORAGE__")}
    kept = CASES[name].outputs | storage
    kept["STATUS_TOPIC_ENDPOINT"] = app["STATUS_TOPIC_ENDPOINT"] if kept["STATUS_TOPIC_ENDPOINT"] else ""

    def decisive(environ):
        found = Settings.from_environ(environ)
        places = (found.counts_table, found.quarantine_container, found.folders.fingerprint("account"))
        return places, found.event_topics, found.verify_deletes, found.quarantine_retention, found.status_topic_endpoint

    assert decisive(kept) == decisive(app)


def test_a_read_only_operator_writes_nothing():
    """With `blobs` and `readTables` a person has the two reader roles and no other."""
    assigned = CASES["hierarchical-namespace"].made("Microsoft.Authorization/roleAssignments")
    people = [each for each in assigned if each.properties["principalType"] == "Group"]
    roles = {str(each.properties["roleDefinitionId"]).rpartition("/")[2] for each in people}
    assert {NAMES[role] for role in roles} == {"Storage Blob Data Reader", "Storage Table Data Reader"}


def test_memory_runs_out_at_nine_tenths():
    """The alert follows the size of the instances."""
    for name, megabytes in (("new-account", 2048), ("everything", 4096)):
        rules = CASES[name].made("Microsoft.Insights/metricAlerts")
        (rule,) = (each for each in rules if each.name == "alert-memory-high")
        assert rule.properties["scopes"] == [CASES[name].app.id]
        (part,) = rule.properties["criteria"]["allOf"]
        assert part["threshold"] == pytest.approx(0.9 * megabytes * 2**20, rel=0.001)


def test_how_instances_are_replaced():
    """All at once unless the preview is asked for; never left to the platform's default."""
    for name, case in CASES.items():
        found = case.app.properties["functionAppConfig"]["siteUpdateStrategy"]
        assert found == {"type": "RollingUpdate" if name == "everything" else "Recreate"}
