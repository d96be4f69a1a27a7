"""Learning rules in floating point."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..weights import SignMode
from .products import Product
from .regions import Block, Region
from .rule import LoihiLearningRule
from .rule_update import Matrices, Reading, RuleUpdate, Target, Term


class _FloatProduct:
    """``scale * factor * factor ...``, multiplied from left to right."""

    __slots__ = ("dependency", "scale", "terms")

    left = right = 0  # nothing is shifted

    def __init__(self, product: Product) -> None:
        self.dependency = product.dependency
        self.scale = product.scale
        self.terms = [Term(factor) for factor in product.factors]

    def value(self, block: Block, old: Reading) -> Any:
        """Return the product in a block, broadcastable to its shape."""
        result: Any = self.scale
        for term in self.terms:
            result = result * _term_value(term, block, old)
        return result


def _term_value(term: Term, block: Block, old: Reading) -> np.ndarray:
    if term.is_variable:
        value = term.evaluated(old[term.var][block.within])
        return np.sign(value) if term.is_sgn else value
    return block.trace(term.is_pre, term.table(block.history))


class FloatRuleUpdate(RuleUpdate):
    """Floating-point evaluation: increments are exact, weights keep their sign, nothing saturates.

    Parameters
    ----------
    rule : LoihiLearningRule
    sign_mode : SignMode
        EXCITATORY weights end at 0 from below, INHIBITORY ones from above. `tag_2` never is negative.
    """

    def __init__(self, rule: LoihiLearningRule, sign_mode: SignMode) -> None:
        super().__init__(rule)
        self._limit: dict[str, Any] = {"tag_2": np.maximum}
        if sign_mode is SignMode.EXCITATORY:
            self._limit["weights"] = np.maximum
        elif sign_mode is SignMode.INHIBITORY:
            self._limit["weights"] = np.minimum

    def compile(self, product: Product) -> _FloatProduct:
        return _FloatProduct(product)

    def limits(self) -> np.ndarray:
        bounds = {np.maximum: (0.0, np.inf), np.minimum: (-np.inf, 0.0), None: (-np.inf, np.inf)}
        return np.array([(*bounds[self._limit.get(t.var)], 0.0, 0.0) for t in self.targets])

    def settled(self, matrices: Matrices) -> bool:
        for target in self.targets:
            limit, matrix = self._limit.get(target.var), matrices[target.var]
            if limit is not None and matrix.size:
                extreme = matrix.min() if limit is np.maximum else -matrix.max()
                if not extreme >= 0:
                    return False
        return True

    def updated(self, target: Target, region: Region, old: Reading) -> np.ndarray:
        increment: Any = None
        own = False  # whether `increment` is a full array of our own
        for product in target.products:
            block = region.blocks.get(product.dependency)
            if block is None:
                continue
            value = product.value(block, old)
            if block.within is ...:
                increment, own = value if increment is None else increment + value, False
                continue
            if not own:
                increment = np.array(np.broadcast_to(0.0 if increment is None else increment, region.shape))
                own = True
            increment[block.within] += value
        new = old[target.var] + (0.0 if increment is None else increment)
        limit = self._limit.get(target.var)
        return new if limit is None else limit(new, 0.0)
