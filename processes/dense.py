"""Dense: all-to-all static synapses with a delay of one time step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, DtypeError, LaharWarning, ShapeError, ValidationError
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)
from .parameters import as_integer, refuse_unknown_keywords
from .ports import InPort, OutPort
from .process import AbstractProcess
from .synapses import weighted_sum
from .var import Var
from .weights import (
    WEIGHT_BITS,
    SignMode,
    check_weight_options,
    clip_weights,
    determine_sign_mode,
    is_sparse,
    to_int32,
    truncate_weights,
    weight_range,
)

_OPTIONS = ("weight_exp", "num_weight_bits", "sign_mode")
_KEYWORDS = ("weights", "name", "num_message_bits", "log_config", *_OPTIONS)


class Dense(AbstractProcess):
    """Connects every input to every output: ``a_out[t + 1] = weights @ s_in[t]``.

    Parameters
    ----------
    weights : array_like, shape (m, n)
        Weight from input j to output i at ``[i, j]``.
    name : str, optional
    num_message_bits : int
        0 (or less): every non-zero input is one spike. Above 0: inputs are graded and multiply the
        weights; the number of bits itself has no effect.
    log_config : LogConfig, optional
    weight_exp : int
        Fixed point only: the sum is shifted left by this many bits (right if negative, rounding down).
    num_weight_bits : int
        Fixed point only: 0 to 8, or 9 with mixed signs; weights lose their low bits in the first step.
    sign_mode : SignMode, optional
        Fixed point only: signs the weights may have; determined from the weights by default.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
    weights : Var, shape (m, n)
        float64 or int32. Fixed point clips and truncates the initial weights in the first time step;
        weights that are set later are only cast.
    a_buff : Var, shape (m,)
        What is sent in the next time step.
    num_message_bits : Var, shape (1,)
        Read in every time step.

    Raises
    ------
    ShapeError
        `weights` is not two-dimensional.
    ValidationError
        `weights` is sparse, or `num_weight_bits` is out of range.
    ArgumentTypeError
        An argument has the wrong type, or a keyword is unknown.
    """

    def __init__(
        self,
        *,
        weights: Any,
        name: str | None = None,
        num_message_bits: int = 0,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        refuse_unknown_keywords(self, kwargs, _OPTIONS, _KEYWORDS)
        weights = as_weight_matrix(weights, owner)
        options = {key: kwargs[key] for key in _OPTIONS if kwargs.get(key) is not None}
        exponent, bits = check_weight_options(owner, **options, weights=weights)
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        for key, value in (("weight_exp", exponent), ("num_weight_bits", bits)):
            if key in kwargs:
                kwargs[key] = value
        if kwargs.get("sign_mode", ...) is None:
            del kwargs["sign_mode"]
        super().__init__(
            weights=weights, num_message_bits=num_message_bits, name=name, log_config=log_config, **kwargs
        )
        self.s_in = InPort(shape=(weights.shape[1],))
        self.a_out = OutPort(shape=(weights.shape[0],))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(weights.shape[0],), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)


def as_weight_matrix(weights: Any, owner: str) -> np.ndarray:
    """Return `weights` as a two-dimensional array of real numbers; `owner` is named in errors."""
    if is_sparse(weights):
        raise ValidationError(
            "is a sparse matrix; use the Process Sparse for it, or pass weights.toarray().",
            f"{owner}.weights",
        )
    try:
        matrix = np.asarray(weights)
    except ValueError as error:
        raise ShapeError(f"{owner}.weights: not a matrix ({error}).") from None
    if matrix.ndim != 2:
        raise ShapeError(
            f"{owner}.weights must have two dimensions (outputs, inputs), not shape {matrix.shape}."
        )
    if matrix.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{owner}.weights must hold real numbers, not {matrix.dtype}.")
    return matrix


class AbstractPyDenseModelFloat(PyLoihiProcessModel):
    """Floating-point Dense, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : ndarray of float64, shape (m, n)
        In Fortran order, so that the weights of one input lie together.
    """

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weights: np.ndarray = LavaPyType(np.ndarray, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 4.0 + 2e-5 * process.weights.size

    def on_build(self) -> None:
        super().on_build()
        self.weights = np.asfortranarray(self.weights)

    def run_spk(self) -> None:
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        self.a_buff = weighted_sum(self.weights.T, spikes, self.num_message_bits.item() > 0, np.float64)


class AbstractPyDenseModelBitAcc(PyLoihiProcessModel):
    """Fixed-point Dense, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : ndarray of int32, shape (m, n)
        In Fortran order. Clipped to 8 bits and truncated to `num_weight_bits` in the first time step.
    a_buff : ndarray of int64, shape (m,)
        Wider than the port: spikes are summed in int64 and wrap only when they are sent. (Graded inputs
        of int32 are multiplied, summed and shifted in int32.)
    weight_exp, num_weight_bits : int
    sign_mode : SignMode or None
        None: determined from the weights in the first time step.
    """

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=16)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=5)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.sign_mode: SignMode | None = self.proc_params.get("sign_mode")
        self.weight_exp, self.num_weight_bits = check_weight_options(
            type(self).__name__,
            self.proc_params.get("weight_exp", 0),
            self.proc_params.get("num_weight_bits", WEIGHT_BITS),
            self.sign_mode,
            self.proc_params.get("weights"),
        )
        self._warned = False

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 4.0 + 2e-5 * process.weights.size

    def on_build(self) -> None:
        super().on_build()
        self.weights = np.asfortranarray(self.weights)

    def on_var_update(self) -> None:
        super().on_var_update()
        if self.time_step > 0 and not self._warned:
            self._warn_of_illegal_weights()

    def run_spk(self) -> None:
        if self.time_step == 1:
            self._prepare_weights()
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        graded = self.num_message_bits.item() > 0
        dtype = _graded_dtype(self.process_name, spikes) if graded else np.int64
        total = weighted_sum(self.weights.T, spikes, graded, dtype)
        exponent = self.weight_exp
        if exponent > 0:
            np.left_shift(total, exponent, out=total)
        elif exponent < 0:
            np.right_shift(total, -exponent, out=total)
        self.a_buff = total if dtype is np.int64 else total.astype(np.int64)

    def _prepare_weights(self) -> None:
        """Clip and truncate the initial weights as the hardware would when it loads them."""
        self._warn_of_losses()
        self.weights[...] = self._as_hardware_holds()

    def _as_hardware_holds(self) -> np.ndarray:
        mode = self._resolve_sign_mode()
        return truncate_weights(clip_weights(self.weights, mode, WEIGHT_BITS), mode, self.num_weight_bits)

    def _resolve_sign_mode(self) -> SignMode:
        if self.sign_mode is None:
            # A part of the rows (a shard) must be treated as the whole matrix is, and weights that were
            # set later as the initial ones were.
            initial = self._initial_weights()
            if initial is None or (initial.shape == self.weights.shape and self.time_step <= 1):
                self.sign_mode = determine_sign_mode(self.weights)
            else:
                self.sign_mode = determine_sign_mode(to_int32(initial))
        return self.sign_mode

    def _initial_weights(self) -> np.ndarray | None:
        """The whole matrix as the user gave it, if the Process passed it on."""
        initial = self.proc_params.get("weights")
        return initial if isinstance(initial, np.ndarray) else None

    def _warn_of_losses(self) -> None:
        """Warn of weights that clipping changes; the loss of low bits is what the user asked for."""
        low, high = weight_range(self._resolve_sign_mode())
        excess = np.maximum(low - self.weights.astype(np.int64), self.weights.astype(np.int64) - high)
        count = np.count_nonzero(excess > 0)
        if count:
            worst = self.weights.flat[excess.argmax()]
            warnings.warn(
                f"Dense '{self.process_name}': {count} of {excess.size} weights are outside [{low}, {high}], "
                f"the range of {self.sign_mode}, and are clipped; the worst is {worst}. Scale the weights "
                "(and use weight_exp), or choose another sign_mode.",
                LaharWarning,
                stacklevel=2,
            )
        initial = self._initial_weights()
        if (
            initial is not None
            and initial.dtype.kind == "f"
            and initial.any()
            and not np.trunc(initial).any()
        ):
            warnings.warn(
                f"Dense '{self.process_name}': all weights are fractions below 1 and become 0 in fixed "
                "point. Give integers, for example weights * 2**k with weight_exp=-k.",
                LaharWarning,
                stacklevel=2,
            )

    def _warn_of_illegal_weights(self) -> None:
        """Warn if weights that were set are not what the hardware could hold; they are used as they are."""
        legal = self._as_hardware_holds()
        wrong = legal != self.weights
        count = np.count_nonzero(wrong)
        if count:
            self._warned = True
            distance = np.abs(self.weights.astype(np.int64) - legal)
            worst = self.weights.flat[distance.argmax()]
            low, high = weight_range(self.sign_mode)
            warnings.warn(
                f"Dense '{self.process_name}': {count} of {wrong.size} weights that were set are outside "
                f"[{low}, {high}] or need more than {self.num_weight_bits} bits ({self.sign_mode}); the "
                f"worst is {worst}. They are used as they are, while the constructor would have clipped and "
                "truncated them.",
                LaharWarning,
                stacklevel=2,
            )


def _graded_dtype(process_name: str, spikes: np.ndarray) -> Any:
    """Type in which fixed-point weights and graded inputs are multiplied."""
    if spikes.dtype.kind not in "biu":
        raise DtypeError(
            f"Dense '{process_name}' is fixed point and graded, but receives {spikes.dtype}: connect a "
            "sender with integer output, or run with floating_pt models."
        )
    return np.int64 if spikes.dtype.itemsize > 4 or spikes.dtype == np.uint32 else np.int32


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDenseModelFloat(AbstractPyDenseModelFloat):
    """Floating-point Dense: sums in float64, in ascending input index."""


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDenseModelBitAcc(AbstractPyDenseModelBitAcc):
    """Fixed-point Dense: integer weights of at most 8 bits and a sign, exact sums, wrapping messages."""
