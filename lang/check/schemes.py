"""Type schemes of primitives, read from their rows once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ppl.semantics import types as ty
from ppl.semantics.signatures import METHODS, PRIMITIVES, Distribution, Primitive

_TOKEN = re.compile(r"->|[A-Za-z_]+|[\[\](),]")


@dataclass(frozen=True)
class Signature:
    params: tuple[ty.Type, ...]
    result: ty.Type


class _Reader:
    """Recursive descent over the type syntax of rows; other names are type variables."""

    def __init__(self, text: str):
        self.tokens = [*_TOKEN.findall(text), ""]
        self.at = 0

    def take(self, token: str) -> bool:
        if self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def type(self) -> ty.Type:
        left = self.atom()
        if not self.take("->"):
            return left[0] if len(left) == 1 else ty.Tuple(left)
        return ty.Fun(left, self.type())

    def atom(self) -> tuple[ty.Type, ...]:
        if self.take("("):
            items = self.list(")")
            return items
        if self.take("["):
            item = self.type()
            assert self.take("]")
            return (ty.Array(item),)
        name = self.tokens[self.at]
        self.at += 1
        if name in ("dist", "measure"):
            assert self.take("[")
            item = self.type()
            assert self.take("]")
            return (ty.Dist(item) if name == "dist" else ty.Measure(item),)
        if name == ty.MAP and self.take("["):
            return (ty.Data(name, self.list("]")),)
        return (ty.NUMBERS.get(name) or ty.NAMED.get(name) or ty.Base(name),)

    def list(self, end: str) -> tuple[ty.Type, ...]:
        items: list[ty.Type] = []
        while not self.take(end):
            items.append(self.type())
            self.take(",")
        return tuple(items)


@cache
def read(text: str) -> Signature:
    """`(a, [b]) -> c`, or `a, b -> c` as elementwise rows write it."""
    if not text.startswith("("):
        params, _, result = text.rpartition("->")
        text = f"({params}) -> {result}"
    t = _Reader(text).type()
    assert isinstance(t, ty.Fun), text
    return Signature(t.params, t.result)


@cache
def signatures(name: str) -> tuple[Signature, ...]:
    """The overloads of a row, in order. Rules have none."""
    return tuple(read(s) for s in row(name).signatures if s)


def row(name: str) -> Primitive:
    return PRIMITIVES[name] if name in PRIMITIVES else METHODS[name]


def is_distribution(name: str) -> bool:
    return isinstance(PRIMITIVES.get(name), Distribution)
