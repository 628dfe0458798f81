"""A model applied to its data: a `Target`, which is a measure.

It is a program bound to data, with names of it set from outside, and gives what inference takes:
the program for XLA and its data, its density, the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ppl.addresses import by_address
from ppl.holes import Holes, holes_in, plain_data, without_holes
from ppl.interventions import (
    Named,
    endless,
    on_machine_only,
    setting,
    setting_unrun,
)
from ppl.semantics.analysis.binders import binders
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, fail
from ppl.semantics.holes import option_leaves
from ppl.settings import Setting, check_kinds, for_machine, shown, together

if TYPE_CHECKING:
    from ppl.model import Model
    from ppl.semantics import ir
    from ppl.semantics.density import Density
    from ppl.semantics.machine import Machine
    from ppl.semantics.machine.limits import Budget
    from ppl.semantics.passes.rao_blackwellize import Collapsed
    from ppl.semantics.xla.program import Bound

#: what XLA says of programs that it cannot run, and the machine may: forms and sizes that differ
#: from run to run or step to step, whole numbers beyond its bits, suspension points that it cannot
#: stop at, trajectories that it cannot draw, particles that it cannot move, kernels that differ
#: from run to run, names that it has no place for, random numbers that it cannot move
UNFIT = frozenset(
    ("E701", "E702", "E715", "E724", "E728", "E730", "E859", "E876", "E878", "E879", "E882")
)


@dataclass(frozen=True, eq=False)
class Target:
    """A model and its data: an unnormalised measure over the model's result.

    settings: names whose values are set from outside, in the order in which they were.
    sampling: whether holes in the data are drawn from the distributions that they are observed
        under, as methods that draw need it, rather than from Lebesgue measure.
    budget: limits of runs on the machine.
    collapsing: sites that are to be integrated or summed out, step by step; all that can be where
        none are named.
    """

    model: Model
    values: Mapping[str, Any] = field(repr=False)
    warnings: tuple[Diagnostic, ...] = field(default=(), repr=False)
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    sampling: bool = field(default=False, repr=False)
    budget: Budget | None = field(default=None, repr=False)
    collapsing: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The model's name and what was set: `triangle.do(x=1)`."""
        return shown(self.model.name, self.settings)

    def __reduce__(self) -> Any:
        """Pickled as model and data; a budget that is being used up stays behind."""
        about = self.model, self.values, self.warnings, self.settings, self.sampling
        return Target, (*about, None, self.collapsing)

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

    def rao_blackwellize(self, *sites: str) -> Target:
        """The same measure, with sites that are conjugate given the rest integrated out: those
        named, or all that can be. They are drawn from their law given everything else.

        Raises:
            DiagnosticError: E880, there is no such site, or none is conjugate; E881, a use of the
                site is not.
        """
        return self._without("integrated", sites)

    def marginalize(self, *sites: str) -> Target:
        """The same measure, with finite choices (bernoulli, categorical) summed out: those named,
        or all that can be. They are drawn from their law given everything else.

        Methods that follow gradients, and `exact`, do so by themselves; this is for the others.

        Raises:
            DiagnosticError: E880, there is no such choice, or none can be summed out; E881, what is
                scored by a choice is drawn, too.
        """
        return self._without("summed", sites)

    def _without(self, how: Literal["integrated", "summed"], sites: tuple[str, ...]) -> Target:
        for name in sites:
            if not isinstance(name, str):
                raise fail("E880", f"sites are {how} out by name, and {name!r} is none")
        target = replace(self, collapsing=(*self.collapsing, (how, sites)))
        found = target._leaving(how, sites, self.collapsed)
        if not found.sites:
            raise fail(
                "E880",
                f"no site of `{self.name}` can be {how} out",
                notes=[Note(f"`{name}`: {why.why}", why.span) for name, why in found.kept[:4]],
                hint="`ppl explain E881` says which can",
            )
        return target

    @cached_property
    def names(self) -> Mapping[str, Named]:
        """The names that can be set, by path."""
        from ppl.semantics.precision import precision

        edited = self.settings or self.collapsing
        bare = replace(self, settings=(), collapsing=()) if edited else self
        with precision():
            return self.model.variants.outline(*bare._split)

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
        """The same measure, for methods that draw what is missing in the data: a program that goes
        on as it began if something is missing later."""
        may_miss = not self.sampling and option_leaves(self.model.program.entry)
        return replace(self, sampling=True) if may_miss else self

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
        found = self.collapsed
        return self.filled if found is None else found.program

    @cached_property
    def filled(self) -> ir.Program:
        """It, with every site drawn where the model draws it."""
        return self.model.variants.filling(
            self.model.program, self.holes, self.values, sampling=self.sampling
        )

    @cached_property
    def collapsed(self) -> Collapsed | None:
        """The program with sites integrated and summed out, if any are to be."""
        found = None
        for how, sites in self.collapsing:
            after = self._leaving(how, sites, found)
            found = after if found is None else replace(after, sites=(*found.sites, *after.sites))
        return found

    def _leaving(self, how: str, sites: tuple[str, ...], before: Collapsed | None) -> Collapsed:
        """The program after one more step, and the sites of that step."""
        program, late = self.filled, frozenset()
        if before is not None:
            program, late = before.program, before.late
        paths, finite = frozenset(s.path for s in self.settings), how == "summed"
        return self.model.variants.collapsed(program, sites, paths, late, finite=finite)

    @property
    def itself(self) -> Target:
        """The target without what was said about how to run it."""
        if not self.sampling and self.budget is None and not self.collapsing:
            return self  # with what has been compiled for it
        return replace(self, sampling=False, budget=None, collapsing=())

    @property
    def machine(self) -> Machine:
        """It, on the machine."""
        plain = self.model.variants.machine(self.program).under(self.budget)
        return self.watched if self.settings else plain

    @property
    def watched(self) -> Machine:
        """It, on the machine, compiled so that sources of randomness see its observations, too."""
        plain = self.model.variants.machine(self.program).under(self.budget)
        return plain.setting(for_machine(self.settings))

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
        late = frozenset() if self.collapsed is None else self.collapsed.late
        return self.model.variants.bound(program, static, fixed, late), data | values

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
