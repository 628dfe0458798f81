"""A program as a `MixedDensity`: some of its discrete sites held as coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import keys
from ppl.semantics.density import SiteInfo
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.mixed import DiscreteSite, InValues, MixedDensity, Whitened
from ppl.semantics.omega import Key
from ppl.semantics.xla import conditional
from ppl.semantics.xla.axes import Arr, close_event
from ppl.semantics.xla.elimination import draw_back, eliminate
from ppl.semantics.xla.held import DiscoverMixed, Held
from ppl.semantics.xla.placed import VALUE, Placed
from ppl.semantics.xla.points import Policy
from ppl.semantics.xla.program import (
    ALL,
    NOTHING,
    Bound,
    Data,
    _no_value_no_mass,
    inside_loops,
)
from ppl.semantics.xla.redraw import CHOSEN, Redraw
from ppl.semantics.xla.sites import Free
from ppl.semantics.xla.state import SiteRule, State, total
from ppl.semantics.xla.summing import Summing
from ppl.semantics.xla.whiten import Whiten

#: what summing raises where choices are coupled, or a loop's state depends on them
UNSUMMABLE = ("E805", "E806")


def mixed_density(bound: Bound, data: Data, names: tuple[str, ...] | None) -> MixedDensity:
    """The density of data of these shapes that holds the discrete sites at or below these names
    (None: all of them), and those that cannot be summed out: the sites whose values have no list;
    all, if the program cannot sum out the others together."""
    try:
        density = _density(bound, data, names)
        zeros = {s.path: jnp.zeros(s.unconstrained_shape) for s in density.sites}
        zeros |= {s.path: jnp.zeros(s.shape, int) for s in density.discrete}
        jax.eval_shape(density.log_density, dict(data), zeros)
    except DiagnosticError as error:
        if names is None or error.diagnostics[0].code not in UNSUMMABLE:
            raise
        return _density(bound, data, None)
    return density


def _density(bound: Bound, data: Data, chosen: tuple[str, ...] | None) -> MixedDensity:
    flat, tree = jax.tree.flatten(dict(data))
    shapes = tuple((x.shape, str(x.dtype)) for x in flat)
    sites, discrete, loops = _coordinates(bound, data, chosen)
    like = jax.eval_shape(lambda data: data, dict(data))
    held = Held(tuple((s.path, s.options) for s in discrete))

    def run(
        data: Data, position: Mapping[str, Any], rule: SiteRule, omega: Any = None
    ) -> tuple[Any, State]:
        given = {k: Arr(jnp.asarray(u)) for k, u in position.items()}
        smooth = rule is held
        _, state = bound.execute(
            data, rule=Summing(rule), omega=omega, given=given, record=NOTHING, smooth=smooth
        )
        scores, _ = eliminate(state.scores, state.extra.chains)
        return _no_value_no_mass(total(scores, ()).data), state

    def log_density(data: Data, position: Mapping[str, Any]) -> Any:
        return run(data, position, held)[0]

    def constrain(data: Data, position: Mapping[str, Any], key: Any) -> dict[str, Any]:
        result, state = bound.recover(data, position, key, (), free=held)
        return {**state.sites, **state.kept, "result": result}

    def begin(data: Data, position: Mapping[str, Any], omega: Any) -> tuple[Any, dict[str, Any]]:
        _, state = run(data, position, Redraw(held, starting=True), omega)
        found = _second(state)
        return state.omega, {s.path: found[s.path] for s in discrete}

    def redraw(
        data: Data, position: Mapping[str, Any], chosen: Mapping[str, Any], omega: Any
    ) -> tuple[Any, dict[str, Any], Any]:
        masks = {f"{k}/{CHOSEN}": jnp.asarray(v) for k, v in chosen.items()}
        score, state = run(data, {**position, **masks}, Redraw(held), omega)
        return state.omega, {**position, **_second(state)}, score

    def whiten(names: frozenset[str]) -> Whitened:
        def convert(inverse: bool) -> Any:
            rule = Whiten(held, names, inverse)
            return lambda data, position: _second(run(data, position, rule)[1])

        rule = Whiten(held, names, inverse=True)
        return Whitened(
            convert(False),
            convert(True),
            lambda data, position: run(data, position, rule)[0],
        )

    def named(data: Data, position: Mapping[str, Any]) -> dict[str, Any]:
        given = {k: Arr(jnp.asarray(u)) for k, u in position.items()}
        _, state = bound.execute(data, rule=Summing(held), given=given, record=ALL)
        return {**state.sites, **state.kept}

    def placed(
        data: Data,
        position: Mapping[str, Any],
        names: frozenset[str],
        values: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], Any]:
        told = {f"{name}/{VALUE}": x for name, x in (values or {}).items()}
        score, state = run(data, {**position, **told}, Placed(held, names))
        return {**position, **_second(state)}, score

    def form(f: Any) -> Any:
        zeros = {s.path: jnp.zeros(s.unconstrained_shape) for s in sites}
        zeros |= {s.path: jnp.zeros(s.shape, int) for s in discrete}
        return jax.eval_shape(f, like, zeros)

    def given_rest(path: str) -> Any:
        return _given_rest(bound, data, held, sites, discrete, path)

    def sweep(
        data: Data,
        position: Mapping[str, Any],
        moved: frozenset[str],
        n: int,
        policy: Policy,
        omega: Any,
        *,
        retained: bool = True,
    ) -> tuple[Any, Any, dict[str, Any]]:
        return conditional.sweep(
            bound, data, held, position, moved, n, policy, omega, retained=retained
        )

    plain = replace(held, free=Free(jacobian=False))
    return MixedDensity(
        key=(bound, tree, shapes, "mixed", held),
        sites=sites,
        log_density=log_density,
        constrain=constrain,
        log_density_no_jacobian=lambda data, position: run(data, position, plain)[0],
        explain=lambda data, position: bound.contributions(data, position, held),
        faults=lambda data, position: bound.faults(data, position, held),
        discrete=discrete,
        loops=loops,
        begin=begin,
        redraw=redraw,
        given_rest=given_rest,
        sweep=sweep,
        whiten=whiten,
        in_values=InValues(bound.program, named, placed, form),
    )


def _given_rest(
    bound: Bound,
    data: Data,
    held: Held,
    sites: tuple[SiteInfo, ...],
    discrete: tuple[DiscreteSite, ...],
    path: str,
) -> Any:
    """See `MixedDensity`: the program is run with this site summed out, and the eliminations run
    backwards. Whether its elements come apart is what eliminating finds from the program: a plate's
    are taken one by one only if every score that mentions one is of that element alone, and a
    chain's by its forward recursion; any other use of them together is refused."""
    rest = replace(held, options=tuple(o for o in held.options if o[0] != path))

    def draw(data: Data, position: Mapping[str, Any], omega: Any) -> tuple[Any, Any]:
        given = {k: Arr(jnp.asarray(u)) for k, u in position.items() if k != path}
        _, state = bound.execute(data, rule=Summing(rest), given=given, record=NOTHING)
        _, steps = eliminate(state.scores, state.extra.chains)
        omega, at = draw_back(steps, omega, ())
        (axis,) = (axis for name, axis in state.extra.sites if name == path)
        chosen = at[axis]
        for plate in reversed(axis.plates):
            chosen = close_event(chosen, plate)
        return omega, chosen.data

    zeros = {s.path: jnp.zeros(s.unconstrained_shape) for s in sites}
    zeros |= {s.path: jnp.zeros(s.shape, int) for s in discrete}
    try:
        jax.eval_shape(draw, dict(data), zeros, Key(keys.key(0)))
    except DiagnosticError as error:
        if error.diagnostics[0].code not in UNSUMMABLE:
            raise
        return None
    return draw


