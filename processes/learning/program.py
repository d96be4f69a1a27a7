"""Learning rules and epochs as arrays of numbers, which compiled loops work through.

`RuleUpdate` evaluates a rule with one NumPy operation per step of the formula and part of the matrices. Here
the same rule becomes data for `kernels.compiled_learning`, which goes through the matrices once, synapse by
synapse of those that can change. Operations and their order are the same, and so are the bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernels import Kernel, readable
from .constants import DEP_TO_IDX_DICT, TRACES
from .traces import History

# NumPy needs 7 to 12 ns for a synapse and as much as for `_PER_EPOCH` of them besides; compiled loops, in any
# epoch, a third to a tenth.
_PER_EPOCH, _WORTH = 5000, 1 << 28
_KERNELS = {np.dtype(kind): Kernel(f"learn_{kind}", 0, _WORTH) for kind in ("float64", "int32")}
# Of sparse matrices NumPy needs 25 to 40 ns for a synapse, compiled loops a third.
_WORTH_OF_ENTRIES = 1 << 25
_OF_ENTRIES = {
    np.dtype(kind): Kernel(f"learn_entries_{kind}", 0, _WORTH_OF_ENTRIES) for kind in ("float64", "int32")
}

_VARS = ("weights", "tag_1", "tag_2")
_DTYPES = {
    np.dtype(np.float64): [np.dtype(np.float64)] * 3,
    np.dtype(np.int32): [np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.int64)],
}
ON_PRE, ON_POST, ON_EPOCH = range(3)
OF_PRE, OF_POST, OF_SYNAPSE = range(3)


class Rule(NamedTuple):
    """A learning rule; N is the type of the numerics.

    Attributes
    ----------
    targets : (targets, 4) of int
        Var that it changes (0 weights, 1 tag_1, 2 tag_2), first product, end of its products; its only product
        with dependency ``y0`` if that has no factors but of presynaptic neurons, else -1.
    limits : (targets, 4) of N
        Lowest and highest value; the same of the accumulator.
    products : (products, 5) of int
        Dependency, first factor, end of its factors, shift to the right, then to the left.
    scales : (products,) of N
        First factor of each.
    factors : (factors, 3) of int
        OF_PRE or OF_POST and the column in the tables at which its neurons begin, or OF_SYNAPSE and the Var;
        1 if the sign is taken.
    constants : (factors,) of float64
        Added to the value of a synapse.
    reads : (2, 3) of bool
        Which Vars are factors in a stretch of rows, and which where only postsynaptic neurons spiked.
    """

    targets: np.ndarray
    limits: np.ndarray
    products: np.ndarray
    scales: np.ndarray
    factors: np.ndarray
    constants: np.ndarray
    reads: np.ndarray


class Epoch(NamedTuple):
    """Who spiked when, and what traces were.

    Attributes
    ----------
    tables : (rows, columns) of N
        Factors of neurons at the needed time steps; the last row is the end of the epoch.
    rows : (steps,) of int
        Row of the tables for each time step within the epoch, from 0, in which somebody spiked.
    tx, ty : (pre,) and (post,) of int
        Time step of the last spike of each neuron; 0: none.
    carry : int
        What rounds an accumulator.
    with_u : bool
        Whether products with dependency ``u`` count.
    """

    tables: np.ndarray
    rows: np.ndarray
    tx: np.ndarray
    ty: np.ndarray
    carry: int
    with_u: bool


class Index(NamedTuple):
    """The entries of sparse matrices, all of which have the same.

    Attributes
    ----------
    indices, indptr : (entries,) and (post + 1,) of int32
        As of a CSR matrix of shape (post, pre).
    starts, counts : (pre,) of int
        First synapse, and number of synapses, of each presynaptic neuron.
    rows, positions : (entries,) of int32
        Postsynaptic neuron of each synapse, and its entry.
    lost : (entries,) or (0,) of bool
        Which entries do not learn.
    used : (3,) of bool
        Which Vars the rule reads or changes.
    """

    indices: np.ndarray
    indptr: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    rows: np.ndarray
    positions: np.ndarray
    lost: np.ndarray
    used: np.ndarray


class Program:
    """A rule as numbers, and how to carry out an epoch with them.

    Parameters
    ----------
    targets : list of Target
        With products that have a `dependency`, a `scale` of the type of the numerics, shifts to the `right`
        and to the `left`, and `terms`.
    limits : ndarray, shape (targets, 4)
        Of the value and of the accumulator; the dtype, float64 or int32, is that of the numerics.

    Attributes
    ----------
    used : ndarray of bool, shape (3,)
        Which of weights, tag_1 and tag_2 the rule reads or changes.
    """

    def __init__(self, targets: list[Any], limits: np.ndarray) -> None:
        self.dtype = limits.dtype
        bounds, products, scales, factors, constants = [], [], [], [], []
        reads = np.zeros((2, len(_VARS)), bool)
        self._sections: dict[Any, Any] = {}
        self._places: list[tuple[int, Any]] = []
        for target in targets:
            var, first = _VARS.index(target.var), len(products)
            for product in target.products:
                dependency, begin = DEP_TO_IDX_DICT[product.dependency], len(factors)
                chosen = dependency == ON_POST
                for term in product.terms:
                    kind, where = OF_SYNAPSE, 0
                    if term.is_variable:
                        where = _VARS.index(term.var)
                        reads[: 1 + chosen, where] = True
                    else:
                        kind = OF_PRE if term.is_pre else OF_POST
                        self._sections.setdefault(term.key, term)
                        self._places.append((len(factors), term.key))
                    factors.append((kind, where, term.is_sgn))
                    constants.append(term.const or 0.0)
                products.append((dependency, begin, len(factors), product.right, product.left))
                scales.append(product.scale)
            at_post = [p for p in range(first, len(products)) if products[p][0] == ON_POST]
            direct = -1
            if len(at_post) == 1:
                begin, end = products[at_post[0]][1:3]
                if all(kind == OF_PRE for kind, *_ in factors[begin:end]):
                    direct = at_post[0]
            bounds.append((var, first, len(products), direct))
        self.used = reads[0].copy()
        self.used[[bound[0] for bound in bounds]] = True
        # then tables are the history itself
        self._plain = self.dtype == np.float64 and all(
            term.const is None and term.name in TRACES for term in self._sections.values()
        )
        self._rule = Rule(
            np.array(bounds, np.int64).reshape(-1, 4),
            limits,
            np.array(products, np.int64).reshape(-1, 5),
            np.array(scales, self.dtype),
            np.array(factors, np.int64).reshape(-1, 3),
            np.array(constants, np.float64),
            reads,
        )

    def loop_for(self, matrices: dict[str, np.ndarray], history: History, with_u: bool) -> Any:
        """Return the compiled loop, or None where NumPy should work through this epoch."""
        if not self._takes(matrices):
            return None
        num_pre, num_post = history.layout.num_pre, history.layout.num_post
        untouched = 0 if with_u else (num_pre - len(history.pre)) * (num_post - len(history.post))
        loop = _KERNELS[self.dtype].for_work(num_pre * num_post - untouched + _PER_EPOCH)
        return loop if loop is not None and readable(*matrices.values()) else None

    def loop_for_entries(self, values: dict[str, np.ndarray], touched: int) -> Any:
        """Return the compiled loop for sparse matrices, or None where NumPy should work through this epoch.

        Parameters
        ----------
        values : dict of str to ndarray
            Values of the entries.
        touched : int
            Number of entries that the epoch can change.
        """
        if not self._takes(values):
            return None
        loop = _OF_ENTRIES[self.dtype].for_work(touched + _PER_EPOCH)
        return loop if loop is not None and readable(*values.values()) else None

    def _takes(self, values: dict[str, np.ndarray]) -> bool:
        """Whether values have the types that the loops are compiled for."""
        return [values[name].dtype for name in _VARS] == _DTYPES[self.dtype]

    def run(
        self,
        loop: Any,
        values: dict[str, np.ndarray],
        history: History,
        with_u: bool,
        carry: int,
        index: tuple[np.ndarray, ...] = (),
    ) -> None:
        """Carry out one epoch with a loop from `loop_for`, or from `loop_for_entries`, with the index of them."""
        tables, columns = self._tables(history)
        factors = self._rule.factors
        for factor, key in self._places:
            factors[factor, 1] = columns[key]
        epoch = Epoch(tables, history.rows, history.tx, history.ty, carry, with_u)
        arguments = [values[name] for name in _VARS]
        loop(*arguments, *index, self._rule, epoch)

    def _tables(self, history: History) -> tuple[np.ndarray, dict[Any, int]]:
        """Return all factors of neurons side by side, and the column at which each begins."""
        if self._plain:
            return history.table, {
                key: history.place[term.name].start for key, term in self._sections.items()
            }
        parts, columns, width = [], {}, 0
        for key, term in self._sections.items():
            part = term.table(history)
            parts.append(part)
            columns[key] = width
            width += part.shape[1]
        tables = np.empty((len(history.table), width), self.dtype)
        for key, part in zip(columns, parts, strict=True):
            tables[:, columns[key] : columns[key] + part.shape[1]] = part
        return tables, columns
