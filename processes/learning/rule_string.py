"""Reading rule strings such as ``"2^-1*x0*y1 - y0*(x1-4)"``.

::

    rule       := [sign] product { sign product }            sign := + | -
    product    := item { [*] item }                          (side by side means times)
    item       := dependency | variable | literal | ( sum ) | sgn( sum )
    dependency := x0 | y0 | u<one digit>
    variable   := x1 | x2 | y1 | y2 | y3 | w | d | t
    literal    := N*2^[sign]N | 2^[sign]N | N                N := decimal digits
    sum        := one variable, x0 or y0, plus and minus literals

Blanks mean nothing. A product needs a dependency, which says when it counts: the first one it meets. All
literals of a product merge into its scale ``m * 2^e`` with m in -8..7 and e in -7..8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NoReturn

from ..errors import ArgumentTypeError, RuleError
from .constants import SYNAPTIC_VARIABLES, TRACES
from .products import EXPONENT_BIAS, Factor, Product, ProductSeries

MANTISSA_MIN, MANTISSA_MAX = -8, 7
EXPONENT_MIN, EXPONENT_MAX = -7, 8
_MAX_DEPTH = 20

_LITERAL = re.compile(r"(?:(\d+)\*)?2\^([+-]?)(\d+)|(\d+)")
_NAME = re.compile(r"x[012]|y[0123]|[wdt]|u(?=\d)")
_DECIMAL = re.compile(r"\d*\.\d+(?:[eE][+-]?\d+)?|\d+\.|\d+[eE][+-]?\d+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_U_SYMBOL = re.compile(r"u *(\d)")
_NAMES_HINT = "The names are x0, y0, u0 to u9, x1, x2, y1, y2, y3, w, d, t and sgn()."


def parse_rule(target: str, text: str) -> ProductSeries:
    """Read a rule string.

    Parameters
    ----------
    target : str
        ``dw``, ``dd`` or ``dt``.
    text : str
        The rule; see the grammar at the top of this module.

    Returns
    -------
    ProductSeries

    Raises
    ------
    RuleError
        The string is no rule; the error names the column and what to write instead.
    ArgumentTypeError
        `text` is not a string.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{target}: a rule is a string or None, not {type(text).__name__}.")
    return _Reader(target, text).rule()


def common_decimate_exponent(rules: dict[str, str | None]) -> int | None:
    """Return k of the ``uk`` in all rule strings, None if there is none.

    Raises
    ------
    RuleError
        The strings contain different ``uk``: a chip has one epoch counter.
    """
    seen: int | None = None
    for target, text in rules.items():
        for match in _U_SYMBOL.finditer(text or ""):
            k = int(match.group(1))
            if seen is not None and k != seen:
                raise RuleError(
                    f"u{seen} and u{k} cannot be combined: all uk of a learning rule, across dw, dd and dt, "
                    "must be the same.",
                    text or "",
                    match.start(),
                    target,
                )
            seen = k
    return seen


@dataclass
class _Sum:
    """What stands in a bracket: variables as (name, k, sign) and literals as (mantissa, exponent)."""

    variables: list[tuple[str, int | None, int]] = field(default_factory=list)
    literals: list[tuple[int, int]] = field(default_factory=list)

    def add(self, other: _Sum, sign: int) -> None:
        self.variables += [(name, k, sign * s) for name, k, s in other.variables]
        self.literals += [(sign * m, e) for m, e in other.literals]

    def constant(self) -> int | float | None:
        if not self.literals:
            return None
        return sum(m * 2**e for m, e in self.literals)


@dataclass
class _Builder:
    """A product while it is read."""

    mantissa: int
    exponent: int = 0
    dependency: str | None = None
    k: int | None = None
    factors: list[Factor] = field(default_factory=list)


