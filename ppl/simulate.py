"""Forward simulation on the machine: `ppl.prior` and `ppl.predict` for programs that run there.

The choices of a posterior that inference returned are taken path by path from its executions, with
what inference inside the program gave. A posterior read from a file has them by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from ppl.machine import Named, columns, observations
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution, Limits, MachineKey
from ppl.semantics.machine.forward import Forward, Given, Scoring, nothing
from ppl.semantics.machine.paths import Step, hash_of
from ppl.semantics.machine.state import FREE
from ppl.stacking import stacked
from ppl.target import Target

#: the step of the key that simulations draw with, which inference does not use
STEP = 2**32


def prior_on_machine(target: Target, draws: int, seed: int) -> Posterior:
    """Runs forward, all choices and observations drawn."""
    runs = _runs(target, [nothing] * draws, seed)
    executions = [e for e, _ in runs]
    named = {**columns(executions, target.holes), **_observed([o for _, o in runs])}
    return _posterior(target, executions, named, (1, draws), seed, "prior")


def predict_on_machine(posterior: Posterior, target: Target, seed: int) -> Posterior:
    """Runs forward with the choices of a posterior's draws, as many as it has."""
    shape = posterior.shape
    chosen: Any = np.indices(shape).reshape(2, -1)
    if posterior.log_weights is not None:
        chosen, shape = posterior.chosen(math.prod(shape), seed=seed), (1, math.prod(shape))
    runs = _runs(target, list(givens_of(posterior, *chosen)), seed)
    executions, holes = [e for e, _ in runs], {h.leaf.name for h in target.holes}
    drawn = columns(executions, target.holes) if holes else {}
    named = {k: v for k, v in drawn.items() if k in holes} | _observed([o for _, o in runs])
    return _posterior(target, executions, named, shape, seed, "predict")


def likelihood_on_machine(posterior: Posterior, target: Target, seed: int) -> dict[str, np.ndarray]:
    """The log probability of every observation given the choices of each draw: see
    `ppl.likelihood.log_likelihood`."""
    shape = posterior.shape
    chosen: Any = np.indices(shape).reshape(2, -1)
    runs = _runs(target, list(givens_of(posterior, *chosen)), seed, source=Scoring)
    scores = _observed([o for _, o in runs])
    return {k: np.nan_to_num(v, nan=0.0).reshape(*shape, *v.shape[2:]) for k, v in scores.items()}


def _runs(
    target: Target, givens: Sequence[Given], seed: int, *, source: type[Forward] = Forward
) -> list[tuple[Execution, Mapping[Any, Any]]]:
    target = target.sampler
    machine = target.watched
    run = machine.within(Limits()).runner(target.plain)
    out = []
    for i, given in enumerate(givens):
        omega = source(MachineKey(seed, STEP, i), given)
        out.append((run(omega), omega.made))
    return out


def _posterior(
    target: Target,
    executions: Sequence[Execution],
    draws: Mapping[str, np.ndarray],
    shape: tuple[int, int],
    seed: int,
    method: str,
) -> Posterior:
    return Posterior(
        draws={k: v.reshape(*shape, *v.shape[2:]) for k, v in draws.items()},
        result=stacked([e.result for e in executions], target.machine.type, shape),
        model=target.name,
        method=method,
        seed=seed,
        remarks=target.warnings,
        target=target,
    )


def _observed(made: Sequence[Mapping[Any, Any]]) -> dict[str, np.ndarray]:
    """Observations by name; a name that is observed twice at one place is numbered, `y#2`."""
    rows = (
        {(path, name if k == 1 else f"{name}#{k}"): v for (path, name, k), v in one.items()}
        for one in made
    )
    return observations(list(rows))


# ----------------------------------------------------------------------- choices of a posterior


def givens_of(posterior: Posterior, chains: Any, draws: Any) -> Iterator[Given]:
    """For each draw, its choices by the hash of their paths."""
    if isinstance(posterior.draws, Named):
        for chain, draw in zip(chains, draws, strict=True):
            e = posterior.draws.execution(chain, draw)
            values = e.trace.by_hash | e.nested.by_hash
            yield lambda path, family, values=values: values.get(path, FREE)
        return
    places = dict(_places(posterior))
    held = cache(lambda name: np.asarray(posterior.draws[name]))  # some are in a file
    for chain, draw in zip(chains, draws, strict=True):

        def given(path: int, family: Any, chain: int = chain, draw: int = draw) -> Any:
            if path not in places:
                return FREE
            name, index = places[path]
            return _value(held(name)[(chain, draw, *index)], family)

        yield given


def _places(posterior: Posterior) -> Iterator[tuple[int, tuple[str, tuple[int, ...]]]]:
    """Where the value of each path may be: the name of an array, and the index of the element.

    A name keeps the order of its steps and of its indices, not which come before which, so that
    every way to mix them is a path; those that the program does not have are never asked for.
    """
    for name, array in posterior.draws.items():
        base, _, rest = name.partition("[")
        written = tuple(int(i) for i in rest.rstrip("]").split(",")) if rest else ()
        if rest and "]/" in name or any(not s for s in base.split("/")):
            continue
        sizes = array.shape[2:]
        for depth in range(len(sizes) + 1):
            for index in np.ndindex(*sizes[:depth]):
                for path in _mixed(base.split("/"), (*written, *map(int, index))):
                    yield hash_of(path), (name, tuple(index))


def _mixed(names: Sequence[str], indices: Sequence[int]) -> Iterator[tuple[Step, ...]]:
    total = len(names) + len(indices)
    for at in combinations(range(total), len(indices)):
        n, i = iter(names), iter(indices)
        yield tuple((next(i),) if k in at else next(n) for k in range(total))


def _value(x: Any, family: Any) -> Any:
    """A number or array of a file as the machine's value; FREE where the draw did not have it."""
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise fail(
            "E896",
            f"this posterior holds draws of `{getattr(family, 'name', 'a measure')}` that are no "
            "numbers, and cannot predict",
            hint="predict from the posterior that inference returned",
        )
    if x.dtype.kind == "f" and np.isnan(x).any():
        return FREE
    if x.dtype.kind == "f" and family is not None and family.discrete:
        x = x.astype(bool if family.name.startswith("bernoulli") else int)
    return _tuples(x.tolist())


def _tuples(x: Any) -> Any:
    return tuple(map(_tuples, x)) if isinstance(x, list) else x
