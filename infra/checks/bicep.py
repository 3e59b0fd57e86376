"""The official Bicep compiler, spoken to over its standard input and output.

One process answers in tenths of a second; one process a file would take seconds. The protocol is JSON-RPC 2.0 with
``Content-Length`` headers: https://github.com/Azure/bicep/blob/main/docs/experimental/jsonrpc-command.md
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from infra.checks.finding import CheckError, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The version that the committed snapshots come from. Another one may write them differently.
VERSION: Final = (Path(__file__).parents[1] / "bicep.version").read_text().strip()
SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
#: .NET's runtime, told that its process will not run for long: a third less of processor time, as measured.
_FOR_A_MINUTE: Final = {"DOTNET_TieredPGO": "0", "DOTNET_GCgen0size": "0x4000000"}
WHERE_FROM: Final = (
    f"az bicep install --version v{VERSION}, or https://github.com/Azure/bicep/releases/tag/v{VERSION}; "
    "looked for in $BICEP, PATH, ~/.azd/bin, ~/.azure/bin"
)


def find() -> str | None:
    """Return the compiler: $BICEP, else the one in PATH, else azd's or az's own."""
    if named := os.environ.get("BICEP"):
        return named
    own = os.pathsep.join(str(Path.home() / each / "bin") for each in (".azd", ".azure"))
    return shutil.which("bicep") or shutil.which("bicep", path=own)


class Bicep:
    """A compiler that runs until the ``with`` block ends.

    Args:
        program: Its path.

    Attributes:
        version: What it says it is.
    """

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - named by whoever runs the check
            [program, "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_FOR_A_MINUTE | os.environ,
        )
        self._calls = 0
        self.version = str(self._call("bicep/version")["version"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def compile(self, path: Path, root: Path) -> Iterator[Finding]:
        """Iterate over whatever the compiler and its linter have to say of a file and of its modules.

        Args:
            path: A .bicep or a .bicepparam file.
            root: What findings name files relative to.
        """
        if path.suffix == ".bicep":
            answer = self._call("bicep/compile", path=str(path.resolve()))
        else:
            answer = self._call("bicep/compileParams", path=str(path.resolve()), parameterOverrides={})
        for each in answer["diagnostics"]:
            source, line = Path(each["source"]), each["range"]["start"]["line"] + 1
            name = source.relative_to(root) if source.is_relative_to(root) else source.name
            yield Finding(f"{name}:{line}", f"{each['code']}: {each['message']}")

    def snapshot(self, path: Path, group: str | None = None) -> dict[str, Any]:
        """Return what a .bicepparam file would deploy: ``predictedResources``, ``diagnostics``, ``outputs``.

        Args:
            path: The file.
            group: The resource group that is deployed into; None for a deployment into the subscription.

        Raises:
            CheckError: It does not compile.
        """
        where = {"subscriptionId": SUBSCRIPTION, "resourceGroup": group, "location": "northeurope", "tenantId": None}
        asked = {"metadata": where | {"deploymentName": "check"}, "externalInputs": []}
        try:
            answer = self._call("bicep/getSnapshot", path=str(path.resolve()), **asked)
        except CheckError as error:
            raise CheckError(*(tuple(self.compile(path, path.parent)) or error.findings)) from None
        found: dict[str, Any] = json.loads(answer["snapshot"])
        return found

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._calls += 1
        asked = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": parameters}
        sent, got = self._process.stdin, self._process.stdout
        assert sent is not None and got is not None  # noqa: S101, PT018 - pipes, as asked for
        body = json.dumps(asked).encode()
        sent.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        sent.flush()
        length = 0
        while header := got.readline().strip():
            length = int(header.partition(b":")[2])
        answer = json.loads(got.read(length) or b"{}")
        if "result" not in answer:
            said = answer.get("error", {}).get("message", "it ended")
            raise CheckError(Finding("bicep", f"{method} {parameters.get('path', '')}: {said}"))
        result: dict[str, Any] = answer["result"]
        return result
