"""Applying a learning rule to matrices: what floating point and fixed point have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .constants import SYNAPTIC_VARIABLE_VAR_MAPPING, SYNAPTIC_VARIABLES
from .products import Factor, Product
from .regions import Block, Region, regions
from .rule import LoihiLearningRule
from .traces import History

Matrices = dict[str, np.ndarray]
_LARGE = 2**20


class Reading(dict):
    """Old values of one region by Var name, read when first needed.

    Attributes
    ----------
    settled : bool
        Whether all values lie within the limits of their Var.
    """

    def __init__(self, region: Region, matrices: Matrices, settled: bool) -> None:
        super().__init__()
        self._region, self._matrices, self.settled = region, matrices, settled

    def __missing__(self, name: str) -> np.ndarray:
        values = self[name] = self._region.read(self._matrices[name])
        return values


class Term:
    """One factor of a product, ready to be evaluated."""

    __slots__ = ("const", "is_sgn", "is_variable", "key", "name", "var")

    def __init__(self, factor: Factor) -> None:
        self.name = factor.state_var
        # as a float where it might not fit into the integers it is added to
        self.const = factor.const if abs(factor.const or 0) < _LARGE else float(factor.const)
        self.is_sgn = factor.is_sgn
        self.is_variable = factor.state_var in SYNAPTIC_VARIABLES
        self.var = SYNAPTIC_VARIABLE_VAR_MAPPING.get(factor.state_var, "")
        self.key = (factor.state_var, factor.const)


class Target:
    """One rule (dw, dd or dt) compiled for evaluation.

    Attributes
    ----------
    var : str
        Name of the Var it changes.
    products : list
        In the order of the rule string.
    """

    __slots__ = ("products", "var")

    def __init__(self, var: str, products: list[Any]) -> None:
        self.var = var
        self.products = products


class RuleUpdate:
    """Changes weights and tags at the end of an epoch.

    All targets are computed from the old values. Only regions in which a product can count are touched,
    which is the same as evaluating every synapse as long as values lie within the limits of their Var;
    `settled` says whether they do.

    Parameters
    ----------
    rule : LoihiLearningRule
    """

    def __init__(self, rule: LoihiLearningRule) -> None:
        self.decimate_exponent = rule.decimate_exponent
        self.targets = [
            Target(SYNAPTIC_VARIABLE_VAR_MAPPING[name[1]], [self.compile(p) for p in series.products])
            for name, series in rule.active_product_series.items()
        ]

    def u_is_on(self, epoch: int) -> bool:
        """Whether products with dependency ``u`` count at the end of epoch 1, 2, ..."""
        return self.decimate_exponent is not None and epoch % (1 << self.decimate_exponent) == 0

    def apply(self, matrices: Matrices, history: History, with_u: bool, everything: bool = False) -> None:
        """Carry out one epoch.

        Parameters
        ----------
        matrices : dict of str to ndarray, shape (pre, post)
            ``weights``, ``tag_1`` and ``tag_2``; changed in place. Fastest if C-contiguous.
        history : History
            Traces of the epoch.
        with_u : bool
            Whether products with dependency ``u`` count.
        everything : bool
            Evaluate every synapse; needed if the values were not `settled`.
        """
        for region in regions(history, with_u, everything):
            old = Reading(region, matrices, not everything)
            changed = [
                (target.var, self.updated(target, region, old))
                for target in self.targets
                if everything or any(product.dependency in region.blocks for product in target.products)
            ]
            for var, values in changed:
                region.write(matrices[var], values)

    def compile(self, product: Product) -> Any:
        """Return the product in the form that `updated` evaluates; it has a `dependency`."""
        raise NotImplementedError

    def updated(self, target: Target, region: Region, old: Reading) -> np.ndarray:
        """Return the new values of one target in a region."""
        raise NotImplementedError

    def settled(self, matrices: Matrices) -> bool:
        """Whether an epoch without spikes would leave all targets as they are."""
        raise NotImplementedError


def table_of(term: Term, block: Block) -> np.ndarray:
    """Return the history of a trace plus the constant of a term, computed once per epoch."""
    table = block.history.of(term.name)
    if term.const is None:
        return table
    cache = block.history.cache
    shifted = cache.get(term.key)
    if shifted is None:
        shifted = cache[term.key] = table + term.const
    return shifted
