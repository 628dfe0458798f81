"""The log-likelihood of each observation, in every draw of a posterior.

What leave-one-out cross-validation and WAIC are made of (Vehtari, Gelman & Gabry, "Practical
Bayesian model evaluation using leave-one-out cross-validation and WAIC", 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.holes import Holes
from ppl.methods import checked_seed
from ppl.model import Target
from ppl.posterior import Posterior
from ppl.predict import gathered
from ppl.semantics.holes import Leaf
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.data import with_leaf
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.outputs import numeric_parts
from ppl.semantics.xla.program import Bound, particles
from ppl.semantics.xla.sites import draw, replayed
from ppl.semantics.xla.steps import by_name, check_room, with_room
from ppl.semantics.xla.values import spread_value
from ppl.simulate import likelihood_on_machine

RECORD = frozenset(("elements", "faults"))


def log_likelihood(posterior: Posterior, target: Target, *, seed: int = 0) -> dict[str, np.ndarray]:
    """The log probability (density) of every observation given the choices of each draw.

    By name, each (chain, draw, …) of the shape of what was observed, independent elements of
    arrays apart: `observe y ~ normal(m, s)` gives one number for each y. An observation that a run
    did not make, and a value missing in the data, count 0; `factor` is no observation.
    Discrete choices count as they were drawn, also those that inference summed out.

    Choices that the posterior does not have, or has for other sizes, are drawn from the model given
    the rest, so that other data can be scored.
    """
    seed = checked_seed(seed)
    if target.model.engine.name == "machine" or any(
        r.code == "W717" for r in posterior.remarks
    ):  # W717: XLA cannot run it after all
        return _without_holes(target.holes, likelihood_on_machine(posterior, target, seed))
    shape, sites = posterior.shape, gathered(posterior.draws)
    n, holes = shape[0] * shape[1], target.holes
    filled = all(h.has_all(sites.get(h.leaf.name)) for h in holes)
    target = target.complete if filled else target.sampler
    leaves = tuple(h.leaf for h in holes) if filled else ()
    with precision():
        given = {k: jnp.asarray(v).reshape(n, *np.shape(v)[2:]) for k, v in sites.items()}
        data = {h.leaf.name: h.fill(given[h.leaf.name]) for h in holes if filled}

        def scored(bound: Bound) -> Any:
            out = _program(bound, n, leaves)(target.data, given, data, seed)
            check_room(out, bound)
            return out

        found, faults = with_room(target.bound, scored)
        raise_faults(faults)
        scores = {k: np.asarray(v.data) for k, v in by_name(found).items()}
    made = {k: np.where(np.isnan(v), 0.0, v) for k, v in scores.items()}
    out = {k: v.reshape(*shape, *v.shape[1:]) for k, v in made.items()}
    return _without_holes(holes, out)


def _without_holes(holes: Sequence[Holes], scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of what was there."""
    missing = {h.leaf.name: h.missing for h in holes}
    same = {k for k, m in missing.items() if k in scores and scores[k].shape[2:] == m.shape}
    return {k: np.where(missing[k], 0.0, v) if k in same else v for k, v in scores.items()}


@lru_cache(maxsize=32)
def _program(bound: Bound, n: int, leaves: tuple[Leaf, ...]) -> Callable[..., Any]:
    """`leaves` are the parts of the data that are given for every lane."""
    axes = (particles(n),)

    @jax.jit
    def run(data: Any, sites: Mapping[str, Any], filled: Any, seed: Any) -> Any:
        data = dict(data)
        for leaf in leaves:
            data[leaf.param] = with_leaf(data[leaf.param], leaf.keys, Arr(filled[leaf.name], axes))
        given = {k: Arr(v, axes) for k, v in sites.items()}
        omega = Key(jax.random.fold_in(jax.random.key(seed), 0xF1))
        rule = replayed if given else draw
        _, state = bound.execute(
            data, rule=rule, omega=omega, axes=axes, given=given, record=RECORD
        )
        scores: dict[str, Any] = {}
        for name, score in state.observed.items():
            scores.update(numeric_parts(name, score))
        return spread_value((scores, state.faults), axes)

    return run
