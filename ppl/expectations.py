"""Expectations under a posterior, with control variates made of its density's gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.convergence import convergence
from ppl.inference.control_variates import adjusted, controls
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import fail
from ppl.target import Target, checked_target

Function = str | Sequence[str] | Callable[[Mapping[str, np.ndarray]], Any]

#: draws that there have to be for every coefficient of the regression
PER_COEFFICIENT = 5


@dataclass(frozen=True)
class Expectation:
    """`mean` of a function and its standard error `se`, of the function's shape; `plain_mean` and
    `plain_se` are those of the draws alone."""

    mean: np.ndarray
    se: np.ndarray
    plain_mean: np.ndarray
    plain_se: np.ndarray


def expect(
    posterior: Posterior, f: Function, target: Target, *, degree: int = 1, seed: int = 0
) -> Expectation:
    """E[f] under the posterior, by regression on functions of the score of known mean 0.

    `f` is the name of a draw (or several, stacked along a new last axis), or a function of all
    draws by name, each (chain, draw, …), that gives an array (chain, draw, …). Polynomials of
    `degree` 1 or 2 of the free coordinates make the control variates (Mira, Solgi and Imparato,
    2013); the second kind is many. The result is as good as exact where the posterior is close to
    Gaussian in free coordinates and f close to a polynomial of them.

    Standard errors are by effective sample sizes for chains; for weighted draws by the spread
    between populations, if there are several, else as if draws were independent. `seed` is for
    coordinates of choices that a draw did not make.

    Raises:
        DiagnosticError: E897, there is no score, f is not finite, or draws are too few; E811, E891.
    """
    from ppl.semantics.precision import precision

    target = checked_target("expect", target)
    if degree not in (1, 2):
        raise fail("E811", f"degree = {degree!r}: it must be 1 or 2")
    values = _values(posterior, f)
    shape, n = values.shape[2:], int(np.prod(posterior.shape))
    flat = values.reshape(n, -1)
    weights = posterior.weights.ravel()
    _check(posterior, target, flat[weights > 0])
    with precision():
        u, score = _scores(posterior, target, n, seed)
    alive = weights > 0
    if not np.all(np.isfinite(score[alive])):
        raise _refused("the gradient of the log density is not finite at every draw")
    score, u = np.where(alive[:, None], score, 0.0), np.where(alive[:, None], u, 0.0)
    flat = np.where(alive[:, None], flat, 0.0)
    columns = controls(u, score, degree)
    if alive.sum() < PER_COEFFICIENT * (columns.shape[1] + 1):
        raise _refused(
            f"{alive.sum()} draws are too few for {columns.shape[1]} control variates",
            hint="take more draws" + (", or degree=1" if degree == 2 else ""),
        )
    better = adjusted(flat, columns, weights)
    plain = weights @ flat
    return Expectation(
        better.mean.reshape(shape),
        _errors(posterior, better.residual).reshape(shape),
        plain.reshape(shape),
        _errors(posterior, flat - plain).reshape(shape),
    )


def _values(posterior: Posterior, f: Function) -> np.ndarray:
    """The function at every draw, (chain, draw, …)."""
    if isinstance(f, str):
        values = posterior[f]
    elif callable(f):
        values = np.asarray(f(posterior.named))
    else:
        values = np.stack([posterior[name] for name in f], axis=-1)
    if values.shape[:2] != posterior.shape:
        raise _refused(
            f"the function gives an array of shape {values.shape}, not one led by "
            f"{posterior.shape}, (chain, draw)"
        )
    return np.asarray(values, float)


def _check(posterior: Posterior, target: Target, values: np.ndarray) -> None:
    if not np.all(np.isfinite(values)):
        raise _refused("the function is not finite at every draw")
    if posterior.exact:
        raise _refused("the posterior is exact", hint="its weighted means are the expectations")
    if target.model.engine.name == "machine":
        raise _refused("the program runs on the machine, where there are no gradients")
    if target.holes:
        raise _refused("values are missing in the data", hint="draw them in the model")


def _scores(posterior: Posterior, target: Target, n: int, seed: int) -> Any:
    from ppl.inference.scores import scores  # imports JAX
    from ppl.replays import gathered

    density = target.density
    if density.size == 0:
        raise _refused("there is no continuous choice")
    sites = {
        name: np.reshape(v, (n, *np.shape(v)[2:]))
        for name, v in gathered(posterior.draws).items()
        if np.asarray(v).dtype.kind in "biuf"
    }
    return scores(target.bound, density, target.data, sites, n, seed=seed)


def _errors(posterior: Posterior, residual: np.ndarray) -> np.ndarray:
    """Standard errors of means, of what is left at each draw (n, m), which has mean 0."""
    chains, length = posterior.shape
    by_chain = residual.reshape(chains, length, -1)
    if posterior.log_weights is None:
        size = convergence(by_chain).ess_bulk
        constant = np.ptp(residual, axis=0) == 0
        sizes = np.where(constant, len(residual), size)
        return residual.std(axis=0, ddof=1) / np.sqrt(sizes)
    weighted = posterior.weights[..., None] * by_chain
    if chains > 1:
        return np.sqrt(np.sum(weighted.sum(axis=1) ** 2, axis=0) * chains / (chains - 1))
    return np.sqrt(np.sum(weighted**2, axis=(0, 1)))


def _refused(why: str, *, hint: str | None = None) -> Exception:
    return fail("E897", f"there are no control variates for this expectation: {why}", hint=hint)
