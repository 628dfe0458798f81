"""What the checker finds out, as data: diagnostics, and an instance per type of a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ppl.lang import syntax
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError
from ppl.semantics.types import Fun, Type


@dataclass(frozen=True)
class InstanceKey:
    """A top-level function (or model, or guide) at one type, down to the ranges of its numbers."""

    function: str
    params: tuple[Type, ...]
    result: Type

    @property
    def type(self) -> Fun:
        return Fun(self.params, self.result)

    def __str__(self) -> str:
        return f"{self.function} : {self.type}"


@dataclass(frozen=True, eq=False)
class Instance:
    """Everything that is known about the syntax of one function at one type.

    Positions follow from the types: an expression whose type is a measure stands in *run* position
    after `~`, as a statement, and as the last expression of a block in `measure_blocks`; anywhere
    else it is a value.
    """

    key: InstanceKey
    function: syntax.Function | syntax.Guide
    #: of every expression, pattern and parameter. A block in `measure_blocks` has the type
    #: `measure[A]`; a pattern the type of what it binds. A model's `ParamDecl` keeps its `?`,
    #: while its pattern has the type the body sees.
    types: Mapping[syntax.Node, Type]
    #: names of top-level functions, wherever they occur (called, or used as values). A `Call` of
    #: a name has the same entry as the name.
    calls: Mapping[syntax.Node, InstanceKey]
    #: rows of `signatures.PRIMITIVES` that operators, names, calls, indices and methods stand for,
    #: after aliases and arity. A `Call` of a name has the same entry as the name.
    primitive: Mapping[syntax.Node, str]
    #: checked casts around the value of an expression: checked_nat, checked_pos, checked_prob,
    #: checked_int, checked_bool. Elementwise on arrays. `as` is here too (on the `Cast` node).
    casts: Mapping[syntax.Node, str]
    #: arguments of a call in the order of the parameters; None where the default is meant
    arguments: Mapping[syntax.Call, tuple[syntax.Expr | None, ...]]
    #: blocks with effects, or ending in `return`: their last expression is run, not returned
    measure_blocks: frozenset[syntax.Block]
    #: constructors of inductive types, by the name or pattern that uses them
    constructors: Mapping[syntax.Node, str] = field(default_factory=dict)

    @property
    def params(self) -> tuple[Type, ...]:
        return self.key.params

    @property
    def result(self) -> Type:
        return self.key.result


@dataclass(frozen=True, eq=False)
class Checked:
    """The outcome of checking a module. With errors, `instances` has what is sound of it."""

    module: syntax.Module
    diagnostics: tuple[Diagnostic, ...]
    #: names of the models, in the order of the text
    models: tuple[str, ...]
    guides: tuple[str, ...]
    instances: Mapping[InstanceKey, Instance]
    entries: Mapping[str, InstanceKey]
    #: the constructors of each constructor's type
    siblings: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there are no errors (there may be warnings)."""
        return all(d.severity != "error" for d in self.diagnostics)

    def entry(self, name: str) -> InstanceKey:
        """The instance of a model or guide at its declared types. Raises KeyError if unknown."""
        return self.entries[name]

    def raise_errors(self) -> Checked:
        """This, if there are no errors; raises DiagnosticError with all of them otherwise."""
        errors = [d for d in self.diagnostics if d.severity == "error"]
        if errors:
            raise DiagnosticError(*errors)
        return self
