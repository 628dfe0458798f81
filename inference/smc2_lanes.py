"""SMC² in compiled code: the filters of all parameter particles in lanes, row by row of the data.

The composition is that of `inference.smc2`, whose law it has, at the rows of the loop over data. A
parameter particle is (θ, u): parameters, and the random numbers of its filter, of which it keeps
the seeds, one a row. Filters are functions of these (`semantics.xla.filtering`), so nothing of the
past is stored: moves run filters of their own up to here, and in the end every filter is run once
more, with its history, and one of its particles drawn.

Why lanes (`Omega.lanes`), and not one population of all states of all filters, which would be one
bulk draw: what a filter drew would belong to no lane then, and could not be made again. A lane's
draws depend on its seed alone, and the seeds on (row, slot), so that resampled siblings have the
same past and futures of their own. Tapes run the lanes one after the other, and a seed is where on
the tape a lane began: what they enumerate is this code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ppl.inference.kernels.xla.particle_gibbs import categorical
from ppl.inference.movers import Shape
from ppl.inference.particles import compiled_policy
from ppl.inference.population import Population
from ppl.inference.resample import Resample
from ppl.semantics import distributions as D
from ppl.semantics.density import unflatten
from ppl.semantics.xla.filtering import Filter, Rows, Underway
from ppl.semantics.xla.points import decided
from ppl.semantics.xla.program import Data

Array = Any
Omega = Any
Position = Mapping[str, Array]

#: numbers of histories, steps times states, that are held at once when filters are run once more
HELD = 2_000_000


class Filters(NamedTuple):
    """N parameter particles. given: coordinates of the parameters (N, …). at: their filters, led by
    N. seeds (N, rows + 1, …): of what each filter drew before the loop, and at each row.
    log_weights (N,)."""

    given: Position
    at: Underway
    seeds: Array
    log_weights: Array

    @property
    def masses(self) -> Array:
        """The log mass of each filter (N,)."""
        return jax.nn.logsumexp(self.at.log_weights, axis=1)


class Told(NamedTuple):
    """Of every row: the effective size, whether parameters were resampled, the log mass, and whom
    each goes on from (rows, N)."""

    size: Array
    due: Array
    log_mass: Array
    ancestors: Array

    def noting(self, t: Array, row: tuple[Any, ...]) -> Told:
        return Told(*(x.at[t].set(v) for x, v in zip(self, row, strict=True)))


@dataclass(frozen=True)
class Sites:
    """The shapes of the parameters' coordinates, by site: free ones, and integers."""

    free: tuple[tuple[str, tuple[int, ...]], ...]
    whole: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in (*self.free, *self.whole))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many free coordinates, and how many integers."""
        free, whole = (sum(math.prod(shape) for _, shape in s) for s in (self.free, self.whole))
        return free, whole

    def vectors(self, given: Position) -> tuple[Array, Array]:
        """(N, d) free coordinates and (N, k) integers."""
        n = next(iter(given.values())).shape[0]

        def rows(sites: Any, kind: Any) -> Array:
            parts = [jnp.reshape(given[name], (n, -1)) for name, _ in sites]
            return jnp.concatenate([jnp.zeros((n, 0), kind), *parts], axis=1)

        return rows(self.free, float), rows(self.whole, int)

    def position(self, z: Array, k: Array) -> dict[str, Array]:
        return unflatten(dict(self.free), z) | unflatten(dict(self.whole), k)


@dataclass(frozen=True, eq=False)
class Lanes:
    """The steps of the algorithm: `particles` of parameters, each with a `filter`, which is of so
    many states. All draw through Ω."""

    filter: Filter
    sites: Sites
    particles: int
    policy: Resample
    moves: int

    # ------------------------------------------------------------------------------------ filters

    def filtered(
        self, data: Data, given: Position, t: Any, omega: Omega
    ) -> tuple[Omega, Underway, Array]:
        """Filters of these parameters after t rows, and their seeds."""

        def more(s: Any, carry: Any) -> Any:
            omega, at, seeds = carry
            inner, at, seeds = self.advanced(data, at, seeds, s, omega.enter(s))
            return omega.leave(inner), at, seeds

        return jax.lax.fori_loop(0, t, more, self.begun(data, given, omega))

    def begun(self, data: Data, given: Position, omega: Omega) -> tuple[Omega, Underway, Array]:
        """Filters of these parameters before the first row, and room for their seeds."""
        lane = lambda source, own: self.filter.begin(data, own, source)[:2]  # noqa: E731
        omega, first, at = omega.lanes(("", "begin"), lane, given)
        shape = (self.particles, self.filter.rows + 1, first.shape[-1])
        return omega, at, jnp.zeros(shape, first.dtype).at[:, 0].set(first)

    def advanced(
        self, data: Data, at: Underway, seeds: Array, t: Any, omega: Omega
    ) -> tuple[Omega, Underway, Array]:
        """Filters by one row, the one with number t."""
        lane = lambda source, own: self.filter.advance(data, own, t, source)[:2]  # noqa: E731
        omega, own, at = omega.lanes(("", "filter"), lane, at)
        return omega, at, seeds.at[:, t + 1].set(own)

    # ----------------------------------------------------------------------------------- the steps

    def begin(self, data: Data, omega: Omega) -> tuple[Omega, Filters]:
        """Parameters drawn as the program draws them, which divides the weights by their density:
        filters count it."""

        def lane(source: Omega, _: Any) -> Any:
            source, given, density = self.filter.parameters(data, source)
            return source, (given, density)

        each = jnp.arange(self.particles)
        omega, _, (given, densities) = omega.lanes(("", "parameters"), lane, each)
        omega, at, seeds = self.begun(data, given, omega)
        fresh = jnp.full(self.particles, -math.log(self.particles)) - densities
        found = Filters(given, at, seeds, fresh)
        return omega, found._replace(log_weights=fresh + found.masses)

    def weighted(self, data: Data, f: Filters, t: Any, omega: Omega) -> tuple[Omega, Filters]:
        """Every filter by one row, and its parameters weighted by what it found there."""
        omega, at, seeds = self.advanced(data, f.at, f.seeds, t, omega)
        return omega, self._exchanged(f, at, seeds)

    def _exchanged(self, f: Filters, at: Underway, seeds: Array) -> Filters:
        """With other filters, at weights times the ratio of their masses."""
        after = Filters(f.given, at, seeds, f.log_weights)
        ratio = jnp.where(f.masses > -jnp.inf, after.masses - f.masses, -jnp.inf)
        return after._replace(log_weights=f.log_weights + ratio)

    def resampled(
        self, f: Filters, omega: Omega, unless: Any = False
    ) -> tuple[Omega, Filters, tuple[Any, ...]]:
        """Parameters, each with its filter, if that is due; and what is told of it."""
        policy = compiled_policy(self.policy)
        omega, decision = policy(f.log_weights, omega, ("", "ancestor"), None)
        due = decision.due & ~jnp.asarray(unless)
        decision = replace(decision, due=due)
        rest = f._replace(log_weights=())
        take = lambda who: jax.tree.map(lambda x: x[who], rest)  # noqa: E731
        ancestors, weights, rest = decided(decision, f.log_weights, take, rest)
        told = (*decision.told, ancestors)
        return omega, rest._replace(log_weights=weights), told

    def moved(
        self, data: Data, f: Filters, t: Any, shape: Shape, omega: Omega
    ) -> tuple[Omega, Filters, Array]:
        """One step of `pmmh` on the program up to row t, of every lane; and the share accepted."""
        omega, given = self._proposed(f.given, shape, omega)
        omega, at, seeds = self.filtered(data, given, t, omega)
        proposed = Filters(given, at, seeds, f.log_weights)
        log_ratio = jnp.where(f.masses > -jnp.inf, proposed.masses - f.masses, -jnp.inf)
        chance = jnp.exp(jnp.minimum(log_ratio, 0.0))
        law = D.make("bernoulli", (chance,))
        omega, yes = omega.draw(("", "accept"), law, chance.shape)
        yes = jnp.asarray(yes, bool)

        def chosen(new: Array, old: Array) -> Array:
            return jnp.where(yes.reshape((-1,) + (1,) * (jnp.ndim(new) - 1)), new, old)

        return omega, jax.tree.map(chosen, proposed, f), jnp.mean(yes * 1.0)

    def _proposed(self, given: Position, shape: Shape, omega: Omega) -> tuple[Omega, Position]:
        """A Gaussian step of the free coordinates, of 2.38 / √d times the shape (Roberts, Gelman
        and Gilks, 1997), and one of -1, 0 or 1 of one of the integers. Both are symmetric."""
        z, k = self.sites.vectors(given)
        n, d = z.shape
        if d:
            normal = D.make("normal", (0.0, 1.0))
            omega, noise = omega.draw(("", "step"), normal, (n, d))
            z = z + 2.38 / math.sqrt(d) * shape.spread(noise)
        if m := k.shape[1]:
            even = lambda n: D.make("categorical", (jnp.full(n, 1 / n),))  # noqa: E731
            omega, which = omega.draw(("", "integer"), even(m), (n,))
            omega, by = omega.draw(("", "by"), even(3), (n,))
            k = k.at[jnp.arange(n), which].add(by - 1)
        return omega, self.sites.position(z, k)

    def rejuvenated(
        self, data: Data, f: Filters, t: Any, shape: Shape, omega: Omega
    ) -> tuple[Omega, Filters, Array]:
        """After all moves, and the share of them that was accepted."""

        def move(i: Any, carry: Any) -> Any:
            omega, f, share = carry
            inner, f, accepted = self.moved(data, f, t, shape, omega.enter(i))
            return omega.leave(inner), f, share + accepted / self.moves

        return jax.lax.fori_loop(0, self.moves, move, (omega, f, jnp.zeros(())))

    def enlarged(
        self, data: Data, f: Filters, masses: Array, t: Any, omega: Omega
    ) -> tuple[Omega, Filters]:
        """With filters of this many states in the place of those that found `masses`."""
        omega, at, seeds = self.filtered(data, f.given, t, omega)
        after = Filters(f.given, at, seeds, f.log_weights)
        ratio = jnp.where(masses > -jnp.inf, after.masses - masses, -jnp.inf)
        return omega, after._replace(log_weights=f.log_weights + ratio)

    def advance(
        self,
        data: Data,
        f: Filters,
        told: Told,
        t: Any,
        until: Any,
        omega: Omega,
        *,
        stops: Any = False,
    ) -> tuple[Omega, Filters, Told, Any, Any]:
        """From row t to row `until`, resampled at each if that is due; or if it `stops`, to where
        it is due first, before that is done. Gives the number of rows, and whether it is due."""

        def more(carry: Any) -> Any:
            _, _, _, t, due = carry
            return (t < until) & ~(due & stops)

        def step(carry: Any) -> Any:
            omega, f, told, t, _ = carry
            inner, f = self.weighted(data, f, t, omega.enter(t))
            due = self.policy.due(Population(f.log_weights))
            inner, f, row = self.resampled(f, inner, stops)
            return omega.leave(inner), f, told.noting(t, row), t + 1, due

        begin = (omega, f, told, jnp.asarray(t), jnp.zeros((), bool))
        return jax.lax.while_loop(more, step, begin)

    def untold(self) -> Told:
        """Of rows to come."""
        t, real = self.filter.rows, jnp.result_type(float)
        ancestors = jnp.zeros((t, self.particles), jnp.int32)
        return Told(jnp.zeros(t, real), jnp.zeros(t, bool), jnp.zeros(t, real), ancestors)

    def finish(self, data: Data, f: Filters, omega: Omega) -> tuple[Omega, dict[str, Array], Array]:
        """Every filter to its end, which runs it once more: the coordinates (N, …) of one of its
        particles, drawn by weight, parameters included, and the weights (N,)."""
        filter, cut = self.filter, self.filter.parts.cut

        def lane(source: Omega, own: Any) -> Any:
            given, seeds = own
            _, at, first = filter.begin(data, given, omega.again(seeds[0]))
            _, at, stood = filter.advance(data, at, None, Rows(omega, seeds[1:]))
            value = stood.value if cut.loop.keep == "all" else stood.state
            source, weights, roots, last = filter.finish(data, at, value, source)
            mass = jax.nn.logsumexp(weights)
            logits = jnp.where(mass > -jnp.inf, weights, 0.0)
            source, who = categorical(source, ("", "which"), logits, mass > -jnp.inf)
            at_end = roots[who]
            found = {k: u[who] for k, u in last.items()}
            inside = filter.coordinates(stood.inside[0])
            found |= {k: u[at_end] for k, u in inside.items()}
            found |= {k: u[stood.roots.data[at_end]] for k, u in first.items()}
            return source, (found, mass)

        rows, states = filter.rows, filter.axis.size
        at_once = max(1, HELD // (rows * states))
        own = f.given, f.seeds
        omega, _, (found, masses) = omega.lanes(("", "end"), lane, own, at_once=at_once)
        ratio = jnp.where(f.masses > -jnp.inf, masses - f.masses, -jnp.inf)
        return omega, {**f.given, **found}, f.log_weights + ratio
