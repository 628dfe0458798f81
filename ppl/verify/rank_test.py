"""The rank test of Gandy and Scott for Markov kernels on a user's own model.

Parameters and data are drawn from the model, so that the parameters are a draw from the posterior
given the data. They become the state of a chain at a random time: from there the kernel goes on to
the end, and its reverse back to the beginning. If the posterior is invariant, the chain is
stationary, and no state can tell that the chain was begun with it: the rank of anything computed
from it, among the same of all others, is even, however slowly the chain mixes. Gandy and Scott,
"Unit testing for MCMC and other Monte Carlo methods" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import MachineKey
from ppl.semantics.machine.forward import Forward
from ppl.semantics.machine.paths import Path, hash_of
from ppl.target import Target, checked_target
from ppl.verify.calibration import makes_its_data, not_made
from ppl.verify.checking import judged
from ppl.verify.contracts import Invariant
from ppl.verify.ranks import even, rank
from ppl.verify.runnable import Runnable
from ppl.verify.sequential import Plan, decide, seed_of
from ppl.verify.statistics import JOINT, numbers_of
from ppl.verify.subjects import Kernel, execution_of
from ppl.verify.verdict import Report, Verdict


def rank_test(
    kernel: Kernel | Callable[[Any, Any, Any], Any],
    target: Target,
    *,
    reverse: Callable[[Any, Any, Any], Any] | None = None,
    length: int = 15,
    plan: Plan | None = None,
) -> Verdict:
    """Whether a kernel on executions keeps the posterior of a model, whatever its data are.

    reverse: the kernel backwards in time; a reversible one is its own. length: steps of a chain.
    The data that `target` was given are replaced by simulated ones of the same sizes.

    Raises:
        DiagnosticError: E749, the model does not make its data; E742, the kernel does not keep to
            its protocol; E746, the length.
    """
    if length < 1:
        raise fail("E746", f"length = {length}: there must be at least 1 step")
    target, plan = checked_target("rank_test", target), plan or Plan(alpha=1e-3, trials=400)
    makes_its_data(target)
    kernel = kernel if isinstance(kernel, Kernel) else Kernel(kernel)
    source = Runnable.of(target).source
    seed = seed_of(source, target.values, kernel.run, reverse, length)

    def trial(s: int) -> dict[str, int]:
        rng = np.random.default_rng(seed_of(s, "time"))
        chain = _chain(
            kernel, reverse or kernel.run, target, length, int(rng.integers(length + 1)), s
        )
        first, *others = chain
        names = [k for k in first if all(k in x for x in others)]
        return {k: rank(first[k], [x[k] for x in others], rng) for k in names}

    common = trial(seed_of(seed, "pilot"))
    for i in range(3):  # numbers that every execution has
        made = trial(seed_of(seed, "pilot", i))
        common = {k: v for k, v in common.items() if k in made}
    statistics = [even(k, length, lambda t, k=k: t.get(k, 0)) for k in common]
    decision = decide(trial, statistics, plan, seed)
    report = Report(
        "calibration", trials=decision.trials, compared=len(statistics), alpha=plan.alpha**2,
        not_covered=("errors that show on data of other sizes",),
    )  # fmt: skip
    return judged(decision, Invariant(), report, source)


def _chain(
    kernel: Kernel, back: Any, target: Target, length: int, time: int, seed: int
) -> list[Mapping[str, float]]:
    """Numbers of all states, that of time `time` first."""
    trace, made = _simulated(target, MachineKey(seed_of(seed, "model")))
    model = Runnable.of(made)
    start = model.replay(trace) if kernel.begin is None else kernel.begin(model, _Given(trace))
    out = [_numbers(model, start)]
    for step, steps, name in ((kernel.run, length - time, "on"), (back, time, "back")):
        state = start
        for i in range(steps):
            state = step(model, state, MachineKey(seed_of(seed, name, i)))
            out.append(_numbers(model, state))
    return out


def _numbers(model: Runnable, state: Any) -> Mapping[str, float]:
    execution = execution_of(state)
    log = model.replay(execution.trace).log_weight
    return numbers_of(dict(execution.sites)) | {JOINT: log}


class _Given:
    """A source that gives every choice of a trace its value."""

    def __init__(self, trace: Mapping[Path, Any]):
        self.values = {hash_of(path): value for path, value in trace.items()}

    def at(self, step: int, slot: int) -> _Given:
        return self

    def begin(self, state: Any) -> Any:
        return lambda path, family, args: self.values[path]

    def mark(self) -> None:
        """Nothing changes in a run."""

    def restore(self, mark: Any) -> None:
        """Nothing to restore."""


def _simulated(target: Target, key: MachineKey) -> tuple[Mapping[Path, Any], Target]:
    """Choices from the prior, and the target with data that they generate."""
    machine = target.watched
    omega = Forward(key)
    execution = machine.run(machine.bind(target.plain), omega)
    values = dict(target.values)
    for name in {name for _, name, _ in omega.made}:
        old = np.asarray(values[name])
        new = np.full(old.shape, np.nan)
        for (path, other, number), value in omega.made.items():
            index = tuple(step[0] for step in path if isinstance(step, tuple))
            if other == name and number == 1 and np.shape(value) == old.shape[len(index) :]:
                new[index] = value
        if np.isnan(new).any():
            raise not_made(f"only a part of `{name}` is observed")
        values[name] = new.astype(old.dtype)
    return execution.trace, replace(target.model(**values), settings=target.settings)
