"""nginx and haproxy in front of a server, each a process of its own on a free port of loopback.

Owns their configuration, as people write it for gRPC, and starting and ending them by their id.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from interop.programs import program
from server_process import wait_until

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream atp {{
        server {upstream};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port} http2;
        client_max_body_size 16m;
        location / {{
            grpc_pass grpc://atp;
            grpc_read_timeout 30s;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode {mode}
    retries 0
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend checkout
    bind 127.0.0.1:{port} {protocol}
    default_backend atp
backend atp
    server atp {upstream} {protocol}
"""


@contextmanager
def nginx(upstream: str) -> Iterator[str]:
    """nginx with grpc_pass; the address to call."""
    with tempfile.TemporaryDirectory(prefix="atp-nginx-") as name:
        folder, port = Path(name), free_port()
        settings = folder / "nginx.conf"
        settings.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
        command = [program("nginx"), "-p", name, "-e", "stderr", "-c", str(settings)]
        with running(command, port, folder) as address:
            yield address


@contextmanager
def haproxy(upstream: str, mode: str, protocol: str) -> Iterator[str]:
    """haproxy in this mode; the address to call."""
    with tempfile.TemporaryDirectory(prefix="atp-haproxy-") as name:
        folder, port = Path(name), free_port()
        settings = folder / "haproxy.cfg"
        settings.write_text(
            HAPROXY.format(mode=mode, protocol=protocol, port=port, upstream=upstream)
        )
        with running([program("haproxy"), "-db", "-f", str(settings)], port, folder) as address:
            yield address


def haproxy_tcp(upstream: str) -> AbstractContextManager[str]:
    """haproxy passes bytes on."""
    return haproxy(upstream, "tcp", "")


def haproxy_h2(upstream: str) -> AbstractContextManager[str]:
    """haproxy speaks HTTP/2 to both sides."""
    return haproxy(upstream, "http", "proto h2")


PROXIES: Mapping[str, Callable[[str], AbstractContextManager[str]]] = {
    "nginx": nginx,
    "haproxy tcp": haproxy_tcp,
    "haproxy h2": haproxy_h2,
}
"""Each begins to stand before the server at an address, and tells its own."""


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Runs a proxy until the block ends; what it said is printed when the block fails."""
    log = folder / "stderr"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors)
        try:
            wait_until(lambda: listens(port) or process.poll() is not None, "the proxy to listen")
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()}"
            yield f"127.0.0.1:{port}"
        except BaseException:
            print(f"{command[0]} said:\n{log.read_text()}")
            raise
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def listens(port: int) -> bool:
    """True when somebody does."""
    with socket.socket() as visitor:
        return visitor.connect_ex(("127.0.0.1", port)) == 0
