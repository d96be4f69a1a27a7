"""The benchmarks run; that they measure the right thing is for their readers to see."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PROMISED = 2000  # ms until a failure is reported


def test_the_benchmark_of_faults_prints_a_row_for_each_kind():
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "--trials", "2", "--stops", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\w+).* +2 +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    assert [kind for kind, *_ in rows] == [
        *("deadlock",),
        *("deadlock", "exception", "SIGKILL"),
        *("deadlock", "exception", "SIGKILL"),
        "SIGSTOP",
    ]
    for _, median, longest in rows:
        assert 0 < float(median) <= float(longest) < PROMISED


@pytest.mark.parametrize("numba", [True, False])
def test_kernels(capsys, monkeypatch, numba):
    spec = importlib.util.spec_from_file_location("benchmark_of_kernels", BENCHMARKS / "kernels.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    if numba:
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(benchmark.kernels.importlib.util, "find_spec", lambda name: None)
    benchmark.main(["--quick"])
    rows = capsys.readouterr().out.splitlines()
    kinds = 2 if numba else 1
    assert sum(row.startswith(("  Dense 60 ", "  Sparse 200,")) for row in rows) == 6 * kinds
    assert (
        sum("1%" in row or "100%" in row for row in rows if row.startswith(("  float", "  fixed")))
        == 12 * kinds
    )
    assert (
        sum(row.split()[-1].isdigit() for row in rows if row.startswith(("  float", "  fixed"))) == 4 * kinds
    )
    assert sum(float(row.split()[-1]) > 2 for row in rows[-8:]) == 8
