"""DelayDense: all-to-all static synapses, each with a delay of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .delays import DelayLineModel, FixedDelayLineModel, check_delays, check_max_delay
from .dense import AbstractPyDenseModelBitAcc, AbstractPyDenseModelFloat, Dense
from .errors import ShapeError
from .model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag
from .var import Var


class DelayDense(Dense):
    """Connects every input to every output, later by the delay of the synapse.

    ``a_out[i, t + 1] = sum_j weights[i, j] * s_in[j, t - delays[i, j]]``

    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning" (2018).

    Parameters
    ----------
    weights : array_like, shape (m, n)
        Weight from input j to output i at ``[i, j]``.
    delays : int or array_like of int, shape (m, n)
        Time steps by which the synapse is later than one of a `Dense`; fixed point allows 63.
    max_delay : int
        Longest delay that `delays` may be set to later. 0: the longest in `delays`. Synapses with a longer
        delay transmit nothing.
    name, num_message_bits, log_config, weight_exp, num_weight_bits, sign_mode
        See `Dense`.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
    weights : Var, shape (m, n)
    delays : Var, shape (m, n)
        May be set at a pause; what is buffered already is not moved.
    a_buff : Var, shape (m, max_delay + 1)
        Column k is what will be sent after k more time steps, as far as it is known.
    num_message_bits : Var, shape (1,)

    Raises
    ------
    ShapeError, DtypeError, ValidationError
        `delays` has another shape than `weights`, are no integers, or negative; `max_delay` is negative.

    Examples
    --------
    >>> from lahar.processes import DelayDense, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 0, 0, 0, 0]]), SinkRingBuffer(shape=(2,), buffer=5)
    >>> synapses = DelayDense(weights=[[5], [6]], delays=[[0], [2]])
    >>> source.s_out.connect(synapses.s_in)
    >>> synapses.a_out.connect(sink.a_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[0. 5. 0. 0. 0.]
     [0. 0. 0. 6. 0.]]
    """

    _keywords = (*Dense._keywords, "delays", "max_delay")

    def __init__(
        self,
        *,
        weights: Any,
        delays: Any,
        max_delay: int = 0,
        name: str | None = None,
        num_message_bits: int = 0,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            weights=weights, name=name, num_message_bits=num_message_bits, log_config=log_config, **kwargs
        )
        owner, shape = type(self).__name__, self.weights.shape
        try:
            given = np.asarray(delays)
        except ValueError as error:
            raise ShapeError(f"{owner}.delays: not an array ({error}).") from None
        given = check_delays(given, shape, owner)
        max_delay = check_max_delay(max_delay, given, self)
        self.proc_params["delays"] = given
        self.proc_params["max_delay"] = max_delay
        self.delays = Var(shape=shape, init=given)
        self.a_buff = Var(shape=(shape[0], max_delay + 1), init=0)


class AbstractPyDelayDenseModel(DelayLineModel):
    """DelayDense in any numerics; to be combined with a model of Dense."""

    weights: np.ndarray
    delays: np.ndarray

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 1e-4 * process.weights.size + super().step_cost(process)

    def synapses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs (one for each column) and delays of shape (n, m), as `weights` are transposed."""
        return np.arange(self.weights.shape[0]), self.delays.T.astype(np.intp, order="C")

    def contributions(
        self, spikes: np.ndarray, active: np.ndarray, graded: bool, dtype: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return places and contributions of the active inputs, in ascending input index."""
        values = self.weights.T.take(active, 0)
        if graded:
            values = values.astype(dtype, copy=False) * spikes[active].astype(dtype)[:, None]
        return self.places.take(active, 0).ravel(), values.ravel()


@implements(proc=DelayDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDelayDenseModelFloat(AbstractPyDelayDenseModel, AbstractPyDenseModelFloat):
    """Floating-point DelayDense: sums in float64, in ascending input index, then adds them to the buffer."""

    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    delays: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def sum_types(self, spikes: np.ndarray, graded: bool) -> tuple[Any, Any]:  # noqa: ARG002
        """Return float64 for both."""
        return np.float64, np.float64


@implements(proc=DelayDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDelayDenseModelBitAcc(FixedDelayLineModel, AbstractPyDelayDenseModel, AbstractPyDenseModelBitAcc):
    """Fixed-point DelayDense: products of int32 wrap, their sums are int64, and the buffer of int32 wraps."""

    kind = "DelayDense"

    delays: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)

    def sum_types(self, spikes: np.ndarray, graded: bool) -> tuple[Any, Any]:
        """Return the type of weights and payloads, and int64."""
        return (self.sum_dtype(spikes) if graded else np.int32), np.int64
