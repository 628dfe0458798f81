"""The primitives of the rational oracle, each on exact values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from tests.oracles.rational_values import (
    Array,
    Dist,
    Fun,
    Log,
    Measure,
    NotFinite,
    Outcomes,
    State,
    loop,
    product,
    table,
)


def frac(x: Any) -> Fraction:
    if isinstance(x, (bool, int, Fraction)):
        return Fraction(x)
    raise NotFinite(f"{x!r} is not a rational number")


def lift(f: Callable[..., Any]) -> Callable[..., Any]:
    """Elementwise over arrays; a scalar goes with anything."""

    def lifted(*args: Any) -> Any:
        lengths = {len(a) for a in args if isinstance(a, Array)}
        if not lengths:
            return f(*args)
        (n,) = lengths
        return Array(lifted(*(a[i] if isinstance(a, Array) else a for a in args)) for i in range(n))

    return lifted


def add(a: Any, b: Any) -> Any:
    if isinstance(a, Log) or isinstance(b, Log):
        a, b = (Log(Fraction(1)) if x == 0 else x for x in (a, b))
        if isinstance(a, Log) and isinstance(b, Log):
            return Log(a.of * b.of)
        raise NotFinite("a logarithm plus a rational")
    return a + b


def mul(a: Any, b: Any) -> Any:
    if isinstance(b, Log):
        a, b = b, a
    if isinstance(a, Log):
        if isinstance(b, Log) or Fraction(b).denominator != 1:
            raise NotFinite("a logarithm times what is not an integer")
        return Log(a.of ** int(b))
    return a * b


def log(x: Any) -> Log:
    if frac(x) < 0:
        raise NotFinite(f"log({x})")
    return Log(frac(x))


def weight(x: Any) -> Fraction:
    """exp(x), where that is rational."""
    if isinstance(x, Log):
        return x.of
    if frac(x) == 0:
        return Fraction(1)
    raise NotFinite(f"exp({x}) is not rational")


def divide(a: Any, b: Any) -> Fraction:
    if frac(b) == 0:
        raise NotFinite(f"{a} / 0")
    return frac(a) / frac(b)


def power(a: Any, b: Any) -> Any:
    if frac(b).denominator != 1:
        raise NotFinite(f"{a} ^ {b}")
    return a ** int(b) if isinstance(a, int) and b >= 0 else frac(a) ** int(b)


def bernoulli(p: Any) -> Dist:
    return table([(True, frac(p)), (False, 1 - frac(p))], elementwise=True)


def binomial(n: int, p: Any) -> Dist:
    p = frac(p)
    return table(
        [(k, math.comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)], elementwise=True
    )


def discrete_uniform(lo: int, hi: int) -> Dist:
    return table([(k, Fraction(1, hi - lo + 1)) for k in range(lo, hi + 1)], elementwise=True)


def geometric(p: Any) -> Dist:
    return Dist(
        None, lambda k: frac(p) * (1 - frac(p)) ** k if k >= 0 else Fraction(0), elementwise=True
    )


def elementwise(f: Callable[..., Dist]) -> Callable[..., Dist]:
    """With array arguments, the independent product over the elements."""

    def product_over(dists: Any) -> Dist:
        return product([product_over(d) for d in dists]) if isinstance(dists, Array) else dists

    return lambda *args: product_over(lift(f)(*args))


def mixture(w: Array, ds: Array) -> Dist:
    return table([(v, frac(a) * p) for a, d in zip(w, ds, strict=True) for v, p in d.options()])


def truncate(d: Dist, lower: Any = -math.inf, upper: Any = math.inf) -> Dist:
    kept = [(v, p) for v, p in d.options() if lower <= v <= upper]
    total = sum(p for _, p in kept)
    if total == 0:
        raise NotFinite("a truncation without mass")
    return table([(v, p / total) for v, p in kept])


def iid(n: int, d: Any) -> Any:
    if isinstance(d, Dist):
        return product([d] * n)
    return Measure(lambda path, state: loop(lambda i, p, st: d.run(p, st), n, path, state))


def flat(xs: Any) -> Iterator[Any]:
    for x in xs:
        if isinstance(x, Array):
            yield from flat(x)
        else:
            yield x


def total(xs: Any) -> Any:
    out: Any = 0
    for x in flat(xs):
        out = add(out, x)
    return out


PRIMITIVES: dict[str, Callable[..., Any]] = {
    "+": lift(add),
    "-": lift(lambda a, b: add(a, mul(b, -1))),
    "*": lift(mul),
    "/": lift(divide),
    "//": lift(lambda a, b: a // b),
    "%": lift(lambda a, b: a % b),
    "^": lift(power),
    "<": lift(lambda a, b: a < b),
    ">": lift(lambda a, b: a > b),
    "<=": lift(lambda a, b: a <= b),
    ">=": lift(lambda a, b: a >= b),
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "and": lift(lambda a, b: a and b),
    "or": lift(lambda a, b: a or b),
    "not": lift(lambda a: not a),
    "neg": lift(lambda a: mul(a, -1)),
    "log": lift(log),
    "exp": lift(weight),
    "indicator": lift(int),
    "abs": lift(abs),
    "square": lift(lambda a: a * a),
    "min": lambda *xs: lift(min)(*xs) if len(xs) == 2 else min(flat(xs)),
    "max": lambda *xs: lift(max)(*xs) if len(xs) == 2 else max(flat(xs)),
    "sum": total,
    "prod": lambda xs: math.prod(flat(xs)),
    "mean": lambda xs: divide(total(xs), len(list(flat(xs)))),
    "minimum": lambda xs: min(flat(xs)),
    "maximum": lambda xs: max(flat(xs)),
    "any": lambda xs: any(flat(xs)),
    "all": lambda xs: all(flat(xs)),
    "count": lambda xs: sum(map(int, flat(xs))),
    "len": len,
    "range": lambda *ends: Array(range(*ends)),
    "zip": lambda *xs: Array(zip(*xs, strict=True)),
    "enumerate": lambda xs: Array(enumerate(xs)),
    "concat": lambda xs, ys: Array((*xs, *ys)),
    "reverse": lambda xs: Array(xs[::-1]),
    "repeat": lambda x, n: Array([x] * n),
    "bernoulli": elementwise(bernoulli),
    "binomial": elementwise(binomial),
    "discrete_uniform": elementwise(discrete_uniform),
    "geometric": elementwise(geometric),
    "categorical": lambda p: table([(k, frac(w)) for k, w in enumerate(p)]),
    "dirac": lambda x: table([(x, Fraction(1))]),
    "mixture": mixture,
    "truncate": truncate,
    "iid": iid,
}
#: keyword arguments, in order
KEYWORDS = {
    "bernoulli": ("p",),
    "binomial": ("n", "p"),
    "discrete_uniform": ("lo", "hi"),
    "categorical": ("p",),
    "truncate": ("d", "lower", "upper"),
}


def primitive(name: str, f: Callable[..., Any]) -> Fun:
    def call(args: tuple, named: Mapping[str, Any], state: State) -> Outcomes:
        more = [named[k] for k in KEYWORDS.get(name, ())[len(args) :] if k in named]
        yield f(*args, *more), state

    return Fun(call)
