"""What happens to a population at a suspension point: the policy of inference, applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ppl.semantics.xla.axes import Arr, Axis, spread
from ppl.semantics.xla.lineage import Lineage, Versioned, moving
from ppl.semantics.xla.sharing import share
from ppl.semantics.xla.state import Path, Scope, State, total

Array = Any
Omega = Any
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Decision:
    """What a policy makes of a population.

    size: its effective size. due: whether it resamples. choose: every new particle's ancestor,
    (n,), and log weight, (n,), if it does; without randomness of its own. log_mass: that of the
    population, for who looks on.
    """

    size: Array
    due: Array
    choose: Callable[[], tuple[Array, Array]]
    log_mass: Array | None = None

    @property
    def told(self) -> tuple[Array, Array, Array | None]:
        """(effective size, whether it resamples, log mass)."""
        return self.size, self.due, self.log_mass


#: the log densities (n,) of what the retained particle has before it, had it each one's past
Future = Callable[[], Array]

#: (log weights (n,), source of randomness, the path to draw at, what is to come if one is retained)
Policy = Callable[[Array, Omega, Path, Future | None], tuple[Omega, Decision]]

#: ancestors are told where they are at most so many
FEW = 2**20

#: where sites record the log densities of their own draws, if anybody needs them
OWN = "!own"

#: what a guide's draws are marked by, beside their paths: see `guided`
PROPOSED = "!q"


@dataclass(frozen=True, eq=False)
class Ahead:
    """What conditional SMC knows of the retained trace. moved: the sites it goes along, by the rule
    `base` when it is replayed. log_density: of whole traces (n,), those of their coordinates that
    are found so far instead of the retained ones."""

    moved: frozenset[str]
    base: Any
    log_density: Callable[[Mapping[str, Arr]], Array]


@dataclass(frozen=True, eq=False)
class Front:
    """Where a population is. history: at each point, or at the steps of a loop, what decisions
    `told`. ancestors: at each point (n,), or the steps of a loop (steps, n), if they are kept and
    few. faults: of the versions in which they happened. past: the log density of
    each particle's trace so far (n,), if anybody needs it. ready: values given for sites, by path,
    beside those given from outside. lost: at each point of a guide's, whether it gave a particle
    up (booleans). stood: as it was at the end of a loop, if somebody goes on from there."""

    log_weights: Array
    lineage: Lineage
    history: tuple[tuple[Array, Array, Array | None], ...] = ()
    ancestors: tuple[Array | None, ...] = ()
    faults: tuple[Versioned, ...] = ()
    past: Array | None = None
    ready: Mapping[str, Versioned] = field(default_factory=dict)
    lost: tuple[Array, ...] = ()
    stood: Any = None

    def offering(self, scope: Scope) -> Scope:
        """A scope in which the values that are ready are given."""
        if not self.ready:
            return scope
        return replace(scope, given={**scope.given, **self.lineage.brought(self.ready)})


def scored(state: State, axis: Axis) -> Array:
    """What every particle scored since it was last asked for (n,)."""
    return total((f.score for f in state.scores), (axis,)).data


def weighted(log_weights: Array, state: State, lineage: Lineage) -> Array:
    """The weights times what was scored since they were last asked for. What has no value has no
    mass."""
    out = log_weights + scored(state, lineage.axis)
    return share(jnp.where(out < jnp.inf, out, -jnp.inf), lineage.axis.mesh)


def drawn(state: State, axis: Axis) -> tuple[Array, State]:
    """The log density of what every particle drew since it was last asked for (n,), and the state
    that does not tell it again."""
    own = {k: v for k, v in state.observed.items() if k.startswith(OWN)}
    rest = {k: v for k, v in state.observed.items() if k not in own}
    out = jnp.zeros(axis.size)
    for v in own.values():
        a = spread(v.value if isinstance(v, Versioned) else v, (axis,))
        out = out + jnp.sum(a.data, axis=tuple(range(1, jnp.ndim(a.data))))
    return out, replace(state, observed=rest)


def path_at(lineage: Lineage) -> Path:
    """Where the policy draws: no program has a path that begins with an empty name."""
    return ("", "ancestor", str(lineage.version))


def decided(decision: Decision, log_weights: Array, take: Callable[[Array], T], same: T):
    """(ancestors, log weights, `take(ancestors)`), or what there is where it is not due.

    The maps of n elements stand inside the condition, the randomness outside.
    """

    def go() -> tuple[Array, Array, T]:
        ancestors, weights = decision.choose()
        ancestors = jnp.asarray(ancestors, jnp.int32)
        return ancestors, weights, take(ancestors)

    def stay() -> tuple[Array, Array, T]:
        return jnp.arange(log_weights.shape[0], dtype=jnp.int32), log_weights, same

    return jax.lax.cond(decision.due, go, stay)


def looking(policy: Policy, sight: Array) -> Policy:
    """The policy for weights times exp(sight), by which the weights of children are divided."""

    def at_point(weights: Array, omega: Omega, path: Path, future: Future | None = None) -> Any:
        omega, decision = policy(weights + sight, omega, path, future)

        def choose() -> tuple[Array, Array]:
            ancestors, level = decision.choose()
            return ancestors, level - sight[ancestors]

        mass = None if decision.log_mass is None else jax.nn.logsumexp(weights)
        return omega, replace(decision, choose=choose, log_mass=mass)

    return at_point


@dataclass(frozen=True)
class Sorted:
    """A policy that is shown the particles `in_order` at the steps of loops, so that whom they go
    on from changes little where they do. Law: that of the policy."""

    policy: Policy

    def __call__(
        self, log_weights: Array, omega: Omega, path: Path, future: Future | None = None
    ) -> tuple[Omega, Decision]:
        return self.policy(log_weights, omega, path, future)


def in_order(policy: Policy, state: Any, axis: Axis) -> Policy:
    """The policy for particles in the order of the first number in a state of theirs."""
    arrays = [a for a in moving(state, axis) if a.data.size]
    if not arrays:
        return policy
    rows = jnp.moveaxis(arrays[0].data, arrays[0].axes.index(axis), 0)
    order = jnp.argsort(rows.reshape(axis.size, -1)[:, 0])

    def at_point(weights: Array, omega: Omega, path: Path, future: Future | None = None) -> Any:
        ahead = None if future is None else lambda: future()[order]
        omega, decision = policy(weights[order], omega, path, ahead)

        def choose() -> tuple[Array, Array]:
            ancestors, level = decision.choose()
            return order[ancestors], level

        return omega, replace(decision, choose=choose)

    return at_point


def gave_up(log_weights: Array, sight: Array) -> Array:
    """Whether a particle of positive weight is said to have no future."""
    return jnp.any((log_weights > -jnp.inf) & ~(sight > -jnp.inf))


def point(
    state: State, policy: Policy, ahead: Ahead | None = None, sight: Array | None = None
) -> State:
    """The state after a suspension point of the main block. sight: what a guide sees ahead (n,)."""
    front: Front = state.extra
    axis, past, future = front.lineage.axis, front.past, None
    if ahead is not None:
        own, state = drawn(state, axis)
        past = now = front.past + own + scored(state, axis)
        found = front.lineage.brought(state.sites)
        future = lambda: ahead.log_density(found) - now  # noqa: E731
    lost = front.lost
    if sight is not None:
        policy, lost = looking(policy, sight), (*lost, gave_up(front.log_weights, sight))
    weights = weighted(front.log_weights, state, front.lineage)
    omega, decision = policy(weights, state.omega, path_at(front.lineage), future)
    ancestors, weights, past = decided(
        decision, weights, lambda a: None if past is None else past[a], past
    )
    after = replace(
        front,
        log_weights=weights,
        lineage=front.lineage.then(ancestors),
        history=(*front.history, decision.told),
        ancestors=(*front.ancestors, few(ancestors)),
        past=past,
        lost=lost,
    )
    return replace(state, omega=omega, scores=(), extra=after)


def few(ancestors: Array) -> Array | None:
    """They, unless they are many."""
    return ancestors if ancestors.size <= FEW else None


def recorded(state: State, front: Front, faults: tuple[Any, ...]) -> State:
    """The state after a statement: what it recorded is of the newest version."""
    made = front.lineage.made

    def table(entries: Mapping[str, Any]) -> dict[str, Versioned]:
        return {k: v if isinstance(v, Versioned) else made(v) for k, v in entries.items()}

    return replace(
        state,
        sites=table(state.sites),
        kept=table(state.kept),
        observed=table(state.observed),
        extra=replace(front, faults=(*front.faults, *map(made, faults))),
    )
