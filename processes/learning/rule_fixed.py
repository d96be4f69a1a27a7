"""Learning rules in fixed point, as the chip computes them.

Every factor is limited to its width, products are multiplied in 32 bits, scaled, shifted into a 16-bit
accumulator that holds 7 fractional bits, and rounded stochastically with one random number per epoch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..weights import SignMode
from .constants import FACTOR_TO_WIDTH_DICT
from .products import Product
from .regions import Block, Region
from .rule import LoihiLearningRule
from .rule_update import Matrices, Reading, RuleUpdate, Target, Term

FRACTION_BITS = 7
_ACC_MIN, _ACC_MAX = -(2**15) - 1, 2**15 - 1
_INT32 = np.dtype(np.int32)
# Values beyond are the same to the accumulator, and stay below 2**31 when shifted.
_FAR = 2**20

_WEIGHT_LIMITS = {
    SignMode.MIXED: (-256, 255),
    SignMode.EXCITATORY: (0, 255),
    SignMode.INHIBITORY: (-255, 0),
}
_TAG_LIMITS = {"tag_2": (0, 255), "tag_1": (-257, 255)}


class _FixedTerm(Term):
    """A factor with the limits of its width."""

    __slots__ = ("high", "low")

    def __init__(self, factor: Any) -> None:
        super().__init__(factor)
        width = FACTOR_TO_WIDTH_DICT[factor.state_var]
        self.low, self.high = -(2**width), 2**width - 1
        self.key = ("fixed", *self.key)

    def evaluated(self, values: np.ndarray) -> np.ndarray:
        """Add the constant, take the sign, limit to the width and drop the fraction."""
        values = super().evaluated(values)
        if self.is_sgn:
            values = np.sign(values)
        return np.minimum(np.maximum(values, self.low), self.high).astype(_INT32)

    def value(self, block: Block, old: Reading) -> np.ndarray:
        if self.is_variable:
            values = old[self.var][block.within]
            if old.settled and self.const is None and not self.is_sgn:
                return values.astype(_INT32, copy=False)
            return self.evaluated(values)
        return block.trace(self.is_pre, self.table(block.history))


class _FixedProduct:
    __slots__ = ("dependency", "left", "right", "scale", "terms")

    def __init__(self, product: Product) -> None:
        self.dependency = product.dependency
        self.scale = _INT32.type(product.s_mantissa)
        self.right, self.left = product.uncompensated_shift, product.s_exp
        self.terms = [_FixedTerm(factor) for factor in product.factors]

    def value(self, block: Block, old: Reading) -> np.ndarray:
        """Return the contribution to the accumulator, int32, broadcastable to the block."""
        result = None
        for term in self.terms:
            value = term.value(block, old)
            result = value if result is None else result * value
        if result is None:
            result = np.ones(1, _INT32)
        result = result * self.scale
        if self.right:
            np.right_shift(result, self.right, out=result)
        np.left_shift(result, self.left, out=result)
        return _limit(result, _ACC_MIN, _ACC_MAX)


def _accumulator_limits(low: int, high: int) -> tuple[int, int]:
    """Return the limits of an accumulator, which never has the sign that its target must not have."""
    return 0 if low == 0 else _ACC_MIN, 0 if high == 0 else _ACC_MAX


def _limit(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Limit in place."""
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)


class FixedRuleUpdate(RuleUpdate):
    """Fixed-point evaluation of a rule on int32 weights and int64 tags.

    Parameters
    ----------
    rule : LoihiLearningRule
    sign_mode : SignMode
        Weights end up in [-256, 255] (MIXED), [0, 255] (EXCITATORY) or [-255, 0] (INHIBITORY), `tag_2`
        in [0, 255], `tag_1` in [-257, 255].

    Attributes
    ----------
    random : float
        Random number in [0, 1) by which the next epoch rounds.
    """

    def __init__(self, rule: LoihiLearningRule, sign_mode: SignMode) -> None:
        super().__init__(rule)
        self.random = 0.0
        self._limits = {"weights": _WEIGHT_LIMITS[sign_mode], **_TAG_LIMITS}

    def compile(self, product: Product) -> _FixedProduct:
        return _FixedProduct(product)

    def limits(self) -> np.ndarray:
        limits = [self._limits[target.var] for target in self.targets]
        return np.array([(*pair, *_accumulator_limits(*pair)) for pair in limits], _INT32)

    def carry(self) -> int:
        # added before the fraction is cut, it adds 1 exactly where the random number lies below the fraction
        return 2**FRACTION_BITS - 1 - math.floor(self.random * 2**FRACTION_BITS)

    def settled(self, matrices: Matrices) -> bool:
        for target in self.targets:
            low, high = self._limits[target.var]
            # -257 does not fit into the accumulator and comes back as -256 nearly always
            low = max(low, -256)
            matrix = matrices[target.var]
            if matrix.size and not (matrix.min() >= low and matrix.max() <= high):
                return False
        return True

    def updated(self, target: Target, region: Region, old: Reading) -> np.ndarray:
        before = old[target.var]
        if not old.settled:
            before = np.minimum(np.maximum(before, -_FAR), _FAR)
        acc = np.left_shift(before.astype(_INT32, copy=False), FRACTION_BITS)
        for product in target.products:
            block = region.blocks.get(product.dependency)
            if block is not None:
                value = product.value(block, old)
                if block.within is ...:
                    np.add(acc, value, out=acc)
                    _limit(acc, _ACC_MIN, _ACC_MAX)
                else:
                    acc[block.within] = _limit(acc[block.within] + value, _ACC_MIN, _ACC_MAX)
            if not old.settled:  # where a product does not count it adds 0, and limits the accumulator
                _limit(acc, _ACC_MIN, _ACC_MAX)
        low, high = self._limits[target.var]
        if 0 in (low, high):
            _limit(acc, *_accumulator_limits(low, high))
        np.add(acc, self.carry(), out=acc)
        np.right_shift(acc, FRACTION_BITS, out=acc)
        return _limit(acc, low, high)
