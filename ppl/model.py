"""Models as Python values: `ppl.compile`, `ppl.load`, and models applied to data.

    models = ppl.load("model.ppl")        # names of models are attributes
    target = models.eight_schools(y=y, sigma=sigma)

A `Target` is a measure: a program bound to its data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl.data import bind
from ppl.holes import Holes, holes_in, plain_data, without_holes
from ppl.interventions import (
    Named,
    Setting,
    by_address,
    check_kinds,
    endless,
    for_machine,
    on_machine_only,
    setting,
    setting_unrun,
    shown,
    together,
)
from ppl.places import Parameter
from ppl.semantics.analysis.binders import binders
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source, fail, suggest

if TYPE_CHECKING:
    from ppl.files import Fields
    from ppl.semantics import ir
    from ppl.semantics.density import Density
    from ppl.semantics.engine import Engine
    from ppl.semantics.machine import Machine
    from ppl.semantics.machine.limits import Budget
    from ppl.semantics.xla.fixed import Fixed
    from ppl.semantics.xla.program import Bound


#: what XLA says of programs that it cannot run, and the machine may: forms and sizes that differ
#: from run to run or step to step, suspension points that it cannot stop at, names that it has no
#: place for
UNFIT = frozenset(("E701", "E702", "E715", "E730", "E859"))


def compile(text: str, *, name: str = "<text>", folder: str | Path | None = None) -> Models:
    """The models of a program text. It may import files if the `folder` they are in is given.

    Raises:
        DiagnosticError: the text is not a well-typed program; E007, it is no text.
    """
    from ppl.lang.compile import compile_source
    from ppl.sources import Folder

    if not isinstance(text, str):
        raise fail(
            "E007",
            f"`compile` takes the text of a program, not {type(text).__name__}",
            hint="to read a file: ppl.load(path)",
        )
    files = None if folder is None else Folder(Path(folder))
    return Models(compile_source(Source(name, text), files))


def load(path: str | Path) -> Models:
    """The models of a file, which may import files in its folder and below.

    Raises:
        DiagnosticError: E007 if the file cannot be read, or what is wrong with the program.
    """
    from ppl.lang.compile import compile_source
    from ppl.sources import Folder, read_source

    if not isinstance(path, (str, PathLike)):
        raise fail("E007", f"`load` takes the path of a model file, not {type(path).__name__}")
    return Models(compile_source(read_source(path), Folder.of(path)))


class Models:
    """The models of one source, as attributes and items."""

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self._models = {name: Model(name, compiled) for name in compiled.models}

    def __getattr__(self, name: str) -> Model:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Model:
        if name not in self._models:
            raise fail(
                "E818",
                f"there is no model `{name}` here (there is {', '.join(self._models) or 'none'})",
                hint=suggest(name, self._models),
            )
        return self._models[name]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __reduce__(self) -> Any:
        """Pickled as the programs of its models."""
        return Models, (self._compiled.only(*self._models),)

    def __dir__(self) -> list[str]:
        return sorted(self._models)

    def __repr__(self) -> str:
        return f"<models {', '.join(self._models)}>"

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the checker warns of."""
        return tuple(self._compiled.diagnostics)