def rule_of(density: MixedDensity) -> Held:
    """The rule for its coordinates, by which `recover` runs the program at a position."""
    return Held(tuple((s.path, s.options) for s in density.discrete))


def _coordinates(
    bound: Bound, data: Data, names: tuple[str, ...] | None
) -> tuple[tuple[SiteInfo, ...], tuple[DiscreteSite, ...], dict[str, tuple[int, ...]]]:
    """The sites with coordinates, found without computing anything, and the loops around each."""
    discover = DiscoverMixed(names)

    def probe(data: Data) -> Any:
        record = frozenset(("sites",))
        _, state = bound.execute(data, rule=Summing(discover), record=record)
        return state.sites

    shapes = jax.eval_shape(probe, dict(data))
    sites, discrete, loops = [], [], {}
    for path, pair in shapes.items():
        if path not in discover.ranks:  # a value that is set is no coordinate
            continue
        x, u = (a.data.shape for a in inside_loops(pair))
        loops[path] = x[: len(x) - discover.ranks[path]]
        if path in discover.discrete:
            found = discover.discrete[path]
            discrete.append(
                DiscreteSite(path, u, found.options, found.span, found.family, found.joint)
            )
        else:
            found = discover.continuous.found[path]
            sites.append(SiteInfo(path, x, u, found.span, found.family))
    return tuple(sites), tuple(discrete), loops


def _second(state: State) -> dict[str, Any]:
    """What sites recorded beside their coordinates."""
    return {path: inside_loops(pair)[1].data for path, pair in state.sites.items()}
