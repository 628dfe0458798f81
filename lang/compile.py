"""From a source text to typed programs; each model is elaborated when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from ppl.lang import syntax
from ppl.lang.check.result import Checked
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, Span, fail
from ppl.semantics.types import Type

if TYPE_CHECKING:
    from ppl.lang.modules import Files
    from ppl.semantics import ir  # a fifth of the time that `ppl check` takes


#: data as JSON has it, with tuples
Constant = None | bool | int | float | str | Sequence["Constant"] | Mapping[str, "Constant"]


@dataclass(frozen=True)
class Parameter:
    """One datum that a model takes. Its type keeps its `?`; a default makes it optional."""

    name: str
    type: Type
    span: Span = field(compare=False)
    default: Constant = None
    has_default: bool = False


@dataclass(frozen=True, eq=False)
class Compiled:
    """A checked module. `diagnostics` are its warnings: errors raise."""

    checked: Checked
    _programs: dict[str, ir.Program] = field(default_factory=dict, init=False, repr=False)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self.checked.diagnostics

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models, in the order of the text."""
        return self.checked.models

    def program(self, model: str) -> ir.Program:
        """The program of a model, elaborated when first asked for. Raises KeyError if unknown."""
        if model not in self._programs:
            from ppl.lang.elaborate import elaborate

            self._programs[model] = elaborate(self.checked, model)
        return self._programs[model]

    @property
    def programs(self) -> Mapping[str, ir.Program]:
        """All models, elaborated."""
        return MappingProxyType({name: self.program(name) for name in self.models})

    def only(self, *models: str) -> Elaborated:
        """What is needed to run some of the models."""
        return Elaborated(
            {m: self.program(m) for m in models},
            {m: tuple(self.parameters(m)) for m in models},
            {m: self.doc(m) for m in models},
            self.diagnostics,
        )

    def function(self, model: str) -> syntax.Function:
        """The syntax of a model."""
        function = self.checked.instances[self.checked.entry(model)].function
        assert isinstance(function, syntax.Function)
        return function

    def doc(self, model: str) -> str | None:
        """The text of the `##` comment above a model."""
        return self.function(model).doc

    def parameters(self, model: str) -> tuple[Parameter, ...]:
        """What a model takes, in order."""
        types = self.checked.entry(model).params
        return tuple(
            _parameter(decl, t) for decl, t in zip(self.function(model).params, types, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Elaborated:
    """Models without their syntax and types: as `Compiled`, and it can be pickled."""

    programs: Mapping[str, ir.Program]
    _parameters: Mapping[str, tuple[Parameter, ...]]
    _docs: Mapping[str, str | None]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.programs)

    def program(self, model: str) -> ir.Program:
        return self.programs[model]

    def parameters(self, model: str) -> tuple[Parameter, ...]:
        return self._parameters[model]

    def doc(self, model: str) -> str | None:
        return self._docs[model]

    def only(self, *models: str) -> Elaborated:
        return Elaborated(
            {m: self.programs[m] for m in models},
            {m: self._parameters[m] for m in models},
            {m: self._docs[m] for m in models},
            self.diagnostics,
        )


def compile_source(source: Source, files: Files | None = None) -> Compiled:
    """The models of a source. `files`: the folder that it may import from.

    Raises:
        DiagnosticError: all errors of the source at once, with its warnings.
    """
    from ppl.lang.check import check
    from ppl.lang.modules import link
    from ppl.lang.parser import parse

    problems: list[Diagnostic] = []
    linked = link(parse(source), problems.append, files)
    if problems:
        raise DiagnosticError(*problems)
    return Compiled(check(linked).raise_errors())


def _parameter(decl: syntax.ParamDecl, t: Type) -> Parameter:
    name = decl.pattern.name if isinstance(decl.pattern, syntax.PName) else decl.span.text
    if decl.default is None:
        return Parameter(name, t, decl.span)
    return Parameter(name, t, decl.span, _constant(decl.default), True)


def _constant(e: syntax.Expr) -> Constant:
    """The value of a default that is written out. Raises DiagnosticError(E082)."""
    match e:
        case syntax.Lit(value=value):
            return value
        case syntax.Unary(op="-", value=syntax.Lit(value=int() | float() as value)):
            return -value
        case syntax.ArrayLit(items=items):
            return [_constant(i) for i in items]
        case syntax.Tuple(items=items):
            return tuple(_constant(i) for i in items)
        case syntax.Record(fields=fields):
            return {k: _constant(v) for k, v in fields}
        case _:
            raise fail(
                "E082",
                f"the default `{e.span.text}` is not a constant",
                span=e.span,
                hint="write the number, or leave the default out and use `let` in the model",
            )
