"""A program read as each of the representations: forward simulation, density, exact sums.

Everything here is a pure function of arrays, to be jitted, differentiated or `vmap`ped; the
program, the static values of its parameters and the number of lanes are fixed while tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.density import Density, SiteInfo
from ppl.semantics.omega import Key
from ppl.semantics.xla.as_density import as_density
from ppl.semantics.xla.axes import Arr, Axes, Axis, close_event, spread
from ppl.semantics.xla.checks import FORGIVEN
from ppl.semantics.xla.elimination import draw_back, eliminate
from ppl.semantics.xla.fixed import Fixed, values_of
from ppl.semantics.xla.guided import Guided, follow, propose
from ppl.semantics.xla.late import Late
from ppl.semantics.xla.points import Front, Policy
from ppl.semantics.xla.recursion import Tails, tails
from ppl.semantics.xla.run import run, run_measure, unbounded
from ppl.semantics.xla.sequential import Alone, Meeting, run_sequentially
from ppl.semantics.xla.sites import Chosen, Discover, Free, draw, replayed, unlisted
from ppl.semantics.xla.starts import Start
from ppl.semantics.xla.state import Path, Scope, SiteRule, State, total
from ppl.semantics.xla.summing import NUDGE, Summed, Summing
from ppl.semantics.xla.values import RValue, Seq

ALL = frozenset(("sites", "kept", "observed", "faults"))
NOTHING: frozenset[str] = frozenset()
Data = Mapping[str, RValue]
CENTRED = Free()


@jax.custom_jvp
def _no_value_no_mass(log_density: Any) -> Any:
    """-inf where the log density is NaN (or +inf: a pole). The derivative is left as it is, so that
    computing it does not wait for the value."""
    return jnp.where(log_density < jnp.inf, log_density, -jnp.inf)


@_no_value_no_mass.defjvp
def _(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _no_value_no_mass(*primals), tangents[0]


def inside_loops(pair: RValue) -> tuple[Arr, Arr]:
    while isinstance(pair, Seq):
        pair = pair.items
    return pair


def _in_this_precision(values: dict[str, Any]) -> dict[str, Any]:
    """Data and coordinates were perhaps made in another precision than the one that runs."""

    def one(x: Any) -> Any:
        if isinstance(x, (bool, int, float)):  # a constant
            return x
        kind = {"f": float, "i": int}.get(jnp.asarray(x).dtype.kind)
        return x if kind is None else jax.lax.convert_element_type(x, jnp.result_type(kind))

    return jax.tree.map(one, values)


def particles(n: int, mesh: Any = None) -> Axis:
    """The axis of n independent runs, shared by the devices of a mesh if there is one."""
    return Axis(0, "particle", n, mesh=mesh)


@dataclass(frozen=True, eq=False)
class Bound:
    """A program and the values of its parameters that are part of the code (sizes, texts).

    late: the names of draws that no score depends on, which are no coordinates of the density.
    rooms: how many steps to record of loops without a bound, by path, where not the usual number.
    limit: the number of steps after which such a loop is given up.

    Compared by identity, so that it can key caches of compiled code.
    """

    program: ir.Program
    static: tuple[tuple[str, Any], ...] = ()
    #: the paths that are set from outside; their values are among the data
    fixed: tuple[Fixed, ...] = ()
    late: frozenset[str] = frozenset()
    rooms: tuple[tuple[Path, int], ...] = ()
    limit: int = 1_000_000
    _larger: dict[Any, Bound] = field(default_factory=dict, repr=False)

    @cached_property
    def tails(self) -> Tails:
        """The recursion that runs as loops."""
        return tails(self.program)

    def with_room(self, needed: Mapping[Path, int]) -> Bound:
        """The same, with more room for the steps of loops."""
        rooms = tuple(sorted({**dict(self.rooms), **needed}.items()))
        if rooms not in self._larger:
            self._larger[rooms] = replace(self, rooms=rooms)
        return self._larger[rooms]

    def execute(
        self,
        data: Data,
        *,
        rule: SiteRule,
        omega: Any = None,
        axes: Axes = (),
        given: Mapping[str, Any] | None = None,
        record: frozenset[str] = NOTHING,
        smooth: bool = False,
        predict: Callable[[RValue], SiteRule] | bool = False,
        outline: dict[str, ir.At] | None = None,
        meeting: Meeting | None = None,
        temperature: Any = None,
    ) -> tuple[RValue, State]:
        """Run the program once for every lane of `axes`.

        With `predict`, observations are made instead of scored: drawn, or by the site rule that it
        gives for the value seen. With `meeting`, the run stops at its suspension points, and `axes`
        is the particle axis. What observations score is multiplied by `temperature`, a scalar.
        """
        env, scope = self.beginning(
            data,
            rule=rule,
            axes=axes,
            given=given,
            record=record,
            smooth=smooth,
            predict=predict,
            outline=outline,
            nan_is_nothing=meeting is not None,
            temperature=temperature,
        )
        state = State(omega, extra=Summed() if isinstance(rule, Summing) else None)
        try:
            if meeting is not None:
                result, state = run_sequentially(self.program, env, state, scope, axes[0], meeting)
            else:
                entry = self.program.entry
                measure, state = run(entry.body, env, state, scope)
                result, state = run_measure(measure, state, scope, entry.span)
        except RecursionError:
            raise unbounded(self.program.entry.span) from None
        return result, replace(state, faults=tuple(scope.faults or ()))

    def beginning(
        self,
        data: Data,
        *,
        rule: SiteRule,
        axes: Axes,
        given: Mapping[str, Any] | None = None,
        record: frozenset[str] = NOTHING,
        smooth: bool = False,
        predict: Callable[[RValue], SiteRule] | bool = False,
        outline: dict[str, ir.At] | None = None,
        nan_is_nothing: bool = False,
        temperature: Any = None,
    ) -> tuple[dict[str, RValue], Scope]:
        """What the program's parameters are bound to, and what a run reads (see `execute`)."""
        env = {**dict(self.static), **_in_this_precision(dict(data))}
        scope = Scope(
            self.program,
            Late(self.late, rule) if self.late else rule,
            axes=axes,
            given=_in_this_precision(dict(given or {})) | values_of(self.fixed, env),
            fixed={f.path: f for f in self.fixed},
            record=record,
            smooth=smooth,
            nan_is_nothing=nan_is_nothing,
            predict=(lambda _: draw) if predict is True else predict or None,
            faults=[] if "faults" in record else None,
            tails=self.tails,
            rooms=dict(self.rooms),
            limit=self.limit,
            outline=outline,
            temperature=temperature,
        )
        return {p.name: env[p.name] for p in self.program.entry.params}, scope

    # ----------------------------------------------------------------------- forward simulation

    def forward(
        self, data: Data, omega: Any, axes: Axes, *, record: frozenset[str] = ALL
    ) -> tuple[RValue, Arr, State]:
        """Draw every site; (result, log-weight along `axes`, state). Law: `Measure`, properly
        weighted: E[exp(log-weight) f(result)] is the integral of f under the program's measure."""
        result, state = self.execute(data, rule=draw, omega=omega, axes=axes, record=record)
        return result, total((f.score for f in state.scores), axes), state

    def sequential(
        self,
        data: Data,
        omega: Any,
        axis: Axis,
        policy: Policy,
        *,
        record: frozenset[str] = ALL,
        history: bool = True,
        guide: tuple[Bound, Data] | None = None,
        meeting: Meeting | None = None,
    ) -> tuple[RValue, Front, State]:
        """Draw every site, the policy deciding at suspension points which particles go on: (result,
        the final population, state). Without `history` loops with points keep what happened in
        their last step only. A guide, a program and its data, proposes (`guided`). `meeting` may be
        more than the policy; with a guide it has to be one that makes a `guided` one. Law:
        `ProperlyWeighted`, for whole traces, if the policy is: E[Σ w f(trace)] is the integral of f
        under the program's measure."""
        if guide is None:
            meeting = meeting or Alone(policy, history)
        else:
            helper, known = guide
            record_it = frozenset(("sites", "faults"))
            env, scope = helper.beginning(known, rule=propose, axes=(axis,), record=record_it)
            make: Any = getattr(meeting, "guided", Guided)
            meeting = make(helper.program, env, scope, policy, history=history)
        result, state = self.execute(
            data,
            rule=draw if guide is None else follow,
            omega=omega,
            axes=(axis,),
            record=record,
            meeting=meeting,
        )
        return result, state.extra, state

    # ------------------------------------------------------------------------------ the density

    def sites(self, data: Data) -> tuple[SiteInfo, ...]:
        """The free coordinates, found without computing anything (finite sites are summed)."""
        return self._discovered(data)[0]

    def _discovered(self, data: Data) -> tuple[tuple[SiteInfo, ...], bool]:
        """The free coordinates, and whether there are finite sites, which are summed."""
        discover, summed = Discover(), False

        def probe(data: Data) -> Mapping[str, RValue]:
            nonlocal summed
            _, state = self.execute(data, rule=Summing(discover), record=frozenset(("sites",)))
            summed = bool(state.extra.sites)
            return state.sites

        shapes = jax.eval_shape(probe, dict(data))
        sites = tuple(
            SiteInfo(path, x.data.shape, u.data.shape, found.span, found.family)
            for path, pair in shapes.items()
            if path in discover.found  # a value that is set is no coordinate
            for (x, u), found in ((inside_loops(pair), discover.found[path]),)
        )
        return sites, summed

    def log_density(
        self,
        data: Data,
        position: Mapping[str, Any],
        free: Free = CENTRED,
        temperature: Any = None,
    ) -> Any:
        """The log density of unconstrained coordinates, finite sites summed out.

        At a `temperature` t, that of the prior times the t-th power of the likelihood, given all
        sites: what is summed is, for every combination of the finite ones, its prior times its own
        likelihood's power.
        """
        given = {k: Arr(u) for k, u in position.items()}
        rule = Summing(free)
        _, state = self.execute(data, rule=rule, given=given, smooth=True, temperature=temperature)
        scores, _ = eliminate(state.scores, state.extra.chains)
        return _no_value_no_mass(total(scores, ()).data)

    def starts(
        self, data: Data, omega: Any, n: int, free: Free = CENTRED
    ) -> tuple[Any, dict[str, Any], Any]:
        """n positions drawn from the prior: (omega, position (n, …), log weights (n,)).

        Law: properly weighted for the density at temperature 0; weights are 1 but where a site's
        parameters are illegal. Raises E801 if a site has no sampler.
        """
        axis = particles(n)
        _, state = self.execute(
            data, rule=Start(free), omega=omega, axes=(axis,), record=NOTHING, temperature=0.0
        )
        pairs = {path: inside_loops(pair) for path, pair in state.sites.items()}
        position = {path: spread(u, (axis,)).data for path, (_, u) in pairs.items()}
        weights = total((f.score for f in state.scores), (axis,)).data
        return state.omega, position, weights

    def located(
        self, data: Data, omega: Any, axis: Axis, given: Mapping[str, Arr], free: Free = CENTRED
    ) -> dict[str, Any]:
        """The position, led by `axis`, of choices whose values are given by path; what is not
        given, or was not made there, is drawn."""
        rule = Start(free, replayed)
        _, state = self.execute(
            data, rule=rule, omega=omega, axes=(axis,), given=given, record=NOTHING
        )
        pairs = {path: inside_loops(pair) for path, pair in state.sites.items()}
        return {path: spread(u, (axis,)).data for path, (_, u) in pairs.items()}

    # --------------------------------------------------------------------------- finite programs

    def options(self, data: Data) -> dict[str, tuple[int, ...]]:
        """The shape of each summed site's table of options: its plates, then its values. Raises
        E807 if a site is continuous, and what summing raises."""

        sites: list[tuple[str, Axis]] = []

        def probe(data: Data) -> Any:
            _, state = self.execute(data, rule=Summing(unlisted))
            eliminate(state.scores, state.extra.chains)
            sites[:] = state.extra.sites
            return ()

        jax.eval_shape(probe, dict(data))
        return {name: (*(p.size for p in axis.plates), axis.size) for name, axis in sites}

    def log_evidence(self, data: Data, nudges: Mapping[str, Any]) -> Any:
        """The log of the total mass of a finite program. Its gradient with respect to `nudges`
        (zeros, of the shapes of `options`) are the marginal laws of the sites."""
        given = {f"{name}/{NUDGE}": Arr(v) for name, v in nudges.items()}
        _, state = self.execute(data, rule=Summing(unlisted), given=given)
        scores, _ = eliminate(state.scores, state.extra.chains)
        return total(scores, ()).data

    def contributions(
        self, data: Data, position: Mapping[str, Any], free: SiteRule = CENTRED
    ) -> dict[str, Any]:
        """The log density of each observation and the value of each site, for messages."""
        given = {k: Arr(u) for k, u in position.items()}
        record = frozenset(("observed",))
        _, state = self.execute(data, rule=Summing(free), given=given, record=record)
        return {k: jnp.sum(v.data) for k, v in state.observed.items()}

    def faults(self, data: Data, position: Mapping[str, Any], free: SiteRule = CENTRED) -> Any:
        """What goes wrong while the density is computed: indices, casts, starts of loops."""
        given = {k: Arr(u) for k, u in position.items()}
        record = frozenset(("faults",))
        _, state = self.execute(data, rule=Summing(free), given=given, record=record)
        return state.faults

    def forgiven(
        self, data: Data, position: Mapping[str, Any], free: SiteRule = CENTRED
    ) -> tuple[Any, tuple[Any, ...]]:
        """The log density that there would be if casts did not fail, and what goes wrong."""
        given = {k: Arr(u) for k, u in position.items()}
        record = frozenset(("faults", FORGIVEN))
        _, state = self.execute(data, rule=Summing(free), given=given, record=record)
        scores, _ = eliminate(state.scores, state.extra.chains)
        return _no_value_no_mass(total(scores, ()).data), state.faults

    def recover(
        self,
        data: Data,
        position: Mapping[str, Any],
        key: Any,
        axes: Axes,
        *,
        free: SiteRule = CENTRED,
        predict: bool = False,
    ) -> tuple[RValue, State]:
        """The whole execution at given coordinates (which vary along `axes`): summed sites are
        drawn from their exact conditional law; with `predict`, observations are drawn too."""
        given = {k: Arr(u, axes) for k, u in position.items()}
        _, state = self.execute(data, rule=Summing(free), axes=axes, given=given)
        _, steps = eliminate(state.scores, state.extra.chains)
        omega, at = draw_back(steps, Key(key), axes)
        for name, axis in state.extra.sites:
            chosen = at[axis]
            for plate in reversed(axis.plates):
                chosen = close_event(chosen, plate)
            given[name] = chosen
        return self.execute(
            data,
            rule=Chosen(free),
            omega=omega,
            axes=axes,
            given=given,
            record=ALL,
            predict=predict,
        )

    def density(self, data: Data, noncentred: frozenset[str] = frozenset()) -> Density:
        """The Density representation, of data of these shapes: see `as_density`."""
        return as_density(self, data, noncentred, self._discovered(data))
