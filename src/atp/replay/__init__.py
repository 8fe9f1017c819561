"""A year of real orders sold on a server over gRPC, and the server audited from its answers.

The map, from the data to the verdict:

    reader.py     a file's lines              generator.py, real_year.py   made-up lines
    plan.py       lines to events             addresses.py, draw.py        who comes from where
    events.py     orders and corrections      options.py, default_caps.py  every choice of a replay
    run.py        the steps, in order         sale.py, turns.py            the calls, many at once
    ledger.py     the books                   answers.py                   each answer, by itself
    audit.py      books against counters      history.py, cap_audit.py     the changes, in order
    memory.py     answers looked up again     crash.py                     a kill in the middle
    findings.py   what is wrong, by law       score.py                     what happened, counted
    report.py     figures                     render.py, watch.py          tables, live progress

Knows atp.client, atp.v1 and atp.vocabulary; never the server or the engine, which it judges.
"""
