"""What fixed-point connections share: preparation of weights, exponent, and the type of sums."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from .errors import DtypeError, LaharWarning
from .model import LavaPyType, PyInPort, PyLoihiProcessModel, PyOutPort
from .overflow import OverflowWatch, largest_row_sum
from .parameters import refuse_unknown_keywords
from .process import AbstractProcess
from .weights import (
    WEIGHT_BITS,
    SignMode,
    check_weight_options,
    clip_weights,
    determine_sign_mode,
    in_blocks,
    to_int32,
    truncate_weights,
    weight_range,
)

OPTIONS = ("weight_exp", "num_weight_bits", "sign_mode")


def check_options(
    process: AbstractProcess,
    kwargs: dict[str, Any],
    keywords: Collection[str],
    weights: Any,
    sign_mode: SignMode | None = None,
) -> None:
    """Refuse keywords that no model reads, and bring the fixed-point options among them into their types.

    Parameters
    ----------
    process : AbstractProcess
        The connection being constructed.
    kwargs : dict
        Its keywords beyond the signature; changed.
    keywords : collection of str
        Those of the signature, for the hint.
    weights : ndarray or sparse matrix
        Weights of the connection.
    sign_mode : SignMode, optional
        What the mode is if none is given.

    Raises
    ------
    ArgumentTypeError
        A keyword is unknown, or an option has the wrong type.
    ValidationError
        `num_weight_bits` is out of range.
    """
    refuse_unknown_keywords(process, kwargs, OPTIONS, (*keywords, *OPTIONS))
    if kwargs.get("sign_mode", ...) is None:
        del kwargs["sign_mode"]
    if sign_mode is not None:
        kwargs.setdefault("sign_mode", sign_mode)
    options = {key: kwargs[key] for key in OPTIONS if kwargs.get(key) is not None}
    exponent, bits = check_weight_options(type(process).__name__, **options, weights=weights)
    for key, value in (("weight_exp", exponent), ("num_weight_bits", bits)):
        if key in kwargs:
            kwargs[key] = value


class AbstractFixedConnectionModel(PyLoihiProcessModel):
    """Connection with integer weights of at most 8 bits and a sign; subclasses hold them and say how they add.

    Attributes
    ----------
    weights : ndarray or csr_matrix of int32, shape (m, n)
        Clipped to 8 bits and truncated to `num_weight_bits` in the first time step.
    a_buff : ndarray of int64, shape (m,)
        Wider than the port: spikes are summed in int64 and wrap only when they are sent. (Graded inputs
        of int32 are multiplied, summed and shifted in int32.)
    kind : str
        Name of the Process class, for messages.
    weight_exp, num_weight_bits : int
    sign_mode : SignMode or None
        None: determined from the weights in the first time step.
    """

    kind = "Dense"
    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=16)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=5)
    weights: Any

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
        self._watch = OverflowWatch(lambda: f"{self.kind} '{self.process_name}'", self.weight_exp)

    def run_spk(self) -> None:
        if self.time_step == 1:
            self.prepare_weights()
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        graded = self.num_message_bits.item() > 0
        dtype = self.sum_dtype(spikes) if graded else np.int64
        self._watch.look(spikes, graded, self.row_sum, lambda dtype: self.weighted_sum(spikes, graded, dtype))
        total = self.shift(self.weighted_sum(spikes, graded, dtype))
        self.a_buff = total.astype(np.int64, copy=False)

    def weighted_sum(self, spikes: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
        """Return a new array with the sum of weights times spikes in `dtype`; subclasses must define it."""
        raise NotImplementedError(f"{type(self).__name__} must define weighted_sum().")

    def row_sum(self) -> int:
        """Return the largest sum of absolute weights of an output."""
        return largest_row_sum(self.weights)

    def weight_values(self) -> np.ndarray:
        """Return the weights as an array of int32 that may be written to; of a sparse matrix the entries."""
        return self.weights

    def initial_weights(self) -> np.ndarray | None:
        """Return the weights as the user gave them, if they are known."""
        initial = self.proc_params.get("weights")
        return initial if isinstance(initial, np.ndarray) else None

    def resolve_sign_mode(self) -> SignMode:
        """Return the sign mode, determined now if it was not given."""
        if self.sign_mode is None:
            # A part of the rows (a shard) must be treated as the whole matrix is, and weights that were
            # set later as the initial ones were.
            initial = self.initial_weights()
            if initial is None or (initial.shape == self.weights.shape and self.time_step <= 1):
                self.sign_mode = determine_sign_mode(self.weights)
            else:
                self.sign_mode = determine_sign_mode(to_int32(initial))
        return self.sign_mode

    def on_var_update(self) -> None:
        super().on_var_update()
        self._watch.forget()
        if self.time_step > 0 and not self._warned:
            self._warn_of_illegal_weights()

    def prepare_weights(self) -> None:
        """Clip and truncate the initial weights as the hardware would when it loads them."""
        self._warn_of_losses()
        mode = self.resolve_sign_mode()
        for part in in_blocks(self.weight_values()):
            part[...] = self._as_hardware_holds(part, mode)
        self._watch.forget()

    def sum_dtype(self, spikes: np.ndarray) -> Any:
        """Return the type in which weights and graded inputs are multiplied.

        Raises
        ------
        DtypeError
            Inputs are not integers.
        """
        if spikes.dtype.kind not in "biu":
            raise DtypeError(
                f"{self.kind} '{self.process_name}' is fixed point and graded, but receives {spikes.dtype}: "
                "connect a sender with integer output, or run with floating_pt models."
            )
        return np.int64 if spikes.dtype.itemsize > 4 or spikes.dtype == np.uint32 else np.int32

    def shift(self, total: np.ndarray) -> np.ndarray:
        """Apply `weight_exp` to a sum, in place: shift left, or right rounding down."""
        exponent = self.weight_exp
        if exponent > 0:
            np.left_shift(total, exponent, out=total)
        elif exponent < 0:
            np.right_shift(total, -exponent, out=total)
        return total

    def _as_hardware_holds(self, values: np.ndarray, mode: SignMode) -> np.ndarray:
        clipped = clip_weights(values, mode, WEIGHT_BITS)
        return truncate_weights(clipped, mode, self.num_weight_bits)

    def _warn_of_losses(self) -> None:
        """Warn of weights that clipping changes; the loss of low bits is what the user asked for."""
        low, high = weight_range(self.resolve_sign_mode())
        values = self.weight_values()
        outside = values[(values < low) | (values > high)].astype(np.int64)
        count = len(outside)
        if count:
            worst = outside[np.maximum(low - outside, outside - high).argmax()]
            warnings.warn(
                f"{self.kind} '{self.process_name}': {count} of {values.size} weights are outside "
                f"[{low}, {high}], the range of {self.sign_mode}, and are clipped; the worst is {worst}. "
                "Scale the weights (and use weight_exp), or choose another sign_mode.",
                LaharWarning,
                stacklevel=2,
            )
        initial = self.initial_weights()
        if (
            initial is not None
            and initial.dtype.kind == "f"
            and initial.any()
            and not any(np.trunc(part).any() for part in in_blocks(initial))
        ):
            warnings.warn(
                f"{self.kind} '{self.process_name}': all weights are fractions below 1 and become 0 in fixed "
                "point. Give integers, for example weights * 2**k with weight_exp=-k.",
                LaharWarning,
                stacklevel=2,
            )

    def _warn_of_illegal_weights(self) -> None:
        """Warn if weights that were set are not what the hardware could hold; they are used as they are."""
        values = self.weight_values()
        legal = self._as_hardware_holds(values, self.resolve_sign_mode())
        wrong = legal != values
        count = np.count_nonzero(wrong)
        if count:
            self._warned = True
            distance = np.abs(values.astype(np.int64) - legal)
            worst = values.flat[distance.argmax()]
            low, high = weight_range(self.sign_mode)
            warnings.warn(
                f"{self.kind} '{self.process_name}': {count} of {wrong.size} weights that were set are outside "
                f"[{low}, {high}] or need more than {self.num_weight_bits} bits ({self.sign_mode}); the "
                f"worst is {worst}. They are used as they are, while the constructor would have clipped and "
                "truncated them.",
                LaharWarning,
                stacklevel=2,
            )
