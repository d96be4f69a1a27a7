"""Applying a learning rule to matrices: what floating point and fixed point have in common."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .constants import PRE_TRACES, SYNAPTIC_VARIABLE_VAR_MAPPING, SYNAPTIC_VARIABLES
from .products import Factor, Product
from .program import Program
from .regions import Region, regions
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
    """One factor of a product, ready to be evaluated.

    Attributes
    ----------
    is_variable : bool
        Whether it is a value of the synapse, the Var `var`; else it is one of a neuron.
    is_pre : bool
        Whether that neuron is the presynaptic one.
    key : tuple
        The same for terms whose tables are the same.
    """

    __slots__ = ("const", "is_pre", "is_sgn", "is_variable", "key", "name", "var")

    def __init__(self, factor: Factor) -> None:
        self.name = factor.state_var
        self.is_pre = factor.state_var in ("x0", *PRE_TRACES)
        # as a float where it might not fit into the integers it is added to
        self.const = factor.const if abs(factor.const or 0) < _LARGE else float(factor.const)
        self.is_sgn = factor.is_sgn
        self.is_variable = factor.state_var in SYNAPTIC_VARIABLES
        self.var = SYNAPTIC_VARIABLE_VAR_MAPPING.get(factor.state_var, "")
        self.key = (factor.state_var, factor.const)

    def table(self, history: History) -> np.ndarray:
        """Return the term for all neurons, shape (rows or 1, neurons); computed once per epoch."""
        table = history.cache.get(self.key)
        if table is None:
            table = history.cache[self.key] = self.evaluated(history.of(self.name))
        return table

    def evaluated(self, values: np.ndarray) -> np.ndarray:
        """Return the term for values of its variable."""
        return values if self.const is None else values + self.const


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
        if not everything:
            loop = self.program.loop_for(matrices, history, with_u)
            if loop is not None:
                self.program.run(loop, matrices, history, with_u, self.carry())
                return
        for region in regions(history, with_u, everything):
            old = Reading(region, matrices, not everything)
            changed = [
                (target.var, self.updated(target, region, old))
                for target in self.targets
                if everything or any(product.dependency in region.blocks for product in target.products)
            ]
            for var, values in changed:
                region.write(matrices[var], values)

    @functools.cached_property
    def program(self) -> Program:
        """The rule in the form that compiled loops take."""
        return Program(self.targets, self.limits())

    def limits(self) -> np.ndarray:
        """Return lowest and highest value and accumulator of each target; see `Program`."""
        raise NotImplementedError

    def carry(self) -> int:
        """Return what rounds the accumulators of this epoch."""
        return 0

    def compile(self, product: Product) -> Any:
        """Return the product in the form that `updated` and `Program` evaluate."""
        raise NotImplementedError

    def updated(self, target: Target, region: Region, old: Reading) -> np.ndarray:
        """Return the new values of one target in a region."""
        raise NotImplementedError

    def settled(self, matrices: Matrices) -> bool:
        """Whether an epoch without spikes would leave all targets as they are."""
        raise NotImplementedError