class _Reader:
    """Recursive descent over the text without blanks; columns refer to the text as typed."""

    def __init__(self, target: str, typed: str) -> None:
        self.target, self.typed = target, typed
        self.columns = [c for c, char in enumerate(typed) if char != " "]
        self.text = typed.replace(" ", "")
        self.pos = 0
        self.depth = 0

    # --- errors -----------------------------------------------------------------------------

    def column(self, pos: int) -> int:
        return self.columns[pos] if pos < len(self.columns) else len(self.typed)

    def source(self, start: int, end: int) -> str:
        """Return the text between two positions as it was typed."""
        return self.typed[self.column(start) : self.column(end - 1) + 1] if end > start else ""

    def fail(self, what: str, pos: int | None = None) -> NoReturn:
        raise RuleError(what, self.typed, self.column(self.pos if pos is None else pos), self.target)

    def fail_unreadable(self) -> NoReturn:
        """Refuse whatever stands at the current position, with the most helpful hint there is."""
        rest = self.text[self.pos :]
        before = self.text[self.pos - 1] if self.pos else ""
        if not rest:
            self.fail(
                f"The rule ends after '{before}', where a product or factor is expected."
                if before
                else "The rule is empty; pass None for no rule."
            )
        if decimal := _DECIMAL.match(rest):
            self.fail(f"Decimal numbers do not exist in rules: {_instead_of(decimal.group())}.")
        first = rest[0]
        if first in "+-":
            self.fail(self._sign_hint(first, rest[1:], before))
        if first == "*":
            self.fail("A factor is expected before '*'; for a power write the variable several times.")
        if first == "^":
            self.fail(self._power_hint())
        if first == "/":
            self.fail("There is no division: write '*2^-1' instead of '/2'.")
        if first == ")":
            if before == "(":
                self.fail("Empty bracket.", self.pos - 1)
            self.fail("')' without '(', or nothing in front of it.")
        if first.isspace():
            self.fail("Only blanks may separate symbols, neither tabs nor line breaks.")
        if word := _WORD.match(rest):
            self.fail(_word_hint(word.group()))
        self.fail(f"'{first}' cannot occur in a rule.")

    def _sign_hint(self, sign: str, rest: str, before: str) -> str:
        literal = _LITERAL.match(rest)
        if literal and before == "*":
            return f"A sign starts a new product; bracket the literal: ({sign}{literal.group()})."
        return f"'{sign}' cannot follow '{before}': write one sign, in front of the product."

    def _power_hint(self) -> str:
        match = re.search(r"([A-Za-z]\w*|\)|\d+)$", self.text[: self.pos])
        base = match.group() if match else ""
        if base.isdigit():
            bracket = re.match(r"\^\(([+-]?\d+)\)", self.text[self.pos :])
            if base == "2" and bracket:
                return f"An exponent has no brackets: write 2^{bracket.group(1)}."
            return f"'{base}^' cannot be read: only powers of two exist, 2^k or N*2^k with an integer k."
        if base in ("", ")"):
            return "Only 2 can have an exponent: write the factor several times."
        return f"Only 2 can have an exponent: write {base}*{base} instead of {base}^2."

    # --- grammar ----------------------------------------------------------------------------

    def take(self, symbol: str) -> bool:
        if self.text.startswith(symbol, self.pos):
            self.pos += len(symbol)
            return True
        return False

    def take_sign(self) -> int:
        """Return +1 or -1 for a sign, 0 if there is none."""
        return 1 if self.take("+") else -1 if self.take("-") else 0

    def rule(self) -> ProductSeries:
        products = [self.product(self.take_sign() or 1)]
        while self.pos < len(self.text):
            sign = self.take_sign()
            if not sign:
                self.fail_unreadable()
            products.append(self.product(sign))
        return ProductSeries(self.target, products)

    def product(self, sign: int) -> Product:
        start = self.pos
        built = _Builder(sign)
        self.item(built)
        while self.pos < len(self.text) and self.text[self.pos] not in "+-":
            self.take("*")
            self.item(built)
        return self.finish(built, start)

    def item(self, built: _Builder) -> None:
        start = self.pos
        if self.take("sgn("):
            self.sgn(built, self.bracket(start), start)
        elif self.take("("):
            self.bracketed(built, self.bracket(start), start)
        else:
            operand = self.operand()
            if operand.literals:
                self.scale(built, *operand.literals[0])
            else:
                self.name(built, *operand.variables[0], start)

    def operand(self) -> _Sum:
        """Read one literal or name."""
        rest = self.text[self.pos :]
        if _DECIMAL.match(rest):
            self.fail_unreadable()
        if literal := _LITERAL.match(rest):
            value = self.literal(literal)
            self.pos += literal.end()
            return _Sum(literals=[value])
        if name := _NAME.match(rest):
            end = self.pos + name.end()
            k = None
            if name.group() == "u":
                k = int(self.text[end])
                if self.text[end + 1 : end + 2].isdigit() and self.columns[end + 1] == self.columns[end] + 1:
                    self.fail("'u' takes one digit: u0 to u9 stand for every 1st to every 512th epoch.")
                end += 1
            elif word := _WORD.match(rest):
                self.check_word(word.group())
            self.pos = end
            return _Sum(variables=[(name.group(), k, 1)])
        return self.fail_unreadable()

    def check_word(self, word: str) -> None:
        """Refuse words that only begin like a name; names written side by side ('x0y1') are fine."""
        if not re.fullmatch(r"(?:x[012]|y[0123]|[wdt]|u\d|sgn|\d+)+", word):
            self.fail(_word_hint(word))

    def literal(self, match: re.Match[str]) -> tuple[int, int]:
        """Return (mantissa, exponent)."""
        mantissa, sign, exponent, number = match.groups()
        for digits, limit in ((mantissa, 9), (exponent, 2), (number, 9)):
            if digits and len(digits) > limit:
                self.fail(f"'{digits}' is too large: at most {limit} digits.")
            if digits and len(digits) > 1 and digits[0] == "0" and digits.strip("0"):
                self.fail(f"'{digits}' has a leading zero: write {digits.lstrip('0')}.")
        if number is not None:
            return int(number), 0
        return int(mantissa or 1), int((sign or "") + exponent)

    def bracket(self, start: int) -> _Sum:
        """Read a sum up to its closing bracket; the opening one has been taken."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.fail(f"More than {_MAX_DEPTH} brackets inside each other.", start)
        total = _Sum()
        sign = self.take_sign() or 1
        while True:
            here = self.pos
            total.add(self.bracket(here) if self.take("(") else self.operand(), sign)
            if self.take(")"):
                self.depth -= 1
                return total
            sign = self.take_sign()
            if self.pos >= len(self.text):
                self.fail("This bracket is not closed: ')' is missing.", start)
            if sign:
                continue
            if (
                self.text[self.pos] in "*("
                or _NAME.match(self.text, self.pos)
                or self.text[self.pos].isdigit()
            ):
                self.fail(
                    "A bracket holds a sum of one variable and constants; write products without brackets.",
                    start,
                )
            self.fail_unreadable()

    # --- meaning ----------------------------------------------------------------------------

    @staticmethod
    def scale(built: _Builder, mantissa: int, exponent: int) -> None:
        built.mantissa *= mantissa
        built.exponent += exponent

    def name(self, built: _Builder, name: str, k: int | None, sign: int, start: int) -> None:
        built.mantissa *= sign
        if name not in ("x0", "y0", "u"):
            built.factors.append(Factor(name))
        elif built.dependency is None:
            built.dependency, built.k = name, k
        elif name != "u":
            built.factors.append(Factor(name))
        elif built.dependency != "u":
            self.fail(f"u{k} cannot be a factor: this product depends on {built.dependency} already.", start)

    def bracketed(self, built: _Builder, content: _Sum, start: int) -> None:
        if len(content.variables) > 1:
            self.fail("A bracket may hold only one variable, plus or minus constants.", start)
        constant = content.constant()
        if not content.variables:
            if len(content.literals) > 1:
                self.fail(f"A bracket without a variable holds one literal: write {constant}.", start)
            self.scale(built, *content.literals[0])
            return
        name, k, sign = content.variables[0]
        if constant is None:
            self.name(built, name, k, sign, start)
        elif name == "u":
            self.fail(f"u{k} cannot be added to something: it says when a product counts.", start)
        else:  # (c - v) = -(v - c)
            built.mantissa *= sign
            built.factors.append(Factor(name, sign * constant))

    def sgn(self, built: _Builder, content: _Sum, start: int) -> None:
        if len(content.variables) != 1 or content.variables[0][0] not in SYNAPTIC_VARIABLES:
            self.fail(
                f"sgn() takes w, d or t, plus or minus a constant; not {self.source(start, self.pos)}.", start
            )
        name, _, sign = content.variables[0]
        constant = content.constant()
        if sign < 0:
            positive = Factor(name, None if constant is None else -constant, is_sgn=True)
            self.fail(f"sgn() takes no negative variable: write (-1)*{positive}.", start)
        built.factors.append(Factor(name, constant, is_sgn=True))

    def finish(self, built: _Builder, start: int) -> Product:
        shown = self.source(start, self.pos)
        if built.dependency is None:
            self.fail(
                f"The product '{shown}' depends on nothing: multiply it by x0 (presynaptic spike), y0 "
                "(postsynaptic spike) or u0 (every epoch).",
                start,
            )
        mantissa, exponent = built.mantissa, built.exponent
        while abs(mantissa) > MANTISSA_MAX and mantissa % 2 == 0 and exponent < EXPONENT_MAX:
            mantissa //= 2
            exponent += 1
        form = f"m*2^e with m in {MANTISSA_MIN}..{MANTISSA_MAX} and e in {EXPONENT_MIN}..{EXPONENT_MAX}"
        if not MANTISSA_MIN <= mantissa <= MANTISSA_MAX:
            self.fail(f"The scale {mantissa}*2^{exponent} of '{shown}' cannot be written as {form}.", start)
        if not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
            self.fail(
                f"The scale {mantissa}*2^{exponent} of '{shown}' is too large or too small for {form}.",
                start,
            )
        return Product(
            self.target, built.dependency, mantissa, exponent + EXPONENT_BIAS, tuple(built.factors), built.k
        )


def _instead_of(decimal: str) -> str:
    """Say how to write a decimal number with a power of two."""
    if not 1e-9 < float(decimal) < 1e9:
        return f"write a scale m*2^e instead of {decimal}"
    value = Fraction(decimal)
    if value.denominator == 1:
        return f"write {value} instead of {decimal}"
    exponent = 0
    exact = value
    while exact.denominator % 2 == 0:
        exact *= 2
        exponent -= 1
    while exact.numerator % 2 == 0:
        exact /= 2
        exponent += 1
    if exact.denominator == 1 and exact <= MANTISSA_MAX:
        return f"write {_power(int(exact), exponent)} instead of {decimal}"
    mantissa, exponent = min(
        ((m, e) for m in range(1, MANTISSA_MAX + 1) for e in range(EXPONENT_MIN, EXPONENT_MAX + 1)),
        key=lambda scale: (abs(scale[0] * Fraction(2) ** scale[1] - value), scale[0]),
    )
    near = mantissa * 2.0**exponent
    return f"{decimal} has no exact form; the nearest scale is {_power(mantissa, exponent)} = {near:g}"


def _power(mantissa: int, exponent: int) -> str:
    if exponent == 0:
        return str(mantissa)
    return f"2^{exponent}" if mantissa == 1 else f"{mantissa}*2^{exponent}"


def _word_hint(word: str) -> str:
    if word.lower() != word and re.match(r"x[012]|y[0123]|[wdt]$|u\d|sgn", word.lower()):
        return f"'{word}' is unknown: names are written in lower case."
    if word == "u":
        return "'u' needs one digit: u0 is every epoch, uk every 2^k-th epoch."
    if re.match(r"[xy]\d", word):
        return f"'{word}' is unknown: the spikes are x0 and y0, the traces {', '.join(TRACES)}."
    if word.startswith("sgn"):
        return "sgn needs a bracket: sgn(w)."
    return f"'{word}' is unknown. {_NAMES_HINT}"
