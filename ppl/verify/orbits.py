"""Transitions along an orbit of leapfrog steps, NUTS for instance, checked without an accept step.

Fix the states of an orbit, …, z₋₁, z₀, z₁, …. What the transition still chooses, directions and
picks, is finite, so that its matrix T along the orbit is known exactly. Leapfrog steps keep volume:
the law is invariant if Σ_i exp(-H_i) T_ij = exp(-H_j), for every j that no start outside the
computed part of the orbit can reach.

    OnOrbit(enumerated(transition))    transition(orbit, start, omega) -> index
    OnOrbit(numpyro_rows)              NumPyro's `build_tree`, exactly
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ppl.verify.contracts import Contract, Invariant
from ppl.verify.draws import bernoulli, categorical
from ppl.verify.maps import _target
from ppl.verify.subjects import Numeric
from ppl.verify.tapes import Budget, outcomes
from ppl.verify.verdict import Counterexample, Report, Verdict

#: differences of probabilities that are rounding
TOLERANCE = 1e-9
#: columns of the matrix that are compared, in the middle of the orbit
COLUMNS = 4
#: energies of an orbit may differ by so much, or some of its states have no mass in a float; so
#: many orbits are tried
WIDEST, TRIES = 600.0, 20


@dataclass(frozen=True)
class Orbit:
    """States at leapfrog steps: `q` and `p` are (n, d); `energy` (n,). Mass matrix one."""

    q: Any
    p: Any
    energy: Any

    def __len__(self) -> int:
        return len(self.energy)

    def turning(self, left: int, right: int) -> bool:
        """Whether the ends of [left, right] have begun to approach each other.

        The criterion of Betancourt, "A conceptual introduction to Hamiltonian Monte Carlo" (2017),
        A.4.2, by the sum of the momenta, that of the ends counted by half.
        """
        first, last = self.p[left], self.p[right]
        total = np.sum(self.p[left : right + 1], 0) - (first + last) / 2
        return bool(first @ total <= 0 or last @ total <= 0)


#: transition(orbit, start, omega) -> index
Transition = Callable[[Orbit, int, Any], int]
#: rows(orbit, starts, depth) -> (starts, n)
Rows = Callable[[Orbit, Sequence[int], int], Any]


def orbit_of(log_density: Any, q: Any, p: Any, step: float, n: int) -> Orbit:
    """n states, of which (q, p) is the middle one. log_density: of a vector, by JAX."""
    import jax.numpy as jnp
    from jax.tree_util import Partial

    from ppl.semantics.precision import precision

    # a function of data is compiled once for all data: see `Partial`
    given = log_density if isinstance(log_density, Partial) else Partial(log_density)
    with precision("double"):
        states = _leapfrogs(n)(given, jnp.asarray(q), jnp.asarray(p), step)
        return Orbit(*map(np.asarray, states))


@lru_cache(maxsize=8)
def _leapfrogs(n: int) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def run(log_density: Any, q: Any, p: Any, step: Any) -> Any:
        slope = jax.grad(log_density)

        def leapfrog(state: Any, eps: Any) -> Any:
            q, p = state
            half = p + 0.5 * eps * slope(q)
            q = q + eps * half
            return (q, half + 0.5 * eps * slope(q)), state

        after = jax.lax.scan(leapfrog, (q, p), jnp.full(n - n // 2, step))[1]
        before = jax.lax.scan(leapfrog, (q, p), jnp.full(n // 2 + 1, -step))[1]
        qs, ps = (jnp.concatenate([b[:0:-1], a]) for b, a in zip(before, after, strict=True))
        return qs, ps, -jax.vmap(log_density)(qs) + 0.5 * jnp.sum(ps**2, -1)

    return run


def nuts(orbit: Orbit, start: int, omega: Any, *, depth: int) -> int:
    """The No-U-Turn transition, multinomial: a reference. Hoffman and Gelman (2014), Betancourt
    (2017, A.3.2 and A.4)."""
    left = right = chosen = start
    for k in range(depth):
        forward = bernoulli(omega, ("direction", k), 0.5)
        size = 2**k
        a, b = (right + 1, right + size) if forward else (left - size, left - 1)
        if turns(orbit, a, b):
            break
        new, old = weights(orbit, a, b), weights(orbit, left, right)
        pick = a + categorical(omega, ("pick", k), tuple(new / new.sum()))
        if bernoulli(omega, ("accept", k), min(1.0, new.sum() / old.sum())):
            chosen = pick
        left, right = min(a, left), max(b, right)
        if orbit.turning(left, right):
            break
    return chosen


def turns(orbit: Orbit, left: int, right: int) -> bool:
    """Whether a balanced tree over [left, right] turns, or one of its subtrees does."""
    if left == right:
        return False
    middle = (left + right) // 2
    return (
        orbit.turning(left, right) or turns(orbit, left, middle) or turns(orbit, middle + 1, right)
    )


def weights(orbit: Orbit, left: int, right: int) -> Any:
    """exp(-energy), against the orbit's lowest."""
    return np.exp(np.min(orbit.energy) - orbit.energy[left : right + 1])


def enumerated(transition: Callable[..., int]) -> Rows:
    """The matrix of transition(orbit, start, omega, depth=…), by every outcome of its choices."""

    def rows(orbit: Orbit, starts: Sequence[int], depth: int) -> Any:
        out = np.zeros((len(starts), len(orbit)))
        for row, start in zip(out, starts, strict=True):

            def run(omega: Any, start: int = start) -> int:
                return transition(orbit, start, omega, depth=depth)

            for path in outcomes(run, {}, Budget(200_000)):
                row[path.value] += path.probability
        return out

    return rows


