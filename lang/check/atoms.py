"""The lattice of kinds and ranges, and the overload tables as monotone functions on it.

An atom is a set of bits, so that the join is `|` and the order is inclusion:
bit 0 real rather than int, bits 1 and 2 the range (at least 0: 1; any: both), bit 3 inhabited.
0 is the bottom: no value flows there. Measures have atoms as well: 8 a distribution, 9 a measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ppl.lang.check.schemes import Signature, read, signatures
from ppl.semantics import types as ty

BIT, NAT, INT, PROB, POS, REAL = 8, 10, 14, 9, 11, 15
DIST, MEASURE = 8, 9
NEGATIVE, IS_REAL = 4, 1
#: that there is a number, and whether it is real
KIND = 9

_OF_TYPE = {ty.BIT: BIT, ty.NAT: NAT, ty.INT: INT, ty.PROB: PROB, ty.POS: POS, ty.REAL: REAL}
_TO_TYPE = {v: k for k, v in _OF_TYPE.items()}


def atom(t: ty.Type) -> int:
    """The atom of a number type."""
    return _OF_TYPE[t]  # type: ignore[index]


def number(a: int) -> ty.Base:
    """The number type of an atom; bottom reads as real."""
    return _TO_TYPE.get(a, ty.REAL)


def name(a: int, measure: bool = False) -> str:
    if measure:
        return "a distribution" if a == DIST else "a measure"
    return number(a).name


def literal(value: int | float) -> int:
    """The atom of a written number (never negative: the sign is an operator)."""
    if isinstance(value, int):
        return BIT if value in (0, 1) else NAT
    return PROB if 0 <= value <= 1 else POS


def below(a: int, b: int) -> bool:
    return a | b == b


def cast(a: int, b: int) -> str | None:
    """The implicit checked cast from a to b, if there is one."""
    if b == NAT and a == INT:
        return "checked_nat"
    if b == PROB and below(a, POS):
        return "checked_prob"
    return None


@dataclass(frozen=True)
class Overload:
    ins: tuple[int, ...]
    outs: tuple[int, ...]


#: rules of the checker that have no row of their own
_RULES: dict[str, str] = {
    "1-": "prob -> prob | int -> int | real -> real",  # 1 - x
    "exp-": "pos -> prob | real -> pos",  # exp(-x)
    "even": "bit -> bit | int -> nat | prob -> prob | real -> pos",  # x ^ 2, x ^ 4, x * x
    "matmul": "nat, nat -> nat | int, int -> int | pos, pos -> pos | real, real -> real",
}


@cache
def overloads(row: str) -> tuple[Overload, ...]:
    """Overloads as atoms, in the order of the leaves of the types; `bit` literals as 1 - bit."""
    sigs: tuple[Signature, ...] = (
        tuple([read(x) for x in _RULES[row].split(" | ")]) if row in _RULES else signatures(row)
    )
    out = []
    for sig in sigs:
        ins: list[int] = []
        for p in sig.params:
            leaves(p, ins)
        outs: list[int] = []
        leaves(sig.result, outs)
        out.append(Overload(tuple(ins), tuple(outs)))
    if row == "1-":
        out.insert(0, Overload((BIT,), (BIT,)))
    return tuple(out)


def leaves(t: ty.Type, out: list[int]) -> None:
    """Atoms of a type without functions, from left to right; 0 for what has no atom."""
    match t:
        case ty.Base():
            if t in _OF_TYPE:
                out.append(_OF_TYPE[t])
        case ty.Array(item):
            leaves(item, out)
        case ty.Dist(item):
            out.append(DIST)
            leaves(item, out)
        case ty.Measure(item):
            out.append(MEASURE)
            leaves(item, out)
        case ty.Tuple(items):
            for i in items:
                leaves(i, out)
        case _:
            pass


@cache
def choose(row: str, ins: tuple[int, ...]) -> Overload:
    """The first overload that accepts the arguments; else the first that does with checked casts;
    else the widest."""
    table = overloads(row)
    for o in table:
        if all([below(a, b) for a, b in zip(ins, o.ins, strict=False)]):
            return o
    for o in table:
        if all([below(a, b) or cast(a, b) for a, b in zip(ins, o.ins, strict=False)]):
            return o
    return table[-1]


@cache
def result(row: str, ins: tuple[int, ...]) -> tuple[int, ...]:
    """The atoms of the result; bottom while an argument is bottom."""
    if 0 in ins:
        return (0,) * len(overloads(row)[-1].outs)
    return choose(row, ins).outs
