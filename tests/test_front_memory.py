"""Without memory the front says so: every single allocation of reading, checking and refusing fails
once, and nothing is thrown, leaked or left unsaid. The program that lets them fail is
front_memory.cpp.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb

HERE = Path(__file__).resolve().parent
BATCH, RESERVE, AVAILABILITY = 0, 1, 6
RESOURCE_EXHAUSTED = 8


def test_every_allocation_may_fail(tmp_path: Path) -> None:
    lines = [pb.Line(sku=f"sku {number}", quantity=1) for number in range(100)]
    good = pb.ReserveRequest(request_id="r", lines=lines)
    bad = pb.ReserveRequest(request_id="r", lines=lines, client_ip="no address" * 50)
    twice = [service_pb.Command(reserve=good), service_pb.Command(reserve=bad)] * 20
    asked = [
        (RESERVE, good.SerializeToString(), "well"),
        (RESERVE, bad.SerializeToString(), "refused"),
        (RESERVE, b"\xff", "refused"),
        (AVAILABILITY, pb.GetAvailabilityRequest(skus=["s" * 65]).SerializeToString(), "refused"),
        (BATCH, service_pb.ExecuteRequest(commands=twice).SerializeToString(), "well"),
    ]
    words = []
    for number, (kind, raw, _) in enumerate(asked):
        path = tmp_path / str(number)
        path.write_bytes(raw)
        words += [str(kind), str(path)]
    runs = [line.split() for line in told_by(tmp_path / "program", words)]
    short = [run for run in runs if run[1] == "short"]
    assert len(short) > 30
    assert "memory" in {run[2] for run in short}
    for kind, _, outcome in asked:
        while (run := runs.pop(0))[1] == "short":
            assert run[0] == str(kind)
            # A text that found no memory is left out; the code is told all the same.
            assert run[2] in ("memory", outcome)
            assert run[2] != "memory" or run[3] in (str(RESOURCE_EXHAUSTED), "0")
        assert run[:3] == [str(kind), "enough", outcome]
    assert runs == []


def told_by(program: Path, words: list[str]) -> list[str]:
    """Builds the program with the sanitizers and runs it; its lines."""
    flags = ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Wno-ignored-qualifiers"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wl,--wrap=malloc"]
    source = str(HERE / "front_memory.cpp")
    subprocess.run(["c++", *flags, f"-I{HERE.parent}/src", source, "-o", str(program)], check=True)
    ran = subprocess.run([str(program), *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()
