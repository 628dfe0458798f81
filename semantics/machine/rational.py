"""Rational arithmetic: the same code with fractions for reals and `Log(w)` for the logarithm of w.

Exact for finite programs whose scores are logarithms of rationals; anything else is refused (E840).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import arrays, scalars
from ppl.semantics.machine.distributions.family import Family, Options


def irrational(what: str) -> Exception:
    return fail(
        "E840",
        f"{what} is not rational, so that the program has no exact rational measure",
        hint="enumerate it in floating point",
    )


@dataclass(frozen=True)
class Log:
    """log(of), of >= 0. Adding multiplies."""

    of: Fraction

    def __add__(self, other: Any) -> Log:
        if isinstance(other, Log):
            return Log(self.of * other.of)
        if other == 0:
            return self
        if other == -scalars.inf:
            return Log(Fraction(0))
        raise irrational("a logarithm plus a number")

    __radd__ = __add__

    def __neg__(self) -> Log:
        return self * -1

    def __sub__(self, other: Any) -> Log:
        return self + (-other if isinstance(other, Log) else -other)

    def __rsub__(self, other: Any) -> Log:
        return -self + other

    def __mul__(self, k: Any) -> Log:
        if isinstance(k, Log) or Fraction(k).denominator != 1:
            raise irrational("a logarithm times a fraction")
        return Log(self.of ** int(k))

    __rmul__ = __mul__

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, Log):
            return self.of > other.of
        if other == -scalars.inf:
            return self.of > 0
        if other == 0:
            return self.of > 1
        raise irrational("a comparison of a logarithm")

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, Log):
            return self.of < other.of
        raise irrational("a comparison of a logarithm")


def fraction(x: Any) -> Any:
    """A literal as the decimal number that it is written as; infinities stay."""
    if isinstance(x, float):
        return Fraction(repr(x)) if abs(x) < scalars.inf else x
    return Fraction(x)


def log(x: Any) -> Log:
    if x < 0:
        raise irrational("the logarithm of a negative number")
    return Log(Fraction(x))


def exp(x: Any) -> Any:
    if isinstance(x, Log):
        return x.of
    if x == 0:
        return Fraction(1)
    raise irrational("an exponential")


def div(a: Any, b: Any) -> Any:
    if b == 0:
        raise irrational("a quotient by zero")
    return Fraction(a) / b


def power(a: Any, b: Any) -> Any:
    if Fraction(b).denominator != 1:
        raise irrational("a root")
    return a ** int(b) if type(a) is int and b >= 0 else Fraction(a) ** int(b)


def total(xs: Any) -> Any:
    out: Any = 0
    for x in arrays.leaves(xs):
        out = out + x
    return out


def mean(xs: Any) -> Any:
    n = len(arrays.leaves(xs))
    arrays.enough("mean", n)
    return div(total(xs), n)


SCALAR: dict[str, Callable[..., Any]] = {
    "div": div,
    "pow": power,
    "log": log,
    "exp": exp,
    "to_real": Fraction,
    "score_if": lambda c: Log(Fraction(bool(c))),
    "floordiv": lambda a, b: a // b if b else scalars.floordiv(a, b),
    "mod": lambda a, b: a % b if b else scalars.mod(a, b),
}
WHOLE: dict[str, Callable[..., Any]] = {
    "sum": total,
    "mean": mean,
}
_KEPT = frozenset(
    "add sub mul neg lt gt le ge eq ne and or not square abs sign floor ceil trunc min max "
    "indicator".split()
)


def _refused(op: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise irrational(f"`{op}`")

    return refuse


def scalar(op: str) -> Callable[..., Any]:
    """The primitive in rational arithmetic."""
    if op in SCALAR:
        return SCALAR[op]
    return scalars.SCALAR[op] if op in _KEPT else _refused(op)


@cache
def elementwise(op: str) -> Callable[..., Any]:
    """An elementwise row on arrays."""
    return arrays.lifted(scalar(op))


class Rational(Family):
    """A family in rational arithmetic: its density is the probability of a listed value."""

    def __init__(self, base: Family, op: str):
        super().__init__(base.name, base.density, None, base.legal, base.inside, base.values)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "op", op)

    base: Family
    op: str

    def support(self, *args: Any) -> Options:
        if self.op == "discrete_uniform" and not any(type(a) is tuple for a in args):
            lo, hi = args
            return [(k, Fraction(1, hi - lo + 1)) for k in range(lo, hi + 1)]
        if self.op not in _EXACT:
            raise irrational(f"`{self.op}`")
        return [(v, Fraction(p)) for v, p in self.base.support(*args)]

    def log_prob(self, x: Any, *args: Any) -> Any:
        point: Any = x
        if type(x) is tuple and hasattr(self.base, "base"):
            out: Any = Log(Fraction(1))
            for i, v in enumerate(x):
                row = [a[i] if type(a) is tuple else a for a in args]
                out = out + self.log_prob(v, *row)
            return out
        if self.op == "geometric":
            (p,) = args
            return Log(Fraction(p) * (1 - Fraction(p)) ** point if point >= 0 else Fraction(0))
        return Log(sum((p for v, p in self.support(*args) if v == x), Fraction(0)))


_EXACT = frozenset("bernoulli binomial categorical multinomial dirac mixture iid truncate".split())


@cache
def rational_family(op: str, base: Family) -> Rational:
    """The row's family in rational arithmetic."""
    return Rational(base, op)
