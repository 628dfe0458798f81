"""Counterfactuals: what would have been, given what was.

    ppl.counterfactual(target, {"y": 1.3}, do={"x": 2})

Executions are inferred from the evidence, the noise of their random choices is found, and they run
again with the same noise and other values of some names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.engines import checked_limits
from ppl.infer import infer
from ppl.methods import as_method
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.machine.limits import Limits
from ppl.settings import listed
from ppl.target import Target, checked_target

#: executions that noise is drawn for where the posterior is a list of a few
DRAWS = 4_000


def counterfactual(
    target: Target,
    evidence: Mapping[str, Any] | None = None,
    *,
    do: Mapping[str, Any],
    method: Any = None,
    seed: int = 0,
    progress: bool = True,
    engine: str = "auto",
    limits: Limits | None = None,
) -> Posterior:
    """What would have been seen, given `evidence`, had the names in `do` had these values.

    1. Executions are inferred, by `method`, from the evidence and the model's own data: the
       posterior of `target.given(evidence)`.
    2. For each, the noise of every choice and observation is found: the one that gives its value
       under the parameters as they were. Where many noises do, one is drawn from their law.
    3. Each runs again with the names in `do` set. Every other choice takes the value that its noise
       gives under the parameters there, names of the evidence included, and so does every
       observation. Choices that were not made as it was are drawn.

    What is held fixed between the worlds is the noise of each family's noise map (see the
    reference): its quantile level, its standardised value, its Gumbels. Nothing else is.
    The weights, and the evidence, are those of the executions that were inferred; `factor`,
    `condition` and the scores of observations count in the world as it was only.

    Returns the choices, named values, observations (by their names) and result of the imagined
    world. A posterior that is an exact list of executions is repeated to about 4000 entries, since
    the noise of discrete choices is drawn. `limits` bound runs on the machine, as in `infer`.

    Raises:
        DiagnosticError: E855 to E859, a name or value does not fit (see `Target.do`), or noise
            cannot be kept; E725, a choice has other parameters in the imagined world, and a family
            without a noise map; what `infer` raises.
    """
    target, method = checked_target("counterfactual", target).itself, as_method(method)
    factual = target.given(evidence or {})
    settings = target.settings_for(do, scored=False)
    before = replace(target, settings=tuple(s for s in target.settings if not s.scored))
    name = f"{factual.name}.counterfactual({listed(settings)})"
    if target.holes:
        raise fail(
            "E859",
            "the data have holes, and what is drawn for them has no noise that could be kept",
            hint="leave the rows with holes out",
        )
    if engine == "machine" or (engine == "auto" and _for_machine(target)):
        from ppl.machine import imagined_on_machine

        budget = checked_limits(limits).begin()
        factual, before = replace(factual, budget=budget), replace(before, budget=budget)
        found = imagined_on_machine(method, factual, before, settings, seed, progress, draws=DRAWS)
        return replace(found, model=name)
    if engine == "xla" and target.unfit is not None:
        raise DiagnosticError(target.unfit)
    if engine == "xla" and _for_machine(target):
        raise fail(
            "E859",
            "XLA does not keep the noise of choices in loops and recursion without a bound",
            hint="leave the choice to the compiler: engine='auto'",
        )
    seen = infer(factual, method, seed=seed, progress=progress, engine=engine, limits=limits)
    if seen.exact:
        seen = _repeated(seen)
    from ppl.reruns import imagined_on_xla  # imports JAX

    return replace(imagined_on_xla(before, settings, seen, seed), model=name)


def _for_machine(target: Target) -> bool:
    """Whether the machine is what finds the noise of all choices: XLA does not keep those of loops
    without a bound by path."""
    if target.model.engine.name == "machine" or target.unfit is not None:
        return True
    return any(n.shape is None and n.choice is not None for n in target.names.values())


def _repeated(seen: Posterior) -> Posterior:
    """A list of executions, each as often as it takes for about `DRAWS` in all."""
    n = seen.shape[1]
    times = max(1, DRAWS // n)

    def again(a: Any) -> np.ndarray:
        return np.repeat(np.asarray(a), times, axis=1)

    return replace(
        seen,
        draws={k: again(v) for k, v in seen.draws.items()},
        log_weights=again(seen.log_weights),
        result=None,
        exact=False,
    )
