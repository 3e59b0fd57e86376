"""The search for secrets finds what is planted, wherever it is written, and says its name but never the secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leaks import secrets
from tests.leaks.secrets import found, masked, secret
from tests.leaks.written import EXEMPT, LogFile, Text, Written

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 60

#: Each writes a secret of its own name somewhere, and would pass.
PLANTED = """
import asyncio, http.server, logging, os, subprocess, sys, threading
from pathlib import Path
import httpx, pytest
from tests.leaks.secrets import secret

def planted(name):
    return secret(f"planted in {name}", f"{name}-{os.environ['PLANTED']}-{name}")

def say(text):
    return [sys.executable, "-c", f"print({text!r}, end='')"]

def test_innocent():
    print("nothing")
    logging.warning("nothing")
    assert subprocess.run(say("nothing\\n"), capture_output=True, text=True).stdout == "nothing\\n"

def test_log_file(tmp_path):
    with (tmp_path / "some.log").open("wb") as log:
        subprocess.Popen(say(planted("log file") + "\\n"), stdout=log, stderr=log).wait()

def test_pipe():
    text = planted("pipe") + "\\n"
    assert subprocess.run(say(text), capture_output=True, text=True).stdout == text

async def asynchronous():
    text = planted("asynchronous pipe") + "\\n"
    process = await asyncio.create_subprocess_exec(*say(text), stdout=subprocess.PIPE)
    assert (await process.communicate())[0] == text.encode()

def test_asynchronous_pipe():
    asyncio.run(asynchronous())

def test_log_record():
    logging.getLogger("any").error("refused: %s", planted("log record"))

def test_debug_record_of_ours():
    logging.getLogger("shared.any").debug("seen", extra={"header": planted("debug record")})

def test_traceback():
    try:
        raise ValueError(planted("traceback"))
    except ValueError:
        logging.exception("failed")

