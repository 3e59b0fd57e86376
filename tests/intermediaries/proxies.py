"""Real nginx and real Varnish in front of an app, kind and unkind; and how many requests each was sent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from localdev.ports import LOOPBACK, free_ports
from localdev.processes import Process

#: Where Debian has them, which is not on everybody's path.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
START_SECONDS = 20

_NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format port '$server_port';
    access_log {folder}/access.log port;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=answers:1m;
{servers}
}}
"""
_SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{upstream}$uri{query};
{lines}
        }}
    }}
"""
_VCL = """
vcl 4.1;
backend default {{ .host = "{host}"; .port = "{port}"; }}
{lines}
"""


class Proxies:
    """What stands between client and app.

    Attributes:
        ports: Where each is reached, by name.
    """

    def __init__(self, ports: Mapping[str, int], folder: Path, varnishes: Mapping[str, Path]) -> None:
        self.ports = ports
        self._log = folder / "access.log"
        self._varnishes = varnishes

    def requests(self) -> Counter[str]:
        """Count the requests that each has finished answering since it was started."""
        found: Counter[str] = Counter()
        names = {str(port): name for name, port in self.ports.items()}
        for line in self._log.read_text().split():
            found[names[line]] += 1
        for name, folder in self._varnishes.items():
            text = subprocess.run(
                [_program("varnishstat"), "-n", str(folder), "-1", "-f", "MAIN.client_req"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            found[name] = int(text.split()[1])
        return found


@contextmanager
def running(folder: Path, upstream: str, nginx: Mapping[str, str], varnish: Mapping[str, str]) -> Iterator[Proxies]:
    """Run one nginx with a server for each of its settings, and a Varnish for each of its.

    Args:
        folder: For configuration, logs and caches.
        upstream: Host and port of the app.
        nginx: By name, lines of a ``location``; ``DROP QUERY`` loses the query.
        varnish: By name, lines of VCL, and of parameters (``-p name=value``) at the beginning.
    """
    ports = dict(zip([*nginx, *varnish], free_ports(len(nginx) + len(varnish)), strict=True))
    folders: dict[str, Path] = {}
    with ExitStack() as started:
        servers = "".join(_server(ports[name], upstream, lines) for name, lines in nginx.items())
        config = folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # else its worker may not write into the folder
        config.write_text(_NGINX.format(user=user, folder=folder, servers=servers))
        command = [_program("nginx"), "-p", str(folder), "-c", str(config)]
        programs = [Process("nginx", command, output=folder / "nginx.out")]
        started.enter_context(programs[0])
        host, _, port = upstream.partition(":")
        for name, text in varnish.items():
            own = folders[name] = folder / f"varnish-{ports[name]}"
            own.mkdir()
            options = [word for line in text.splitlines() if line.startswith("-p") for word in line.split()]
            lines = "\n".join(line for line in text.splitlines() if not line.startswith("-p"))
            (own / "default.vcl").write_text(_VCL.format(host=host, port=port, lines=lines))
            command = [_program("varnishd"), "-F", "-n", str(own), "-f", str(own / "default.vcl")]
            command += ["-a", f"{LOOPBACK}:{ports[name]}", "-s", "malloc,8m", "-j", "none"]
            command += ["-p", "thread_pools=1", "-p", "thread_pool_min=5", *options]
            programs.append(started.enter_context(Process(name, command, output=folder / f"{own.name}.out")))
        for program in programs:
            program.until(lambda: all(map(_listens, ports.values())), START_SECONDS)
        yield Proxies(ports, folder, folders)
        assert all(program.is_running for program in programs), [program.last_lines for program in programs]


def _server(port: int, upstream: str, lines: str) -> str:
    query = "" if "DROP QUERY" in lines else "$is_args$args"
    return _SERVER.format(port=port, upstream=upstream, query=query, lines=lines.replace("DROP QUERY", ""))


def _program(name: str) -> str:
    return shutil.which(name, path=PATH) or name


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection((LOOPBACK, port), 1).close()
        return True
    return False
