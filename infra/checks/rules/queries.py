"""Queries of alerts and workbook against language and tables: one that does not run is an alert that never comes.

The parser is Microsoft's own (npm, `@kusto/language-service-next`), so names, operators and types are checked as Azure
does. The tables are those that Application Insights fills, with the columns that their documentation names.
"""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.checks.finding import CheckError, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Project

#: https://learn.microsoft.com/azure/azure-monitor/reference/tables/apptraces (and the other tables)
_COMMON: Final = (
    "TimeGenerated:datetime, AppRoleInstance:string, AppRoleName:string, AppVersion:string, ClientType:string, "
    "IKey:string, ItemCount:int, OperationId:string, OperationName:string, ParentId:string, Properties:dynamic, "
    "ResourceGUID:string, SDKVersion:string, SyntheticSource:string, Type:string, _ResourceId:string, _BilledSize:real"
)
TABLES: Final = {
    "AppTraces": f"({_COMMON}, Message:string, SeverityLevel:int, ReferencedItemId:string)",
    "AppExceptions": f"({_COMMON}, ExceptionType:string, OuterType:string, OuterMessage:string, ProblemId:string, "
    "SeverityLevel:int)",
    "AppMetrics": f"({_COMMON}, Name:string, Sum:real, Min:real, Max:real)",
    "Usage": "(TimeGenerated:datetime, DataType:string, IsBillable:bool, Quantity:real, QuantityUnit:string)",
    "AppRequests": f"({_COMMON}, Id:string, Name:string, Url:string, Source:string, Success:boolean, "
    "ResultCode:string, DurationMs:real, PerformanceBucket:string, Measurements:dynamic)",
}
ROOT: Final = Path(__file__).parents[3]
_SCRIPT: Final = Path(__file__).parents[1] / "kusto.cjs"


def check(project: Project) -> Iterator[Finding]:
    """Check the queries of all cases."""
    for case in project.cases:
        for asker, query in case.queries():
            for message in wrong_with(query):
                yield asker.finding(f"query: {message} In: {query}")


@functools.cache
def wrong_with(query: str) -> list[str]:
    """Return what is wrong with a query.

    Raises:
        CheckError: The parser is not installed.
    """
    parser = _parser()
    assert parser.stdin is not None and parser.stdout is not None  # noqa: S101, PT018 - pipes, as asked for
    try:
        parser.stdin.write(f"{json.dumps(query)}\n")
        parser.stdin.flush()
        found: list[str] = json.loads(parser.stdout.readline())
    except (OSError, ValueError):
        text = "the parser of queries does not run (make setup)"
        raise CheckError(Finding("infra/checks/kusto.cjs", text)) from None
    return found


@functools.cache
def _parser() -> subprocess.Popen[str]:
    """Start the parser; it ends with this process."""
    command = ["node", str(_SCRIPT), str(ROOT / "localdev"), json.dumps(TABLES)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    atexit.register(started.communicate)
    return started
