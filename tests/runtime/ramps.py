"""What holds for a Ramp and a Total (see `runtime_models`) at any moment."""

from __future__ import annotations

from support.deadline import until


def sums(n):
    return [n * (n + 1) // 2] * 2


def begun(process, step=3):
    """Wait until a running network has begun time step `step`."""
    network = process.runtime._network
    until(lambda: network.step >= step, what=f"time step {step}")


def assert_at(n, ramp, total):
    """Both processes have completed exactly `n` time steps."""
    assert ramp.t.get().tolist() == [n]
    assert total.t.get().tolist() == [n]
    assert total.total.get().tolist() == sums(n)
    assert ramp.runtime.step == n


def flags(runtime):
    return runtime._is_initialized, runtime._is_started, runtime._is_running
