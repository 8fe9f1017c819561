"""PostgreSQL doing the work that a reserve is here: one function, called by pgbench.

Owns a cluster of its own, as PostgreSQL sets one up but for its port and folder, run as the user
postgres where this is root, which PostgreSQL refuses to be. Counts afterwards that every hold is
there and that stock and both caps moved by just as much.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.processes import accepts, folder_for, free_port, started, told, wait_for

CLIENTS = 50
SUBJECTS = 10_000
STOCK = 10**9
CAP = 10**9

SCHEMA = """\
CREATE TABLE stock (sku text PRIMARY KEY, on_hand bigint NOT NULL, held bigint NOT NULL);
CREATE TABLE in_force (subject text PRIMARY KEY, units bigint NOT NULL);
CREATE TABLE hold (request_id text PRIMARY KEY, sku text NOT NULL, units bigint NOT NULL,
  ip text NOT NULL, customer text NOT NULL, expire_time timestamptz NOT NULL);
CREATE INDEX ON hold (expire_time);
CREATE FUNCTION reserve(id text, wanted text, asked bigint, address text, buyer text, cap bigint)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO hold VALUES (id, wanted, asked, address, buyer, now() + interval '10 minutes')
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN 'repeated';
  END IF;
  INSERT INTO in_force VALUES ('ip:' || address, asked) ON CONFLICT (subject)
    DO UPDATE SET units = in_force.units + asked WHERE in_force.units + asked <= cap;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the cap of the address is reached';
  END IF;
  INSERT INTO in_force VALUES ('customer:' || buyer, asked) ON CONFLICT (subject)
    DO UPDATE SET units = in_force.units + asked WHERE in_force.units + asked <= cap;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the cap of the customer is reached';
  END IF;
  -- Last, so that the row that all want is locked for as short as can be.
  UPDATE stock SET held = held + asked WHERE sku = wanted AND on_hand - held >= asked;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'short';
  END IF;
  RETURN 'granted';
END $$;
"""
CALL = f"""\
\\set sku random(0, :skus - 1)
\\set ip random(0, {SUBJECTS - 1})
\\set customer random(0, {SUBJECTS - 1})
\\set one random(0, 1000000000)
\\set two random(0, 1000000000)
SELECT reserve('r-' || :one || '-' || :two, 'SKU-' || :sku, 1, 'a' || :ip, 'c' || :customer, {CAP});
"""


class Postgres:
    """One cluster, with tables and stock."""

    def __init__(self, folder: Path, programs: Path, port: int, skus: int) -> None:
        self._folder, self._programs, self._port, self._skus = folder, programs, port, skus
        self._granted = 0
        self._tell(SCHEMA)
        self._tell(
            f"INSERT INTO stock SELECT 'SKU-' || n, {STOCK}, 0"
            f" FROM generate_series(0, {skus - 1}) n; VACUUM ANALYZE"
        )
        (folder / "call.sql").write_text(CALL)

    def load(self, seconds: float, *, hot: bool) -> float:
        """Reserves a second by 50 clients, of one SKU or of all evenly, as pgbench tells."""
        said = told(
            [
                str(self._programs / "pgbench"),
                *("-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-n"),
                *("-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, int(seconds)))),
                *("-D", f"skus={1 if hot else self._skus}"),
                *("-f", str(self._folder / "call.sql"), "postgres"),
            ]
        )
        done = re.search(r"number of transactions actually processed: (\d+)", said)
        rate = re.search(r"tps = ([\d.]+)", said)
        assert done is not None, said
        assert rate is not None, said
        assert "number of failed transactions: 0 " in said, said
        self._granted += int(done[1])
        return float(rate[1])

    def check(self) -> None:
        """Every reserve is a hold, and stock and caps moved by one for each."""
        granted = str(self._granted)
        for query in (
            "SELECT count(*) FROM hold",
            "SELECT sum(held) FROM stock",
            "SELECT sum(units) FROM in_force WHERE subject LIKE 'ip:%'",
            "SELECT sum(units) FROM in_force WHERE subject LIKE 'customer:%'",
        ):
            assert self._tell(query) == granted, query

    def _tell(self, text: str) -> str:
        connection = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres"]
        psql = [str(self._programs / "psql"), *connection, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        return "".join(told([*psql, "-c", part]) for part in text.split("; ")).strip()


@contextmanager
def serving(skus: int) -> Iterator[Postgres]:
    """Runs one until the block ends."""
    programs = find_programs()
    user = "postgres" if os.geteuid() == 0 else None
    with folder_for("postgres") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data, log, port = folder / "data", folder / "log", free_port()
        subprocess.run(
            [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"],
            check=True, user=user, stdout=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
        # SIGINT: at once, without waiting for clients.
        with started(command, log=log, user=user, stop=signal.SIGINT) as process:
            ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_for(
                lambda: accepts(port) and subprocess.run(ready, check=False).returncode == 0,
                process, log, "answer of PostgreSQL",
            )  # fmt: skip
            yield Postgres(folder, programs, port, skus)


def find_programs() -> Path:
    """Where Debian has the newest PostgreSQL's programs, or where the path leads."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda at: int(at.parts[-2]))
    if versions:
        return versions[-1]
    found = shutil.which("initdb")
    assert found is not None, "PostgreSQL is not installed: tools/install_system.sh does it"
    return Path(found).parent
