"""Both faces of the client behind one, so that one test body holds them to the same answers.

Owns running the async client's coroutines on an event loop of their own. Adds no behaviour: what a
test sees is what `Client` or `AsyncClient` answers or raises.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from atp.client import AsyncClient, Client

FACES = ("sync", "async")


class Blocking:
    """An object of the async client whose coroutines are run to their end."""

    def __init__(self, runner: asyncio.Runner, inner: Any) -> None:
        self._runner = runner
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args: Any, **keywords: Any) -> Any:
            result = value(*args, **keywords)
            if inspect.isawaitable(result):
                return self._runner.run(_awaited(result))
            if isinstance(result, AsyncIterator):
                return self._runner.run(_listed(result))
            return Blocking(self._runner, result) if hasattr(result, "__aenter__") else result

        return call

    def __enter__(self) -> Blocking:
        self._runner.run(self._inner.__aenter__())
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._runner.run(self._inner.__aexit__(*error))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def _listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


@contextmanager
def client_face(face: str, *args: Any, **keywords: Any) -> Iterator[Any]:
    """A client of either kind, closed at the end."""
    if face == "sync":
        with Client(*args, **keywords) as client:
            yield client
    else:
        with (
            asyncio.Runner() as runner,
            Blocking(runner, AsyncClient(*args, **keywords)) as client,
        ):
            yield client
