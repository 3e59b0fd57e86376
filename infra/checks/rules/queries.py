"""Alerts' queries against the language and the tables: one that does not run is an alert that never comes.

The parser is Microsoft's own (npm, `@kusto/language-service-next`), so names, operators and types are checked as Azure
does. The tables are those that Application Insights fills, with the columns that their documentation names.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.checks.finding import CheckError, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Project

#: https://learn.microsoft.com/azure/azure-monitor/reference/tables/apptraces (and apprequests, appmetrics)
_COMMON: Final = (
    "TimeGenerated:datetime, AppRoleInstance:string, AppRoleName:string, AppVersion:string, ClientType:string, "
    "IKey:string, ItemCount:int, OperationId:string, OperationName:string, ParentId:string, Properties:dynamic, "
    "ResourceGUID:string, SDKVersion:string, SyntheticSource:string, Type:string, _ResourceId:string"
)
TABLES: Final = {
    "AppTraces": f"({_COMMON}, Message:string, SeverityLevel:int, ReferencedItemId:string)",
    "AppMetrics": f"({_COMMON}, Name:string, Sum:real, Min:real, Max:real)",
    "AppRequests": f"({_COMMON}, Id:string, Name:string, Url:string, Source:string, Success:boolean, "
    "ResultCode:string, DurationMs:real, PerformanceBucket:string, Measurements:dynamic)",
}
ROOT: Final = Path(__file__).parents[3]
_SCRIPT: Final = Path(__file__).parents[1] / "kusto.cjs"
_TIMEOUT_SECONDS: Final = 60


def check(project: Project) -> Iterator[Finding]:
    """Check the queries of all scenarios."""
    rules = [each for case in project.cases for each in case.made("Microsoft.Insights/scheduledQueryRules")]
    asked = [(each, str(part["query"])) for each in rules for part in each.body["properties"]["criteria"]["allOf"]]
    found = wrong_with(tuple(sorted({query for _, query in asked})))
    for rule, query in asked:
        for message in found[query]:
            yield Finding(rule.file, rule.line, f"alerts: {message} In: {query}")


@functools.cache
def wrong_with(queries: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what is wrong with each query.

    Raises:
        CheckError: The parser is not installed.
    """
    done = subprocess.run(  # noqa: S603 - what runs is ours
        ["node", str(_SCRIPT), str(ROOT / "localdev")],  # noqa: S607 - wherever Node is
        input=json.dumps({"tables": TABLES, "queries": queries}),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise CheckError(
            Finding("infra/checks/kusto.cjs", 0, f"the parser of queries does not run (make setup): {last}")
        )
    return dict(zip(queries, json.loads(done.stdout), strict=True))
