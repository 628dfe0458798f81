"""Where in the data a value stands, and how it is described in a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, Span
from ppl.semantics.types import Type


@dataclass(frozen=True)
class Parameter:
    """A model's parameter as declared: its name, its type, and where it stands in the source."""

    name: str
    type: Type
    span: Span | None = None
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True)
class Place:
    """Where in the data a conversion stands: names, each with how many indices follow it."""

    parameter: Parameter
    field: str
    parts: tuple[tuple[str, int], ...]

    def child(self, suffix: str) -> Place:
        return replace(self, parts=(*self.parts, (suffix, 0)))

    def deeper(self, n: int) -> Place:
        *rest, (name, r) = self.parts
        return replace(self, parts=(*rest, (name, r + n)))

    def show(self, index: Iterable[int] = ()) -> str:
        """`rows[3].xs[1]`: indices go to the names they belong to, as far as they are known."""
        left, out = list(index), ""
        for name, r in self.parts:
            here, left = left[:r], left[r:]
            out += name + (f"[{', '.join(map(str, here))}]" if here else "")
        return out

    def error(
        self, code: str, message: str, *, index: Iterable[int] = (), hint: str | None = None
    ) -> DiagnosticError:
        p = self.parameter
        notes = (
            Note(f"`{p.name}` is declared `{p.type}`"),
            Note(f"the value is in the {self.field}"),
        )
        return DiagnosticError(
            Diagnostic(code, f"`{self.show(index)}` {message}", p.span, notes, hint)
        )


def describe(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        return f"a record with the fields {', '.join(f'`{k}`' for k in value) or '(none)'}"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if hasattr(value, "__len__"):
        shape = np.shape(value) if hasattr(value, "__array__") else _list_shape(value)
        return f"an array of {by(shape)}" if shape else f"a {type(value).__name__}"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def _list_shape(value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = ()
    while isinstance(value, (list, tuple)):
        shape, value = (*shape, len(value)), value[0] if value else None
    return shape


def by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "single"


def dimensions(n: int) -> str:
    names = ["a single value", "an array (one dimension)", "a matrix (two dimensions)"]
    return names[n] if n < len(names) else f"an array of {n} dimensions"
