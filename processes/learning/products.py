"""A learning rule as data: sums of products of factors."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ValidationError
from .constants import (
    DEPENDENCIES,
    FACTOR_STATE_VARS,
    FACTOR_TO_WIDTH_DICT,
    LEARNING_RULE_TARGETS,
    SYNAPTIC_VARIABLES,
    TRACES,
    W_ACCUMULATOR_U,
    W_S_MANT,
)

EXPONENT_BIAS = 7


@dataclass(frozen=True)
class Factor:
    """One factor of a product: ``v``, ``(v + const)`` or ``sgn(v + const)``.

    Parameters
    ----------
    state_var : str
        ``x0 y0 x1 x2 y1 y2 y3 w d t`` or ``C``.
    const : int or float, optional
        Added to the variable.
    is_sgn : bool
        Take the sign of the sum; synaptic variables only.

    Raises
    ------
    ValidationError
        Unknown variable, or a sign of something that is not ``w``, ``d`` or ``t``.
    """

    state_var: str
    const: int | float | None = None
    is_sgn: bool = False

    def __post_init__(self) -> None:
        if self.state_var not in FACTOR_STATE_VARS:
            raise ValidationError(
                f"'{self.state_var}' is none of {', '.join(FACTOR_STATE_VARS)}.", "Factor.state_var"
            )
        if self.is_sgn and self.state_var not in SYNAPTIC_VARIABLES:
            raise ValidationError(f"sgn() of '{self.state_var}': only of w, d or t.", "Factor.is_sgn")

    @property
    def factor_type(self) -> str:
        """Label of the kind of factor; the 2 in ``w+2C`` is only a name, constants are never doubled."""
        if self.state_var == "C":
            return "C"
        label = f"{self.state_var}+{'2C' if self.state_var in ('w', 't') else 'C'}"
        return f"sgn({label})" if self.is_sgn else label

    def has_const(self) -> bool:
        return self.const is not None

    def __str__(self) -> str:
        text = self.state_var if self.const is None else f"{self.state_var}{self.const:+}"
        if self.is_sgn:
            return f"sgn({text})"
        return text if self.const is None else f"({text})"


@dataclass(frozen=True)
class Product:
    """``s_mantissa * 2^(s_exp - 7) * dependency * factor * factor ...``.

    Parameters
    ----------
    target : str
        ``dw``, ``dd`` or ``dt``.
    dependency : str
        ``x0``, ``y0`` or ``u``: when the product counts.
    s_mantissa : int
        -8 to 7.
    s_exp : int
        Exponent of the scale plus 7: 0 to 15.
    factors : tuple of Factor
    decimate_exponent : int, optional
        k of ``uk``; given if and only if the dependency is ``u``.

    Raises
    ------
    ValidationError
        Unknown target or dependency, or a `decimate_exponent` that does not go with the dependency.
    """

    target: str
    dependency: str
    s_mantissa: int
    s_exp: int
    factors: tuple[Factor, ...] = ()
    decimate_exponent: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", tuple(self.factors))
        if self.target not in LEARNING_RULE_TARGETS:
            raise ValidationError(f"'{self.target}' is none of dw, dd, dt.", "Product.target")
        if self.dependency not in DEPENDENCIES:
            raise ValidationError(f"'{self.dependency}' is none of x0, y0, u.", "Product.dependency")
        if (self.dependency == "u") != (self.decimate_exponent is not None):
            raise ValidationError("is given if and only if the dependency is u.", "Product.decimate_exponent")

    @property
    def scale(self) -> float:
        return self.s_mantissa * 2.0 ** (self.s_exp - EXPONENT_BIAS)

    @property
    def factor_bits(self) -> int:
        """Sum of the widths of all factors in the fixed-point multiplier."""
        return sum(FACTOR_TO_WIDTH_DICT[factor.state_var] for factor in self.factors)

    @property
    def uncompensated_shift(self) -> int:
        """Bits lost in fixed point: there the product is 2^-n of its value in floating point."""
        return max(0, self.factor_bits + W_S_MANT - W_ACCUMULATOR_U)

    @property
    def traces(self) -> frozenset[str]:
        return frozenset(factor.state_var for factor in self.factors) & frozenset(TRACES)

    def __str__(self) -> str:
        dependency = self.dependency if self.decimate_exponent is None else f"u{self.decimate_exponent}"
        return " * ".join(
            [f"{self.s_mantissa} * 2^{self.s_exp - EXPONENT_BIAS}", dependency, *map(str, self.factors)]
        )


class ProductSeries:
    """A parsed rule string: the products whose sum is the increment of one target.

    Parameters
    ----------
    target : str
        ``dw``, ``dd`` or ``dt``.
    products : iterable of Product
        In the order of the string.

    Raises
    ------
    ValidationError
        The products use different ``uk``.
    """

    __slots__ = ("products", "target")

    def __init__(self, target: str, products: list[Product] | tuple[Product, ...]) -> None:
        self.target = target
        self.products = tuple(products)
        if len({p.decimate_exponent for p in self.products} - {None}) > 1:
            raise ValidationError("all uk of a rule must have the same k.", f"ProductSeries({target!r})")

    @property
    def decimate_exponent(self) -> int | None:
        """Exponent k of the ``uk`` in use, None without one."""
        exponents = {p.decimate_exponent for p in self.products} - {None}
        return exponents.pop() if exponents else None

    @property
    def active_traces_per_dependency(self) -> dict[str, set[str]]:
        """Traces that are read under each dependency."""
        active: dict[str, set[str]] = {}
        for product in self.products:
            active.setdefault(product.dependency, set()).update(product.traces)
        return active

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProductSeries):
            return NotImplemented
        return (self.target, self.products) == (other.target, other.products)

    def __hash__(self) -> int:
        return hash((self.target, self.products))

    def __str__(self) -> str:
        return f"{self.target} = " + " + ".join(map(str, self.products))

    __repr__ = __str__
