"""Inference for programs that run on the machine: executions, one by one, as a posterior.

Random structure gives executions with different sites. A name that every execution holds on the
same grid of indices is one array, led by the draws; otherwise each of its elements is a column of
its own (`zs[2]/stop`), missing (NaN) in the executions that do not have it. Results that are no
numbers are arrays of Python objects.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ppl.holes import Holes
from ppl.methods import name_of, settings_of
from ppl.posterior import Interrupted, Posterior
from ppl.runs import METHODS, runs
from ppl.semantics.diagnostics import Diagnostic, fail, suggest
from ppl.semantics.engine import Engine
from ppl.semantics.machine import Execution, MachineKey
from ppl.semantics.machine.imagine import Imagined, Replayed, names_of
from ppl.semantics.machine.paths import Path, split
from ppl.settings import Setting
from ppl.stacking import filled, numbers, rectangular, stacked
from ppl.target import Target
from ppl.weighted_runs import Runs, Stopped


def infer_on_machine(
    method: Any, target: Target, seed: int, progress: bool, checkpoint: pathlib.Path | None = None
) -> Posterior:
    """The posterior of a program that only the machine runs.

    Raises:
        DiagnosticError: E712, the method needs XLA; it says what in the program does not run there;
            E843, E847, E848, a limit of the target's budget was reached.
        Interrupted: a KeyboardInterrupt stopped it after some draws, which its `posterior` has.
    """
    if name_of(method) not in METHODS:
        raise refused(name_of(method), target.model.name, target.model.engine)
    try:
        found = runs(method, target, seed, progress, checkpoint)
    except Stopped as stop:
        posterior = posterior_of_runs(method, target, stop.runs, seed=seed)
        remark = Diagnostic("W896", f"stopped by the user with {stop.made}")
        raise Interrupted(replace(posterior, remarks=(*posterior.remarks, remark))) from None
    return posterior_of_runs(method, target, found, seed=seed)


def refused(method: str, model: str, engine: Engine) -> Exception:
    """What to say of a method that cannot treat a program."""
    return fail(
        "E712",
        f"`{method}` runs on XLA, which cannot run `{model}`",
        span=engine.reasons[0].span if engine.reasons else None,
        notes=engine.reasons[:4],
        hint="infer with smc, mcmc or importance, or with exact if all random choices have "
        "finitely many values",
    )


def posterior_of_runs(method: Any, target: Target, found: Runs, *, seed: int) -> Posterior:
    """The posterior of executions."""
    shape = found.chains, len(found.executions) // found.chains
    result = stacked([e.result for e in found.executions], target.model.machine.type, shape)
    chains = found.chains > 1 or bool(found.stats)
    return Posterior(
        draws=Named(found, target.holes),
        result=result,
        stats=found.stats,
        log_weights=None if chains else found.log_weights[None],
        evidence=found.evidence,
        evidence_se=found.evidence_se,
        exact=found.exact,
        seed=seed,
        model=target.name,
        method=name_of(method),
        settings=settings_of(method),
        remarks=(*target.warnings, *_unmet(target, found)),
        target=target.itself,
        standing=found.waiting,
        points=found.points,
    )


def imagined_on_machine(
    method: Any,
    factual: Target,
    before: Target,
    settings: Sequence[Setting],
    seed: int,
    progress: bool,
    *,
    draws: int,
) -> Posterior:
    """The executions of `factual` as they would have been, had `settings` been made besides those
    of `before`: see `ppl.counterfactual`. A list of all executions is repeated to about `draws`."""
    if name_of(method) not in METHODS:
        raise refused(name_of(method), factual.model.name, factual.model.engine)
    found = runs(method, factual, seed, progress)
    times = max(1, draws // len(found.executions)) if found.exact else 1
    alive = np.flatnonzero(found.log_weights > -np.inf)
    if not alive.size:
        raise fail(
            "E895",
            "every execution has weight zero, so that there is nothing to imagine",
            hint="no execution agrees with the evidence: look at the model's supports and data",
        )
    base, after = before.sampler, replace(before.sampler, settings=(*before.settings, *settings))
    replay, imagine = base.watched.runner(after.plain), after.machine.runner(after.plain)
    executions: list[Execution] = []
    observed: list[Mapping[tuple[Path, str], Any]] = []
    for i in alive:
        trace = found.again(int(i)).trace
        seen = Replayed(trace)
        replay(seen)
        for k in range(times):
            omega = Imagined(seen.laws, names_of(trace), MachineKey(seed, 1, int(i) * times + k))
            executions.append(imagine(omega))
            observed.append(omega.made)
    weights = np.repeat(found.log_weights[alive], times)
    other = Runs(executions, weights, executions.__getitem__, found.evidence, found.evidence_se)
    posterior = posterior_of_runs(method, after, other, seed=seed)
    return replace(posterior, draws={**observations(observed), **posterior.draws})


def observations(made: Sequence[Mapping[tuple[Path, str], Any]]) -> dict[str, np.ndarray]:
    """Observations by their names, of the shape of the loops they were made in."""
    rows: dict[str, list[dict[tuple[int, ...], Any]]] = {}
    for at, observed in enumerate(made):
        for (path, name), value in observed.items():
            indices = split(path)[1]
            for part, leaf in numbers(str(name), _array(value)):
                if part not in rows:
                    rows[part] = [{} for _ in made]
                rows[part][at][indices] = leaf
    out: dict[str, np.ndarray] = {}
    for name, row in rows.items():
        out |= _column(name, row)
    return out


def _unmet(target: Target, found: Runs) -> Iterator[Diagnostic]:
    """What to say of names that were set, and that no execution came to."""
    if not target.settings:
        return
    met = {split(p)[0] for e in found.named for p in (*e.trace, *e.kept_paths)}
    for path in dict.fromkeys(s.path for s in target.settings):
        if path not in met:
            message = f"no execution came to `{path}`, so setting it changed nothing"
            yield Diagnostic("W855", message, hint=suggest(path, sorted(met)))


# ----------------------------------------------------------------------------------- named values


class Named(Mapping[str, np.ndarray]):
    """Every named value by its name, worked out when the first is asked for."""

    def __init__(self, found: Runs, holes: Sequence[Holes]):
        self._found, self._holes = found, holes

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        chains = self._found.chains
        whole = columns(self._found.named, self._holes)
        return {k: v.reshape(chains, v.shape[1] // chains, *v.shape[2:]) for k, v in whole.items()}

    @property
    def scores(self) -> np.ndarray:
        """The sums of the scores of all executions (draws,)."""
        return np.array([e.log_weight for e in self._found.executions])

    def execution(self, chain: int, draw: int) -> Execution:
        """The execution of a draw, with its names."""
        per_chain = len(self._found.executions) // self._found.chains
        return self._found.named[int(chain) * per_chain + int(draw)]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def columns(executions: Sequence[Execution], holes: Sequence[Holes] = ()) -> dict[str, np.ndarray]:
    """Every named value, by its name without indices where its elements form a grid; what was drawn
    for holes in data by the data's name, of their shape."""
    found: dict[str, list[dict[tuple[int, ...], Any]]] = {}
    filled = {h: np.full((1, len(executions), *h.shape), np.nan) for h in holes}
    for at, e in enumerate(executions):
        for name, indices, leaf in leaves_of(e):
            hole = next(((h, k) for h in holes if (k := h.place(name, indices)) is not None), None)
            if hole is not None:
                filled[hole[0]][(0, at, *hole[1])] = leaf
                continue
            if name not in found:
                found[name] = [{} for _ in executions]
            found[name][at][indices] = leaf
    out: dict[str, np.ndarray] = {}
    for name, rows in found.items():
        out |= _column(name, rows)
    return out | {h.leaf.name: values for h, values in filled.items()}


