"""What a name can mean, and the nested scopes it is looked up in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ppl.lang import syntax as s
from ppl.semantics.diagnostics import Span
from ppl.semantics.types import Type

Role = Literal["data", "parameter", "draw", "let", "carry", "element", "case"]


@dataclass(eq=False, slots=True)
class Local:
    """A variable bound inside a function."""

    name: str
    role: Role
    span: Span
    uses: int = 0
    #: whether its value depends on a draw made inside the function
    random: bool = False


@dataclass(frozen=True, slots=True)
class Global:
    """A top-level function, model or guide."""

    name: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """A primitive, under the name the program uses."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ConstructorRef:
    name: str


Meaning = Local | Global | Builtin | Constant | ConstructorRef


@dataclass(frozen=True)
class DataDecl:
    """A declared inductive type: `fields[c]` are the types of constructor c's arguments."""

    name: str
    params: tuple[str, ...]
    fields: dict[str, tuple[Type, ...]]
    span: Span

    def of(self, constructor: str) -> tuple[Type, ...]:
        return self.fields[constructor]


@dataclass(slots=True)
class Scope:
    """Local names; inner scopes see outer ones."""

    parent: Scope | None = None
    names: dict[str, Local] = field(default_factory=dict)

    def find(self, name: str) -> Local | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def visible(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent


@dataclass
class Facts:
    """What resolution finds out about a module, once for all instances."""

    #: what a `Name` refers to; unknown names are absent
    meaning: dict[s.Node, Meaning] = field(default_factory=dict)
    #: the variable that a binding pattern introduces
    binders: dict[s.Node, Local] = field(default_factory=dict)
    #: blocks with effects, or ending in `return`
    measure_blocks: set[s.Block] = field(default_factory=set)
    annotations: dict[s.TypeExpr, Type] = field(default_factory=dict)
    functions: dict[str, s.Function | s.Guide] = field(default_factory=dict)
    data: dict[str, DataDecl] = field(default_factory=dict)
    #: constructor -> the type it belongs to
    constructors: dict[str, DataDecl] = field(default_factory=dict)
    #: the top-level functions that each one mentions
    mentions: dict[str, list[str]] = field(default_factory=dict)
    #: functions whose own text has an error: they are not looked at any further
    broken: set[str] = field(default_factory=set)
    #: whether the declaration of a type has an error: then nothing is asked of numbers
    misdeclared: bool = False

    def constructor(self, p: s.PCons) -> str:
        """The program's name of the constructor that a pattern means."""
        meaning = self.meaning.get(p)
        return meaning.name if isinstance(meaning, ConstructorRef) else p.name