@dataclass(frozen=True)
class OnOrbit(Numeric):
    """rows(orbit, starts, depth) -> the probabilities of ending at each index of the orbit.

    A start must reach less than 2^depth steps away. Orbits go through random points of the
    program's free coordinates, with each of `step_sizes`: trees that turn, and trees that do not.
    """

    rows: Rows
    depth: int = 3
    step_sizes: tuple[float, ...] = (0.25, 0.6)
    takes = (Invariant,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        log_density, size, source = _target(program, contract)
        reach = 2**self.depth - 1
        n = 2 * reach + COLUMNS
        rng, compared, worst = np.random.default_rng(size), 0, 0.0
        for step in self.step_sizes:
            # every start that reaches a column has its own whole reach on the orbit
            found = (
                (q, p, orbit_of(log_density, q, p, step, n + 2 * reach))
                for q, p in rng.normal(size=(TRIES, 2, size))
            )
            usable = ((q, p, o) for q, p, o in found if np.ptp(o.energy) < WIDEST)
            q, p, orbit = next(usable, (None, None, None))
            if orbit is None:
                why = f"leapfrog steps of {step:g} diverge: take smaller `step_sizes`"
                return Verdict("INCONCLUSIVE", contract, why, Report("numeric"))
            starts = range(reach, reach + n)
            matrix = np.asarray(self.rows(orbit, starts, self.depth), float)
            mass = np.exp(np.min(orbit.energy) - orbit.energy)
            columns = range(2 * reach, 2 * reach + COLUMNS)
            sides = [(i, float(row.sum()), 1.0, i) for i, row in zip(starts, matrix, strict=True)]
            after = mass[list(starts)] @ matrix
            sides += [(j, float(after[j] / mass[j]), 1.0, None) for j in columns]
            compared += len(sides)
            for at, found, expected, start in sides:
                worst = max(worst, abs(found - expected))
                if not abs(found - expected) <= TOLERANCE:
                    where = f"step size {step:g}, state {at} of the orbit through q = {q}, p = {p}"
                    unit = "flow into the state, as a share of its mass"
                    if start is not None:
                        unit = "sum of the probabilities from the state"
                    example = Counterexample(source, where, unit, expected, found, None, ())
                    return Verdict(
                        "FAIL", contract, f"it is not so that {contract.says}",
                        Report("numeric", compared=compared), example,
                        distance=abs(found - expected),
                    )  # fmt: skip
        notes = ("orbits of other step sizes", "the leapfrog steps themselves: see `Integrator`")
        return Verdict(
            "PASS", contract, contract.says,
            Report("numeric", compared=compared, not_covered=notes),
            smallest_effect=TOLERANCE, distance=worst,
        )  # fmt: skip


# --------------------------------------------------------------------------------- NumPyro's trees


def numpyro_rows(orbit: Orbit, starts: Sequence[int], depth: int) -> Any:
    """The matrix of NumPyro's `build_tree` along an orbit, exactly.

    Its code runs as it is, with other random numbers: positions are distributions over the orbit's
    indices, and a choice between two trees' proposals is their mixture by its probability, which
    depends on no earlier pick. Directions are read from the key, all 2^depth of them.
    """
    import jax.numpy as jnp

    from ppl.semantics.precision import precision

    with precision("double"):
        each = _numpyro_program(depth)
        found = each(jnp.asarray(orbit.p), jnp.asarray(orbit.energy), jnp.asarray(list(starts)))
        return np.asarray(found)


@lru_cache(maxsize=8)
def _numpyro_program(depth: int) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    trees = _numpyro_trees()

    def kinetic(inverse_mass: Any, r: Any) -> Any:
        return 0.5 * jnp.sum(r**2)

    @jax.jit
    def rows(p: Any, energy: Any, starts: Any) -> Any:
        n, potential = len(energy), energy - 0.5 * jnp.sum(p**2, -1)

        def state(i: Any) -> Any:
            return trees.IntegratorState(jnp.eye(n)[i], p[i], potential[i], jnp.zeros(n))

        def along(step: Any, inverse_mass: Any, here: Any) -> Any:
            return state(jnp.argmax(here[0]) + jnp.sign(step).astype(int))

        def one(pair: Any) -> Any:
            start, directions = pair
            mass = jnp.ones(p.shape[1])
            return trees.build_tree(
                along, kinetic, state(start), mass, 1.0, directions, max_tree_depth=depth
            ).z_proposal

        pairs = jnp.repeat(starts, 2**depth), jnp.tile(jnp.arange(2**depth), len(starts))
        return jax.lax.map(one, pairs).reshape(len(starts), 2**depth, n).mean(1)

    return rows


@lru_cache(maxsize=1)
def _numpyro_trees() -> ModuleType:
    """A copy of NumPyro's module for ourselves, so that nobody else sees other random numbers."""
    from numpyro.infer import hmc_util

    spec = importlib.util.spec_from_file_location("ppl_verify_numpyro_trees", hmc_util.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.random = _Mixing()  # type: ignore[attr-defined]
    choose = module.cond

    def cond(chosen: Any, a: Any, f: Any, b: Any, g: Any) -> Any:
        import jax
        import jax.numpy as jnp

        if jnp.asarray(chosen).dtype.kind != "f":
            return choose(chosen, a, f, b, g)
        return jax.tree.map(lambda x, y: chosen * x + (1 - chosen) * y, f(a), g(b))

    module.cond = cond  # type: ignore[attr-defined]
    return module


class _Mixing:
    """Stands for `jax.random`: a key is a number whose bits are directions."""

    @staticmethod
    def split(key: Any, n: int = 2) -> Any:
        return (key // 2, key % 2, key * 0) if n == 3 else (key, key)

    @staticmethod
    def bernoulli(key: Any, p: Any = None) -> Any:
        return key == 1 if p is None else p