def leaves_of(e: Execution) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """The numbers and arrays of numbers that an execution names: by name, and indices of loops."""
    kept = e.kept_paths
    values: dict[Path, Any] = {
        p: _array(v) for p, v in e.trace.items() if not _is_element(p, kept)
    } | dict(kept)
    for path, value in values.items():
        name, indices = split(path)
        if any(type(i) is not int for i in indices):  # a memoised function of other keys
            name, indices = f"{name}[{', '.join(map(str, indices))}]", ()
        for part, leaf in numbers(name, value):
            yield part, indices, leaf


def _is_element(path: Path, kept: Mapping[Path, Any]) -> bool:
    """Whether a choice is an element of an array of numbers that a name is bound to."""
    end = len(path)
    while end and isinstance(path[end - 1], tuple):
        end -= 1
        value = kept.get(path[:end])
        if isinstance(value, list) and rectangular(value) is not None:
            return True
    return False


def _array(x: Any) -> Any:
    """A draw of an array, which the machine holds as tuples, as lists."""
    return [_array(v) for v in x] if type(x) is tuple else x


def _column(name: str, rows: list[dict[tuple[int, ...], Any]]) -> dict[str, np.ndarray]:
    held = [row for row in rows if row]
    grid = _grid(held[0])
    shapes = {leaf.shape for row in held for leaf in row.values()}
    if grid is not None and len(shapes) == 1 and all(row.keys() == held[0].keys() for row in held):
        return {name: filled(rows, grid, *shapes)}
    out = {}
    for indices in sorted({i for row in held for i in row}):
        shown = f"{name}[{','.join(map(str, indices))}]" if indices else name
        own = [{(): row[indices]} if indices in row else {} for row in rows]
        shapes = {row[()].shape for row in own if row}
        if len(shapes) == 1:
            out[shown] = filled(own, (), *shapes)
    return out


def _grid(row: Mapping[tuple[int, ...], Any]) -> tuple[int, ...] | None:
    """The sizes of a full grid of indices from 0, if that is what there is."""
    ranks = {len(i) for i in row}
    if len(ranks) != 1:
        return None
    sizes = tuple(max(column) + 1 for column in zip(*row, strict=True))
    return sizes if np.prod(sizes, dtype=int) == len(row) else None
