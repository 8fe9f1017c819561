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
from typing import NamedTuple

from interop.programs import program
from server_process import wait_until
from tls_keys import Identity

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
            grpc_pass {scheme}://atp;
            grpc_read_timeout 30s;
            {encryption}
        }}
    }}
}}
"""

NGINX_TLS = """
            grpc_ssl_protocols TLSv1.2 TLSv1.3;
            grpc_ssl_verify on;
            grpc_ssl_name localhost;
            grpc_ssl_server_name on;
            grpc_ssl_trusted_certificate {authority};
"""
NGINX_IDENTITY = """
            grpc_ssl_certificate {cert};
            grpc_ssl_certificate_key {key};
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
    server atp {upstream} {protocol} {more}
"""


class Trust(NamedTuple):
    """How a proxy speaks TLS to the server."""

    authority: Path
    """Of the server's certificate."""
    shows: Identity | None
    """The proxy's own certificate, if it has one."""


@contextmanager
def nginx(upstream: str, trust: Trust | None = None) -> Iterator[str]:
    """nginx with grpc_pass; the address to call."""
    scheme, encryption = "grpc", ""
    if trust is not None:
        scheme, encryption = "grpcs", NGINX_TLS.format(authority=trust.authority)
        if trust.shows is not None:
            encryption += NGINX_IDENTITY.format(**trust.shows._asdict())
    words = {"scheme": scheme, "encryption": encryption, "upstream": upstream}
    with tempfile.TemporaryDirectory(prefix="atp-nginx-") as name:
        folder, port = Path(name), free_port()
        settings = folder / "nginx.conf"
        settings.write_text(NGINX.format(folder=folder, port=port, **words))
        command = [program("nginx"), "-p", name, "-e", "stderr", "-c", str(settings)]
        with running(command, port, folder) as address:
            yield address


@contextmanager
def haproxy(upstream: str, mode: str, protocol: str, more: str = "") -> Iterator[str]:
    """haproxy in this mode; the address to call. `more` is for the line of the server."""
    with tempfile.TemporaryDirectory(prefix="atp-haproxy-") as name:
        folder, port = Path(name), free_port()
        settings = folder / "haproxy.cfg"
        settings.write_text(
            HAPROXY.format(mode=mode, protocol=protocol, port=port, upstream=upstream, more=more)
        )
        with running([program("haproxy"), "-db", "-f", str(settings)], port, folder) as address:
            yield address


def haproxy_tcp(upstream: str) -> AbstractContextManager[str]:
    """haproxy passes bytes on."""
    return haproxy(upstream, "tcp", "")


def haproxy_h2(upstream: str) -> AbstractContextManager[str]:
    """haproxy speaks HTTP/2 to both sides."""
    return haproxy(upstream, "http", "proto h2")


def haproxy_tls(upstream: str, trust: Trust) -> AbstractContextManager[str]:
    """haproxy speaks HTTP/2 to both sides, and TLS to the server."""
    more = f"ssl alpn h2 verify required verifyhost localhost ca-file {trust.authority}"
    if trust.shows is not None:
        both = trust.shows.cert.with_suffix(".both")
        both.write_bytes(trust.shows.cert_pem + trust.shows.key_pem)
        more += f" crt {both}"
    return haproxy(upstream, "http", "proto h2", more)


TLS_PROXIES: Mapping[str, Callable[[str, Trust], AbstractContextManager[str]]] = {
    "nginx": nginx,
    "haproxy": haproxy_tls,
}
"""The same with TLS to the server."""

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