class Model:
    """A model: a function from data to measures."""

    def __init__(self, name: str, compiled: Any):
        self.name = name
        self._compiled = compiled
        self._bounds: dict[Any, Any] = {}
        self._outlines: dict[Any, Mapping[str, Named]] = {}
        self._with_holes: dict[Any, ir.Program] = {}
        self._machines: dict[int, Machine] = {}

    @cached_property
    def program(self) -> ir.Program:
        """The typed IR of the model."""
        return self._compiled.program(self.name)

    @cached_property
    def engine(self) -> Engine:
        """The evaluator that runs it, and why."""
        from ppl.semantics.engine import choose

        return choose(self.program)

    @property
    def machine(self) -> Machine:
        """It, on the machine."""
        return self._machine(self.program)

    def _machine(self, program: ir.Program) -> Machine:
        from ppl.semantics.machine import Machine

        if id(program) not in self._machines:  # a machine keeps its program
            self._machines[id(program)] = Machine(program)
        return self._machines[id(program)]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Names, types and places of the data it takes."""
        return tuple(self._compiled.parameters(self.name))

    @property
    def doc(self) -> str | None:
        return self._compiled.doc(self.name)

    def __call__(self, /, *unnamed: Any, **data: Any) -> Target:
        """The measure of the model given its data, each parameter's by its name.

        Raises:
            DiagnosticError: E601 to E606, a parameter is missing, misspelt, or has data of the
                wrong kind, shape or range; all such problems at once.
        """
        if unnamed:
            names = ", ".join(f"{p.name}=…" for p in self.parameters)
            count = f"{len(unnamed)} value{'s' if len(unnamed) > 1 else ''}"
            raise fail(
                "E601",
                f"`{self.name}` takes its data by name, and is given {count} without one",
                hint=f"write {self.name}({names})",
            )
        return self.on(data)

    def on(self, data: Mapping[str, Any] | Fields) -> Target:
        """As a call, with the data as a mapping or as fields read from a file."""
        values, warnings = bind(self.parameters, data)
        return Target(self, values, warnings)

    def _bound(
        self,
        program: ir.Program,
        static: tuple[tuple[str, Any], ...],
        fixed: tuple[Fixed, ...] = (),
    ) -> Bound:
        from ppl.semantics.xla.data import fingerprint
        from ppl.semantics.xla.program import Bound

        key = id(program), tuple((name, fingerprint(v)) for name, v in static), fixed
        if key not in self._bounds:  # what is bound keeps its program
            self._bounds[key] = Bound(program, static, fixed)
        return self._bounds[key]

    def _filling(
        self, holes: tuple[Holes, ...], values: Mapping[str, Any], *, sampling: bool
    ) -> ir.Program:
        """The program that draws holes in data of these sizes."""
        from ppl.holes import program_for, sizes_of

        if not holes:
            return self.program
        sizes = sizes_of(self.program, holes, values)
        key = sampling, sizes
        if key not in self._with_holes:
            self._with_holes[key] = program_for(self.program, holes, sizes, sampling=sampling)
        return self._with_holes[key]

    def _outline(self, bound: Bound, data: Mapping[str, Any]) -> Mapping[str, Named]:
        """The names of the program with data of these sizes."""
        import jax

        from ppl.semantics.xla.outline import outline

        flat, tree = jax.tree.flatten(dict(data))
        key = bound, tree, tuple(x.shape for x in flat)
        if key not in self._outlines:
            self._outlines[key] = outline(bound, data)
        return self._outlines[key]

    def __reduce__(self) -> Any:
        """Pickled as its program: what was compiled of it is compiled again."""
        return Model, (self.name, self._compiled.only(self.name))

    def __repr__(self) -> str:
        shown = ", ".join(f"{p.name}: {p.type}" for p in self.parameters)
        return f"<model {self.name}({shown})>"


def checked_target(function: str, target: Any) -> Target:
    """What a function is to be given.

    Raises:
        DiagnosticError: E817, it is something else than a model applied to its data.
    """
    if not isinstance(target, Target):
        raise fail(
            "E817",
            f"`{function}` needs a model applied to its data, not {type(target).__name__}",
            hint="call the model first, with its data by name: model(y=y)",
        )
    return target


@dataclass(frozen=True, eq=False)
class Target:
    """A model and its data: an unnormalised measure over the model's result.

    settings: names whose values are set from outside, in the order in which they were.
    sampling: whether holes in the data are drawn from the distributions that they are observed
        under, as methods that draw need it, rather than from Lebesgue measure.
    budget: limits of runs on the machine.
    """

    model: Model
    values: Mapping[str, Any] = field(repr=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), repr=False)
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    sampling: bool = field(default=False, repr=False)
    budget: Budget | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The model's name and what was set: `triangle.do(x=1)`."""
        return shown(self.model.name, self.settings)

    def __reduce__(self) -> Any:
        """Pickled as model and data; a budget that is being used up stays behind."""
        return Target, (self.model, self.values, self.warnings, self.settings, self.sampling)

    def do(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Target:
        """The target in which names have these values whatever was drawn before: interventions.

        What a name's binder would run is skipped, and nothing is scored: the truncated product of
        Pearl (Causality, 2009). Names are paths as results show them, so elements can be set:
        `target.do({"theta[3]": 2.0})`; a number sets all elements.

        Raises:
            DiagnosticError: E855, there is no such name; E856, the value is of another kind or
                shape; E857, it is outside the range of the name's type; E858, elements that are
                drawn together.
        """
        return self._set(values, more, scored=False)

    def given(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Target:
        """The target in which sites are seen to have these values: conditioning.

        Each is scored by its density, as if the model had observed it.

        Raises:
            DiagnosticError: as `do`, and E858 for a name that has no density.
        """
        return self._set(values, more, scored=True)

    def _set(self, values: Any, more: Mapping[str, Any], *, scored: bool) -> Target:
        found = {**by_address(values or {}), **more}
        settings = (*self.settings, *self.settings_for(found, scored=scored))
        check_kinds(settings)
        return replace(self, settings=settings)

    def settings_for(self, values: Mapping[str, Any], *, scored: bool) -> tuple[Setting, ...]:
        """Values for names of this target, checked: see `do` and `given`."""
        values = by_address(values)
        data = [p.name for p in self.model.parameters]
        unrun = self.model.engine.name == "machine" or self.unfit is not None
        steps = binders(self.program) if unrun or values else {}

        def one(name: str, value: Any) -> Setting:
            if unrun or endless(name, self.names) is not None:
                return setting_unrun(name, value, steps, data, scored=scored)
            return setting(name, value, self.names, data, scored=scored)

        return tuple(one(k, v) for k, v in values.items())

    @cached_property
    def names(self) -> Mapping[str, Named]:
        """The names that can be set, by path."""
        from ppl.semantics.precision import precision

        bare = self if not self.settings else replace(self, settings=())
        with precision():
            return self.model._outline(*bare._split)

    @cached_property
    def unfit(self) -> Diagnostic | None:
        """Why XLA, for which the program was compiled, cannot run it on these data after all."""
        try:
            _ = self.names
        except DiagnosticError as error:
            if error.diagnostics[0].code in UNFIT:
                return error.diagnostics[0]
            raise
        return None

    @property
    def beyond(self) -> Diagnostic | None:
        """Why XLA cannot run the program with these settings."""
        unsized = [s.address for s in self.settings if s.shape is None]
        if not unsized or self.unfit is not None:
            return self.unfit if unsized else None
        at = endless(unsized[0], self.names)
        return None if at is None else on_machine_only(unsized[0], at)

    @cached_property
    def holes(self) -> tuple[Holes, ...]:
        """Where values are missing in the data."""
        places = {p.name: p.span for p in self.model.parameters}
        return holes_in(self.model.program.entry, places, self.values)

    @cached_property
    def sampler(self) -> Target:
        """The same measure, for methods that draw what is missing in the data."""
        return replace(self, sampling=True) if self.holes and not self.sampling else self

    @cached_property
    def complete(self) -> Target:
        """The target with dummies where values are missing, for whoever fills them in."""
        declared = self.model.program.entry.params
        values = {p.name: without_holes(self.values[p.name], p.type) for p in declared}
        return replace(self, values=values) if self.holes else self

    @cached_property
    def program(self) -> ir.Program:
        """The model's program, which draws what is missing in the data.

        Raises:
            DiagnosticError: E850 to E854, it cannot be drawn.
        """
        return self.model._filling(self.holes, self.values, sampling=self.sampling)

    @property
    def machine(self) -> Machine:
        """It, on the machine."""
        machine = self.model._machine(self.program).under(self.budget)
        return machine.setting(for_machine(self.settings)) if self.settings else machine

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """The data that `program` takes: without holes, and where they are."""
        return plain_data(self.program.entry, self.model.program.entry, self.values, self.holes)

    @cached_property
    def _split(self) -> tuple[Bound, dict[str, Any]]:
        from ppl.semantics.analysis import static_params
        from ppl.semantics.precision import precision
        from ppl.semantics.xla.data import split_static
        from ppl.semantics.xla.fixed import as_data

        if problem := self.beyond:
            raise DiagnosticError(problem)
        program = self.program
        types = {p.name: p.type for p in program.entry.params}
        with precision():
            static, data = split_static(self.plain, types, static_params(program))
            fixed, values = as_data(together(self.settings))
        return self.model._bound(program, static, fixed), data | values

    @property
    def bound(self) -> Bound:
        """The program with the values that are part of its code; equal for data of equal sizes."""
        return self._split[0]

    @property
    def data(self) -> dict[str, Any]:
        """The other data, as arrays: arguments of compiled code."""
        return self._split[1]

    @cached_property
    def density(self) -> Density:
        """The log density over unconstrained coordinates, finite discrete sites summed out."""
        from ppl.semantics.precision import precision

        with precision():
            return self.bound.density(self.data)

    def log_density(self, position: Mapping[str, Any]) -> Any:
        """The log density at unconstrained coordinates by site, as a JAX function.

        In double precision on CPUs whatever JAX's global flags are.

        Raises:
            DiagnosticError: E802, the position has other sites, or values of other shapes.
        """
        from ppl.semantics.precision import precision

        with precision():
            return self.density.log_density(self.data, self.density.checked(position))