@pytest.fixture(scope="module")
def answering():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.headers["echo-body"].encode()
            self.send_response(200)
            self.send_header("x-echo", self.headers["echo-header"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()

def test_answer(answering):
    body = planted("answer")
    assert httpx.get(f"http://127.0.0.1:{answering}", headers={"echo-body": body, "echo-header": "x"}).text == body

def test_header(answering):
    httpx.get(f"http://127.0.0.1:{answering}", headers={"echo-body": "", "echo-header": planted("header")})

async def stream(port):
    headers = {"echo-body": planted("stream"), "echo-header": "x"}
    async with httpx.AsyncClient() as client, client.stream("GET", f"http://127.0.0.1:{port}", headers=headers) as got:
        assert [part async for part in got.aiter_bytes()]

def test_stream(answering):
    asyncio.run(stream(answering))

async def as_bytes(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET / HTTP/1.0\\r\\necho-body: {planted('bytes')}\\r\\necho-header: x\\r\\n\\r\\n".encode())
    assert await reader.read()
    writer.close()

def test_bytes(answering):
    asyncio.run(as_bytes(answering))

def test_taken_from_capture(capsys):
    print(planted("capture"))
    capsys.readouterr()

def test_printed():
    print(planted("print"))

def test_unregistered():
    logging.warning("asked with ?co" + "de=" + "unregistered-" + os.environ["PLANTED"])

def test_the_last_line(tmp_path):
    with (tmp_path / "half.log").open("wb") as log:
        subprocess.Popen(say(planted("half line")), stdout=log).wait()
"""
#: Test → what is found, where the test itself fails. What it prints is searched with the next one.
FAILING = {
    "test_log_file": "planted in log file, in log file ",
    "test_pipe": "planted in pipe, in output python -c",
    "test_asynchronous_pipe": "planted in asynchronous pipe, in output python -c",
    "test_log_record": "planted in log record, in log record any",
    "test_debug_record_of_ours": "planted in debug record, in log record shared.any",
    "test_traceback": "planted in traceback, in log record root",
    "test_answer": "planted in answer, in response 200 to GET /",
    "test_header": "planted in header, in response 200 to GET /",
    "test_stream": "planted in stream, in response 200 to GET /",
    "test_bytes": "planted in bytes, in response to bytes",
    "test_taken_from_capture": "planted in capture, in printed text",
    "test_unregistered": "a key in an address, in log record root",
}


def run(folder: Path, text: str, planted: str) -> subprocess.CompletedProcess[str]:
    """Run some tests with the plug-in, in a process of its own."""
    file = folder / "test_planted.py"
    file.write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.leaks.plugin", "-c", os.devnull, "--rootdir", str(folder)]
    environ = {**os.environ, "PLANTED": planted}
    command += ["-p", "no:cacheprovider", "-p", "no:schemathesis", "--basetemp", str(folder / "temp"), str(file)]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run the planted tests."""
    return run(tmp_path_factory.mktemp("planted"), PLANTED, planted=VALUE)


VALUE = "value-that-is-planted-for-the-search"


@pytest.mark.parametrize("test", FAILING)
def test_a_leak_fails_the_test(ran: subprocess.CompletedProcess[str], test: str) -> None:
    """Wherever it is written; the report names the secret and the place."""
    (report,) = re.findall(rf"^_+ ERROR at teardown of {test} _+\n(.*?)(?=^[_=])", ran.stdout, re.MULTILINE | re.DOTALL)
    assert "a secret was written:" in report
    assert FAILING[test] in report


def test_a_leak_fails_the_run(ran: subprocess.CompletedProcess[str]) -> None:
    """What is found where no test can fail any more, as a line that is not finished, fails the run."""
    assert ran.returncode == 1
    assert "FAILED (at the end of the run) a secret was written: planted in half line, in log file" in ran.stdout
    assert "planted in print, in printed text Captured stdout call of test_planted.py::test_printed" in ran.stdout
    assert f"{len(FAILING) + 2} leaks" in ran.stdout


def test_only_leaks_fail(ran: subprocess.CompletedProcess[str]) -> None:
    """A test that writes no secret does not fail, and the tests themselves go on as without the search."""
    assert "test_innocent" not in ran.stdout
    assert f"{len(FAILING) + 3} passed" in ran.stdout


def test_a_report_shows_no_secret(ran: subprocess.CompletedProcess[str]) -> None:
    """Not even in what pytest shows of a failed test: its output and its log."""
    assert "Captured log call" in ran.stdout
    assert VALUE not in ran.stdout + ran.stderr


def test_a_leak_at_the_end_alone_is_enough(tmp_path: Path) -> None:
    """The exit status is that of a failure although every test has passed."""
    head, _, last = PLANTED.partition("def test_innocent")
    ended = run(tmp_path, head + "def test_the_last_line" + last.partition("def test_the_last_line")[2], VALUE)
    assert "1 passed" in ended.stdout
    assert ended.returncode == 1


@pytest.mark.parametrize(
    "form",
    ["{}", "%-escaped {quoted}", "cut: {tail}", "cut: {head}..."],
)
def test_registered_secrets(form: str) -> None:
    """They are found whole, escaped for an address, and cut at either end."""
    value = secret("a secret of this test", "a/secret+with=signs&that=has/40/characters")
    escaped = value.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D").replace("&", "%26")
    text = form.format(value, quoted=escaped, tail=value[-30:], head=value[:30])
    assert found(text.encode()) == {"a secret of this test"}
    assert value not in masked(text)


def test_a_secret_that_is_too_short() -> None:
    """It would be found in innocent text."""
    with pytest.raises(ValueError, match="too short"):
        secret("a short one", "the-key")


HEAD = "ey" + "JhbGciOiJSUzI1NiJ9"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{HEAD}.{HEAD}.c2ln", "a JSON Web Token"),
        (f"{HEAD}.{HEAD}.", "a JSON Web Token"),
        (f"authorization: Bearer {HEAD}", "a bearer token"),
        ("GET /a?sv=1&s" + "ig=c2lnbmF0dXJl%3D", "a signature in an address"),
        ("GET /a?co" + "de=some-key", "a key in an address"),
        ("AccountName=a;Account" + "Key=a2V5;", "a key in a connection string"),
        ("Shared" + "Key account:c2lnbmF0dXJl=", "a request's signature"),
    ],
)
def test_what_looks_like_a_secret(text: str, name: str) -> None:
    """Secrets that nobody has registered are found by their shape, and masked."""
    assert name in found(text.encode())
    assert found(masked(text).encode()) == set()


@pytest.mark.parametrize(
    "text",
    ['Bearer error="invalid_token"', "GET /a?sig=REDACTED&sv=1", "?code=REDACTED", "exit code=1234", "a.b.c"],
)
def test_what_does_not(text: str) -> None:
    """Challenges, what has been redacted, other words."""
    assert found(text.encode()) == set()


def test_a_line_is_searched_when_it_is_whole(tmp_path: Path) -> None:
    """A secret that is written in two halves is found, once."""
    value = secret("two halves", "first-half-and-second-half")
    written = Written()
    (tmp_path / "log").write_text("")
    written.log_file(tmp_path / "log")
    text = written.text("output", "of a process")
    for part in ("x" + value[:10], value[10:], "\n"):
        found_so_far = written.search()
        assert found_so_far == []
        text.add(part.encode())
        with (tmp_path / "log").open("a") as log:
            log.write(part)
    assert len(written.search()) == 2
    assert written.search(all=True) == []
    assert written.bytes == {"output": len(value) + 2, LogFile.kind: len(value) + 2}


def test_a_log_file_that_is_gone(tmp_path: Path) -> None:
    """It cannot be searched, which is not the same as no leak."""
    written = Written()
    written.log_file(tmp_path / "never")
    assert "removed before it was searched" in written.search()[0]


def test_text_that_is_over_is_forgotten() -> None:
    """It is searched once, to its end; nothing is kept for the rest of the run."""
    written = Written()
    written.text("response", "an answer", b"no line end", is_over=True)
    written.search()
    assert written.bytes == {"response": 11}
    assert written._open == []


def test_an_exemption_is_for_its_lines_only() -> None:
    """`make dev` may print the connection string where it says so, and its page may have a SAS: nothing else."""
    assert all(exempt.reason for exempt in EXEMPT)
    connection = f"AccountKey={secrets.ACCOUNT_KEY}"
    for label, line, leaks in (
        ("python -m localdev.up", f"  storage  {connection}\n", 0),
        ("python -m localdev.up", f"functions | {connection}\n", 2),
        ("python -m localdev.host", f"  storage  {connection}\n", 2),
        ("200 to GET /config.json", '{"sas": "sp=rw&sig=c2lnbmF0dXJl", "x": 1}', 0),
        ("200 to GET /config.json", '{"x": "sp=rw&sig=c2lnbmF0dXJl"}', 1),
        ("200 to GET /api/health", '{"sas": "sp=rw&sig=c2lnbmF0dXJl"}', 1),
    ):
        written = Written()
        written.text("output", label, line.encode(), is_over=True)
        assert len(written.search()) == leaks


def test_text_of_many_threads() -> None:
    """What is written while a search looks is for the next one."""
    text = Text("output", "of a process")
    text.add(b"a\nb")
    assert text.take(all=False) == b"a\n"
    text.add(b"c\n")
    assert text.take(all=False) == b"bc\n"
    assert text.take(all=False) == b""
