"""What a load sells: the stock of its SKUs, set over the control plane and recorded if asked.

Owns the calls that set a load up; they are part of its history, or nobody could tell where the
units came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from atp.cli import tables
from atp.cli.failed import BAD_INPUT, REFUSED, Failed
from atp.cli.session import Session
from atp.client import control_calls
from atp.history import HistoryWriter
from atp.v1.history_pb2 import HISTORY_METHOD_BATCH_SET_STOCK
from atp.vocabulary import StockOutcome

BATCH_SKUS = 4_096
RECORDER = "atp load-test, set-up"


def set_stock(
    session: Session, stock: Sequence[tuple[str, int]], history: Path | None, name: str
) -> None:
    """Sets the units on hand of these SKUs; recorded as the file `name` of a history.

    Raises Failed when the server refuses, or the file can't be written.
    """
    try:
        with _writer(history, name) as writer:
            for start in range(0, len(stock), BATCH_SKUS):
                _set_some(session, stock[start : start + BATCH_SKUS], writer)
    except FileExistsError as error:
        told = "there is a history already; name another folder, or another run"
        raise Failed(f"{error.filename}: {told}", BAD_INPUT) from None
    except OSError as error:
        reason = f"the history can't be written: {error.strerror}"
        raise Failed(f"{error.filename or history}: {reason}", BAD_INPUT) from None


def _writer(history: Path | None, name: str) -> Any:
    if history is None:
        return nullcontext()
    return HistoryWriter(history, name, recorder=RECORDER)


def _set_some(
    session: Session, batch: Sequence[tuple[str, int]], writer: HistoryWriter | None
) -> None:
    call = control_calls.batch_set_stock(batch)
    if writer is None:
        replies = session.client.call(call)
    else:
        number = writer.sent(HISTORY_METHOD_BATCH_SET_STOCK, call.request.SerializeToString())
        answer = session.ask(call)
        writer.ended(number, 0, answer.message.SerializeToString())
        replies = answer.reply
    for (sku, units), reply in zip(batch, replies, strict=True):
        if reply.outcome is not StockOutcome.DONE:
            reason = tables.word(reply.outcome)
            if reply.outcome is StockOutcome.BELOW_HELD:
                reason += "; wait until the holds of the load before have ended, or give it more"
            raise Failed(f"{sku}: its stock was not set to {units:,}: {reason}", REFUSED)
