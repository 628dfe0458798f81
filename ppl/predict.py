"""Forward simulation: draws from the prior, and predictions of new observations.

Both run the program forward with observations drawn instead of scored. A prediction takes the
random choices of a posterior where it has them and draws the others, so new groups and new rows
are predicted by a target with other data.

Values missing in the data are the posterior's, if it has all of them; else they are drawn anew,
from the distributions that they are observed under.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.engines import UNFIT, went_over
from ppl.holes import Holes
from ppl.methods import checked_seed
from ppl.model import Target
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.semantics.holes import Leaf
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.data import with_leaf
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.outputs import numeric_parts
from ppl.semantics.xla.program import ALL, Bound, particles
from ppl.semantics.xla.sites import draw, replayed
from ppl.semantics.xla.steps import check_room, with_room
from ppl.semantics.xla.values import spread_value
from ppl.simulate import predict_on_machine, prior_on_machine
from ppl.xla import named, posterior_of


def prior(target: Target, *, draws: int = 1000, seed: int = 0) -> Posterior:
    """Independent runs of the model forward, scores ignored: the law of every site and of the
    observations before any of them is seen.

    Raises:
        DiagnosticError: E801, a site has a density but no sampler.
    """
    seed = checked_seed(seed)
    if draws < 1:
        raise fail("E811", f"draws = {draws}: it must be at least 1")
    if target.model.engine.name == "machine":
        return prior_on_machine(target, draws, seed)
    try:
        return _simulate(target, {}, (1, draws), seed, method="prior")
    except DiagnosticError as error:
        (problem, *_) = error.diagnostics
        if problem.code not in UNFIT:
            raise
        return went_over(prior_on_machine(target, draws, seed), problem)


def predict(posterior: Posterior, target: Target, *, seed: int = 0) -> Posterior:
    """New observations for every draw of a posterior; by name, each (chain, draw, …).

    Weighted draws are first resampled, as many as there are. Sites that the posterior does not
    have, or has for other sizes, are drawn from the model given the rest; programs that run on the
    machine take them path by path, so that other data have to number groups in the same way.
    """
    seed = checked_seed(seed)
    if target.model.engine.name == "machine":
        return predict_on_machine(posterior, target, seed)
    if any(r.code == "W717" for r in posterior.remarks):  # XLA cannot run it after all
        return predict_on_machine(posterior, target, seed)
    if posterior.log_weights is not None:
        posterior = posterior.resample(int(np.prod(posterior.shape)), seed=seed)
    sites = gathered(posterior.draws)
    return _simulate(target, sites, posterior.shape, seed, method="predict")


def gathered(draws: Mapping[str, Any]) -> dict[str, Any]:
    """Elements that are columns of their own, as the machine has them (`d/e[0]`, `d/e[1]`), as
    arrays (`d/e`), missing where there is no column."""
    out: dict[str, Any] = {}
    elements: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name, v in draws.items():
        site, bracket, rest = name.partition("[")
        if bracket and rest.rstrip("]").replace(",", "").isdigit():
            at = tuple(map(int, rest.rstrip("]").split(",")))
            elements.setdefault(site, {})[at] = np.asarray(v)
        else:
            out[name] = v
    for site, columns in elements.items():
        first = next(iter(columns.values()))
        ranks, shapes = {len(i) for i in columns}, {v.shape for v in columns.values()}
        if len(ranks) == len(shapes) == 1 and site not in out and first.dtype.kind in "biuf":
            sizes = tuple(1 + max(i) for i in zip(*columns, strict=True))
            whole = np.full((*first.shape[:2], *sizes, *first.shape[2:]), np.nan)
            for i, v in columns.items():
                whole[(slice(None), slice(None), *i)] = v
            out[site] = whole
    return out


def _simulate(
    target: Target, sites: Any, shape: tuple[int, int], seed: int, *, method: str
) -> Posterior:
    n, holes = shape[0] * shape[1], target.holes
    known_holes = all(h.has_all(sites.get(h.leaf.name)) for h in holes)
    target = target.complete if known_holes else target.sampler
    leaves = tuple(h.leaf for h in holes) if known_holes else ()
    with precision():
        given = {k: jnp.asarray(v).reshape(n, *np.shape(v)[2:]) for k, v in sites.items()}
        filled = {h.leaf.name: h.fill(given[h.leaf.name]) for h in holes if known_holes}

        def simulated(bound: Bound) -> Any:
            out = _program(bound, n, leaves)(target.data, given, filled, seed)
            check_room(out, bound)
            return out

        known, observed, result, faults = with_room(target.bound, simulated)
        raise_faults(faults)
        drawn = {k: v for k, v in known.items() if not _is_observation(k)}
        if method == "predict":
            drawn = {k: v for k, v in drawn.items() if _is_hole(k, holes)}
        values = {**drawn, **observed}
        about = {"model": target.name, "method": method, "settings": {}, "seed": seed}
        return posterior_of(target, values, result, n, shape, **about)


def _is_observation(path: str) -> bool:
    """Whether a site is where an observation was drawn (`for/predict y`): they have names."""
    return any(step.startswith("predict ") for step in path.split("/"))


def _is_hole(path: str, holes: Sequence[Holes]) -> bool:
    """Whether a site is where values missing in the data were drawn."""
    return any(h.dimensions(path) is not None for h in holes)


@lru_cache(maxsize=32)
def _program(bound: Bound, n: int, leaves: tuple[Leaf, ...]) -> Callable[..., Any]:
    """`leaves` are the parts of the data that are given for every lane."""
    axes = (particles(n),)

    @jax.jit
    def run(data: Any, sites: Any, filled: Any, seed: Any) -> Any:
        data = dict(data)
        for leaf in leaves:
            values = Arr(filled[leaf.name], axes)
            data[leaf.param] = with_leaf(data[leaf.param], leaf.keys, values)
        given = {k: Arr(v, axes) for k, v in sites.items()}
        omega = Key(jax.random.fold_in(jax.random.key(seed), 0xF0))
        rule = replayed if given else draw
        result, state = bound.execute(
            data, rule=rule, omega=omega, axes=axes, given=given, record=ALL, predict=True
        )
        observed: dict[str, Any] = {}
        for name, value in state.observed.items():
            observed.update(numeric_parts(name, value))
        return spread_value((named(state), observed, result, state.faults), axes)

    return run
