"""Benchmarks run to their end with tiny sizes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


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
    assert sum("1%" in row or "100%" in row for row in rows if row.startswith(("  float", "  fixed"))) == 12
    assert (
        sum(row.split()[-1].isdigit() for row in rows if row.startswith(("  float", "  fixed"))) == 4 * kinds
    )
    assert sum(float(row.split()[-1]) >= 4 for row in rows[-8:]) == 8
