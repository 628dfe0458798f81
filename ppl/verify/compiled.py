"""The exact level for compiled code: inference under JAX, run on every tape of its random choices.

    def importance(model, omega):
        return model.forward(omega, 3)

    check(Compiled(importance), program, ProperlyWeighted())

The subject is traced and compiled once, as it is when it runs with a key, and `vmap`ped over
batches of tapes. What comes out is compared with the law that the machine finds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics.enumerate import Enumerator
from ppl.semantics.omega import Tape
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr, spread
from ppl.semantics.xla.outputs import numeric_parts
from ppl.semantics.xla.points import Policy
from ppl.semantics.xla.program import Bound, Data, particles
from ppl.semantics.xla.state import State
from ppl.semantics.xla.values import RValue
from ppl.verify.columns import RESULT, Columns, identified
from ppl.verify.recorded import Guarded, Twice, replayed, reused
from ppl.verify.rounding import single
from ppl.verify.runnable import Atom, Law, Runnable
from ppl.verify.subjects import wrong
from ppl.verify.tapes import SLACK, Budget, Choice, TooMany

Array = Any
#: choices of a path, and options of a choice, that there is room for at first
LENGTH, WIDTH = 32, 16
#: batches that are run before it is asked how many paths there may be
PATIENCE = 16
#: (mass, tape, log weight) of a row, by its bytes
Rows = dict[bytes, "Row"]


@dataclass(frozen=True)
class Runs:
    """n weighted runs. omega: the source after them. values: by name, arrays led by the particles:
    sites and what was bound by name by their paths, the result as `result` (or `result.0`, …).
    log_weights (n,), whose sum is the mass.
    """

    omega: Any
    values: Mapping[str, Array]
    log_weights: Array

    def take(self, ancestors: Array, log_weights: Array, omega: Any = None) -> Runs:
        """These runs of them, with new weights, and the source after they were chosen."""
        chosen = {k: jnp.take(v, ancestors, axis=0) for k, v in self.values.items()}
        return Runs(self.omega if omega is None else omega, chosen, log_weights)


@dataclass(frozen=True)
class Lanes:
    """A program in compiled code, as subjects are given it: see also `bound`, and its `data`."""

    bound: Bound
    data: Mapping[str, RValue]

    def forward(self, omega: Any, n: int) -> Runs:
        """n runs, each of mass 1/n times its scores."""
        axis = particles(n)
        result, weight, state = self.bound.forward(self.data, omega, (axis,))
        log_weights = spread(weight, (axis,)).data - jnp.log(n)
        return Runs(state.omega, values_of(result, state, n), log_weights)

    def sequential(
        self,
        omega: Any,
        n: int,
        policy: Policy,
        *,
        history: bool = True,
        guide: tuple[Bound, Data] | None = None,
    ) -> Runs:
        """n runs, between which the policy chooses at every suspension point. Without `history`
        loops with points keep their last step alone. A guide proposes: a program, and its data."""
        axis = particles(n)
        result, front, state = self.bound.sequential(
            self.data, omega, axis, policy, history=history, guide=guide
        )
        return Runs(state.omega, values_of(result, state, n), front.log_weights)


def values_of(result: RValue, state: State, n: int) -> dict[str, Array]:
    """Everything a run shows, led by the particles."""
    out: dict[str, Array] = {}
    for name, value in {**state.sites, **state.kept, RESULT: result}.items():
        for part, found in numeric_parts(name, value).items():
            if isinstance(found, Arr):  # what happens in loops without a bound is not compared
                out[part] = spread(found, (particles(n),)).data
    return out


@dataclass(frozen=True)
class Row:
    """Numbers that came out: their mass, and the tape that gives most of it."""

    numbers: np.ndarray
    mass: float
    most: float
    tape: tuple[int, ...]


def enumerated(
    run: Callable[[Lanes, Any], Any], model: Runnable, law: Law, budget: Budget
) -> list[tuple[Hashable, Row]]:
    """What comes out over all tapes, by the execution it is.

    Raises:
        TooMany, Reused: as of subjects on the machine. DiagnosticError: E742, E807, E708.
    """
    target = model.target.sampler
    with precision(None):
        sizes = tuple(jnp.shape(x) for x in jax.tree.leaves(target.data))
        enumerator, shapes = _enumerator(run, target.bound, sizes)
        found: Rows = {}
        left = budget.left
        try:
            for k, batch in enumerate(enumerator.batches(target.data, limit=left)):
                if k == PATIENCE and (n := enumerator.expected(target.data)) > SLACK * left:
                    raise TooMany(f"about {n:.1g} paths, and {left:,} may be run")
                budget.spend(len(batch.log_probability))
                _gather(found, batch)
        except Twice as twice:
            eager = partial(run, Lanes(target.bound, target.data))
            raise reused(eager, twice.path) from None
    columns = Columns(shapes)
    table = np.stack([row.numbers for row in found.values()]) if found else np.zeros((0, 0))
    keys = identified(table, columns, law.executions)
    if all(name.startswith(RESULT) for name in shapes):  # results alone
        keys = [Atom(None, key.result) for key in keys]
    return list(zip(keys, found.values(), strict=True))


@lru_cache(maxsize=8)
def _enumerator(
    run: Callable[[Lanes, Any], Any], bound: Bound, sizes: tuple[tuple[int, ...], ...]
) -> tuple[Enumerator, dict[str, tuple[int, ...]]]:
    """Of a subject on a program with data of these sizes, and the shapes of what comes out, known
    once it has been traced."""
    shapes: dict[str, tuple[int, ...]] = {}

    def once(data: Any, omega: Any) -> Any:
        out = checked(run(Lanes(bound, data), Guarded.of(omega)))
        n = out.log_weights.shape[0]
        shapes.clear()
        shapes.update({k: v.shape[1:] for k, v in out.values.items()})
        flat = [jnp.reshape(v, (n, -1)).astype(float) for v in out.values.values()]
        rows = jnp.concatenate(flat, axis=1) if flat else jnp.zeros((n, 0))
        return (out.log_weights, rows), out.omega.tape

    return Enumerator(once, length=LENGTH, width=WIDTH, batches=(1024,), quick=True), shapes


def checked(out: Any) -> Runs:
    if not isinstance(out, Runs):
        raise wrong(
            f"it gave {type(out).__name__}", "give `Runs`: the source, values, and log weights"
        )
    n = jnp.shape(out.log_weights)
    if len(n) != 1 or any(jnp.shape(v)[:1] != n for v in out.values.values()):
        raise wrong("log weights and values have other lengths", "both are led by the particles")
    return out


def _gather(found: Rows, batch: Any) -> None:
    """Add the rows of a batch of paths: equal ones are put together."""
    log_weights, rows = batch.outputs
    paths, n = log_weights.shape
    if not paths:
        return
    p = np.exp(batch.log_probability)
    masses = (p[:, None] * np.exp(log_weights)).ravel()
    if not np.all(np.isfinite(masses)):
        raise wrong("a weight is not finite", "a log weight is a number, or -inf")
    rows = rows.reshape(paths * n, -1) + 0.0  # of two zeros, one
    alive = masses > 0
    rows, masses = np.ascontiguousarray(rows[alive]), masses[alive]
    path = np.repeat(np.arange(paths), n)[alive]
    if not len(masses):
        return
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, group = np.unique(whole, return_index=True, return_inverse=True)
    total = np.bincount(group, masses)
    order = np.lexsort((masses, group))
    last = np.append(np.flatnonzero(np.diff(group[order])), len(order) - 1)
    for at, mass, best in zip(first, total, order[last], strict=True):
        tape = batch.tapes[path[best], : batch.used[path[best]]]
        new = Row(rows[at], float(mass), float(masses[best]), tuple(map(int, tape)))
        key = rows[at].tobytes()
        if (old := found.get(key)) is not None:
            best_of = new if new.most > old.most else old
            new = replace(best_of, mass=old.mass + new.mass)
        found[key] = new


def once_more(
    run: Callable[[Lanes, Any], Any], model: Runnable, tape: tuple[int, ...]
) -> tuple[Any, tuple[Choice, ...]]:
    """What the subject gives on a tape, operation by operation, and its choices."""
    target = model.target.sampler
    with precision(None):
        return replayed(lambda omega: run(Lanes(target.bound, target.data), omega), tape)


def in_single(run: Callable[[Lanes, Any], Any], model: Runnable) -> bool:
    """Whether the subject computes something in single precision."""
    target = model.target.sampler

    def once(data: Data, choices: Any) -> Any:
        tape = Tape.of(choices, WIDTH)
        return checked(run(Lanes(target.bound, data), Guarded.of(tape))).log_weights

    with precision(None):
        return single(once, target.data, jnp.zeros(LENGTH, jnp.int32))
