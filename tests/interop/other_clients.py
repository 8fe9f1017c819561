"""Clients that are processes of their own: asked on stdin, telling on stdout, as driver.proto says.

Owns starting and ending them and what goes to and fro. A process that ends early, or says what is
no answer, fails the calls that wait for it.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from typing import Any

from google.protobuf.message import Message

from interop import programs
from interop.client import REPLIES, SECONDS, Call, Told, code_of

GRACE_SECONDS = 20.0
"""What a program is given beyond a call's own time, to start and to tell."""


class OtherCall:
    """A call that a program makes."""

    def __init__(self, program: OtherClient, name: str, told: Future[Told], seconds: float) -> None:
        self._program = program
        self._name = name
        self._told = told
        self._seconds = seconds

    def cancel(self) -> None:
        """Gives it up."""
        self._program.say({"id": self._name})

    def result(self) -> Told:
        """How it ended."""
        return self._told.result(self._seconds + GRACE_SECONDS)


class OtherClient:
    """A program that makes calls. `command` is how it is started; its stderr is the test's."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._names = map(str, itertools.count())
        self._waiting: dict[str, tuple[str, Future[Told]]] = {}
        self._saying = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def begin(
        self,
        method: str,
        *requests: Message,
        seconds: float = SECONDS,
        wait_for_ready: bool = False,
    ) -> Call:
        """Begins a call."""
        name, told = next(self._names), Future[Told]()
        self._waiting[name] = (method, told)
        self.say(
            {
                "id": name,
                "method": method,
                "requests": [
                    base64.b64encode(request.SerializeToString()).decode() for request in requests
                ],
                "timeout_ms": round(seconds * 1_000),
                "wait_for_ready": wait_for_ready,
            }
        )
        return OtherCall(self, name, told, seconds)

    def say(self, ask: dict[str, Any]) -> None:
        """Sends one Ask."""
        assert self._process.stdin is not None
        with self._saying:
            self._process.stdin.write(json.dumps(ask) + "\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Ends the program, which has nothing left to do."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            status = self._process.wait(GRACE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()
        assert status == 0, f"the client ended with {status}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            method, future = self._waiting.pop(told["id"])
            future.set_result(told_of(told, REPLIES[method]))
        for _, future in list(self._waiting.values()):
            future.set_exception(AssertionError("the client's process ended"))


def told_of(told: dict[str, Any], reply: type[Message]) -> Told:
    """A Told in its JSON, as the tests know it."""
    return Told(
        code_of(told.get("code", 0)),
        told.get("text", ""),
        tuple(reply.FromString(base64.b64decode(bytes_)) for bytes_ in told.get("replies", ())),
        told.get("domain", ""),
        told.get("reason", ""),
        told.get("metadata", {}),
        told.get("field", ""),
    )


def node_client(address: str) -> OtherClient:
    """@grpc/grpc-js on Node.js."""
    folders = [str(programs.PROTO_FOLDER), str(programs.GOOGLE_FOLDER)]
    return OtherClient([*programs.node_client(), address, *folders])


def cpp_client(address: str) -> OtherClient:
    """libgrpc++."""
    return OtherClient([*programs.cpp_client(), address])
