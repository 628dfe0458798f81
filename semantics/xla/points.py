"""What happens to a population at a suspension point: the policy of inference, applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ppl.semantics.xla.lineage import Lineage, Versioned
from ppl.semantics.xla.state import Path, State, total

Array = Any
Omega = Any
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Decision:
    """What a policy makes of a population.

    size: its effective size. due: whether it resamples. choose: every new particle's ancestor,
    (n,), and log weight, (n,), if it does; without randomness of its own.
    """

    size: Array
    due: Array
    choose: Callable[[], tuple[Array, Array]]


#: (log weights (n,), source of randomness, the path to draw at)
Policy = Callable[[Array, Omega, Path], tuple[Omega, Decision]]


@dataclass(frozen=True, eq=False)
class Front:
    """Where a population is. history: at each point, or at the steps of a loop, (effective size,
    whether it resampled). faults: of the versions in which they happened."""

    log_weights: Array
    lineage: Lineage
    history: tuple[tuple[Array, Array], ...] = ()
    faults: tuple[Versioned, ...] = ()


def weighted(log_weights: Array, state: State, lineage: Lineage) -> Array:
    """The weights times what was scored since they were last asked for. What has no value has no
    mass."""
    increments = total((f.score for f in state.scores), (lineage.axis,)).data
    out = log_weights + increments
    return jnp.where(out < jnp.inf, out, -jnp.inf)


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


def point(state: State, policy: Policy) -> State:
    """The state after a suspension point of the main block."""
    front: Front = state.extra
    weights = weighted(front.log_weights, state, front.lineage)
    omega, decision = policy(weights, state.omega, path_at(front.lineage))
    ancestors, weights, _ = decided(decision, weights, lambda _: (), ())
    after = replace(
        front,
        log_weights=weights,
        lineage=front.lineage.then(ancestors),
        history=(*front.history, (decision.size, decision.due)),
    )
    return replace(state, omega=omega, scores=(), extra=after)


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
