"""The base of the syntax tree's classes: immutable records, compared by identity.

`@dataclass(frozen=True)` compiles four methods for each class. For the fifty of the tree that took
a fifth of the time of `ppl check`; here they share one of each.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, dataclass_transform

from ppl.semantics.diagnostics import Span


@dataclass_transform(frozen_default=True, eq_default=False)
class _Record:
    """Fields are the annotated names, inherited ones first; class attributes are their defaults.
    `__match_args__` lists them."""

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = tuple(dict.fromkeys((*cls.__match_args__, *cls.__annotations__)))

    def __init__(self, *args: Any, **named: Any):
        names = self.__match_args__
        self.__dict__.update(zip(names, args, strict=False), **named)
        wrong = named.keys() - names | {n for n in names if not hasattr(self, n)}
        if wrong or len(args) + len(named) > len(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}: {sorted(wrong)}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __repr__(self) -> str:
        parts = ", ".join(f"{n}={getattr(self, n)!r}" for n in self.__match_args__)
        return f"{type(self).__name__}({parts})"


class Node(_Record):
    """A part of a program, and its place."""

    span: Span
