"""`atp load-test`: many calls at once, or so many a second, every answer checked; what it came to.

Owns the order of it: the goods, the load, the report. Options are in load_options.py and
load_tls.py, the load itself is load/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atp.cli import load_goods
from atp.cli.failed import NOT_JUDGED, REFUSED, Failed
from atp.cli.load_options import load_options, plan_of
from atp.cli.load_tls import data_tls_options, tls_of
from atp.cli.session import Session, asks

if TYPE_CHECKING:
    from atp.load import LoadPlan


@click.command(name="load-test", short_help="Put a server under load, and check every answer.")
@load_options
@data_tls_options
@asks("control")
def load_test(session: Session, *, processes: int, **values: Any) -> None:
    """Put a server under load: reserves of one unit each, from many customers and addresses, or
    whole baskets from the look to the payment.

    It sets the stock of SKUs of its own, sells those and no others, and checks every answer. Holds
    stay until they expire; units that were sold stay sold. The server's caps apply.

    \b
    Exit status: 0 every call was answered as it should be, or turned away (UNAVAILABLE) or too late
    (DEADLINE_EXCEEDED), which the report counts; 1 an answer was wrong; 2 wrong usage; 3 not
    reached, or not answered to the end.

    \b
    Examples:
      $ atp load-test --calls 500
      $ atp load-test --kind pair --duration 1s --json
      $ atp load-test --rate 100 --deadline 1s --duration 1s --spread zipf
      $ atp load-test --rate-curve 0s:50,1s:500 --arrivals poisson --duration 1s

    \b
    With TLS (--no-data-tls, --data-tls-ca and the like where only one plane has it, or another):
      atp load-test --tls-ca ca.pem --tls-cert client.pem --tls-key client.key
    """
    from atp import load  # noqa: PLC0415 - late, so that help stays fast
    from atp.cli import load_report  # noqa: PLC0415

    plan = plan_of(values, tls_of(session, values))
    try:
        load.check_processes(plan, processes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    goods = _stock(plan, values["stock"], values["stock_share"])
    load_goods.set_stock(session, goods, plan.history, f"{plan.run_name.strip('-')}-setup")
    line = load_report.ProgressLine()
    try:
        result = load.run_many(plan, processes, on_step=line.show)
    except load.LoadFailed as failed:
        line.end()
        known = failed.result
        if known is None or (not plan.tries and known.answered < known.asked):
            raise Failed(f"load-test: {failed}", NOT_JUDGED) from None
        load_report.show(session, plan, processes, known)
        raise Failed(f"load-test: {failed}", REFUSED) from None
    line.end()
    load_report.show(session, plan, processes, result)


def _stock(plan: LoadPlan, units: int, share: float | None) -> list[tuple[str, int]]:
    """Units of every SKU that may be asked for."""
    if share is None or plan.baskets is None:
        return [(sku, units) for sku in plan.sku_names()]
    return plan.baskets.stock(share)
