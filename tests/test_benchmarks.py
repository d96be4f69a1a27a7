"""The benchmarks run; that they measure the right thing is for their readers to see."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
