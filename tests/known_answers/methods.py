"""How an answer is checked, by method. A method takes a case by its traits; it is a line here.

Exact methods are compared to 1e-10, or to equal fractions. For the others every difference is
divided by its standard error; |z| must be below `LIMIT`, which fails with probability 7e-6 had the seed
been random (for all of the corpus together: with less than 1 %). What a check could have seen
is bounded as well (`effect`): an error of the evidence by a quarter, or of a mean by a quarter of the
posterior's standard deviation (0.4 of it for `smc`), is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm as normal
from scipy.stats import t as student_t

import ppl
from ppl import kernels
from ppl.convergence import convergence
from ppl.semantics.machine import enumerate_paths
from tests.known_answers.case import Case
from tests.oracles.compare import plain
from tests.semantics.xla.running import row

TOLERANCE = 1e-10
LIMIT = 4.5
SEED = 5


@dataclass(frozen=True)
class Method:
    """`check(case, target)` raises if the answer is wrong."""

    name: str
    takes: Callable[[Case], bool]
    check: Callable[[Case, ppl.Target], None]


def needs(*wanted: str, without: str = "") -> Callable[[Case], bool]:
    return lambda case: case.traits.issuperset(wanted) and not case.traits & set(without.split())


# ----------------------------------------------------------------------------------------- exact


def exact(case: Case, posterior: ppl.Posterior) -> None:
    assert np.exp(posterior.log_evidence) == pytest.approx(float(case.evidence), rel=TOLERANCE)
    weights = posterior.weights[0]
    for name, (f, expected) in case.means.items():
        mean = np.tensordot(weights, np.asarray(f(posterior.result))[0], 1)
        assert mean == pytest.approx(np.asarray(expected, float), abs=TOLERANCE), name
    if case.law is not None:
        law: defaultdict[Any, float] = defaultdict(float)
        for i, w in enumerate(weights):
            law[plain(row(posterior.result, i))] += w
        found = {k: p for k, p in law.items() if p}
        assert found == pytest.approx({k: float(p) for k, p in case.law.items()}, abs=TOLERANCE)


def exact_on_xla(case: Case, target: ppl.Target) -> None:
    exact(case, ppl.infer(target, ppl.exact(), progress=False))


def exact_on_machine(case: Case, target: ppl.Target) -> None:
    exact(case, ppl.infer(target, ppl.exact(), progress=False, engine="machine"))


def discrete_filter(case: Case, target: ppl.Target) -> None:
    """With more particles than there are paths it enumerates them."""
    method = ppl.smc(particles=20_000, scheme="optimal")
    exact(case, ppl.infer(target, method, progress=False))


def rational(case: Case, target: ppl.Target) -> None:
    law: defaultdict[Any, Fraction] = defaultdict(Fraction)
    for path in enumerate_paths(target.model.machine, target.values, rational=True):
        law[plain(path.execution.result)] += path.weight
    total = sum(law.values())
    assert total == case.evidence
    assert {k: p / total for k, p in law.items()} == case.law


def sums(case: Case, target: ppl.Target) -> None:
    """Elimination, forced by a budget of one path."""
    posterior = ppl.infer(target, ppl.exact(paths=1, draws=1), progress=False)
    assert np.exp(posterior.log_evidence) == pytest.approx(float(case.evidence), rel=TOLERANCE)
    for site, expected in case.marginals.items():
        assert posterior.marginals[site] == pytest.approx(expected, abs=TOLERANCE), site


# -------------------------------------------------------------------------------------- sampling


def z(name: str, error: float, se: float, effect: float, limit: float = LIMIT) -> None:
    """`error` against its standard error; what is called seen is `limit` standard errors."""
    assert limit * se <= effect, f"{name}: blind to errors below {limit * se:.2g}"
    assert abs(error) < limit * se + 1e-12, f"{name}: off by {error:.4g}, z = {error / se:.2f}"


def means_of(case: Case, result: Any, alive: np.ndarray) -> list[tuple[str, np.ndarray, float]]:
    """(name, values at the draws that are alive, expectation) of what has a known mean."""
    out = []
    for name, (f, expected) in case.means.items():
        values = np.asarray(f(result), float)[alive].reshape(alive.sum(), -1)
        known = np.ravel(np.asarray(expected, float))
        out += [(name, v, k) for v, k in zip(values.T, known, strict=True)]
    if case.law is not None:
        rows = [plain(row(result, i)) for i in np.flatnonzero(alive[0])]
        for value, p in case.law.items():
            out.append((f"P({value})", np.array([float(r == value) for r in rows]), float(p)))
        assert set(rows) <= case.law.keys(), set(rows) - case.law.keys()
    return out


def weighted(case: Case, result: Any, log_weights: np.ndarray) -> None:
    """Proper weighting: E w = evidence, and E w (f - E f) = 0."""
    w = np.exp(log_weights)
    n, total = len(w), float(case.evidence)
    z("evidence", w.mean() - total, w.std(ddof=1) / np.sqrt(n), 0.2 * total)
    for name, values, known in means_of(case, result, w[None] > 0):
        terms = np.zeros(n)
        terms[w > 0] = w[w > 0] * (values - known) / total
        if name.startswith("P(") and known * n < 50:
            continue  # too rare for a normal approximation
        sd = np.sqrt(np.mean(w[w > 0] * (values - known) ** 2 / total) * np.mean(w > 0))
        z(name, terms.mean(), terms.std(ddof=1) / np.sqrt(n), 0.25 * sd)


def importance_on_xla(case: Case, target: ppl.Target) -> None:
    method = ppl.importance(particles=20_000)
    posterior = ppl.infer(target, method, seed=SEED, progress=False)
    weighted(case, posterior.result, posterior.log_weights[0])


def importance_on_machine(case: Case, target: ppl.Target) -> None:
    method = ppl.importance(particles=4_000)
    posterior = ppl.infer(target, method, seed=SEED, progress=False, engine="machine")
    weighted(case, posterior.result, posterior.log_weights[0])


def smc(case: Case, target: ppl.Target, method: Any = None) -> None:
    """As `weighted`, of independent populations: the estimate of the evidence times the population's
    mean of f - E f has mean 0. Their spread is estimated, so that the limit is Student's t."""
    populations, total = 40, float(case.evidence)
    limit = float(student_t.isf(normal.sf(LIMIT), populations - 1))
    masses, terms, spread = [], defaultdict(list), defaultdict(float)
    for seed in range(populations):
        posterior = ppl.infer(target, method or ppl.smc(particles=100), seed=seed, progress=False)
        mass = np.exp(posterior.log_evidence) / total
        masses.append(mass)
        alive = posterior.weights > 0
        w = posterior.weights[alive]
        for name, values, known in means_of(case, posterior.result, alive):
            if name.startswith("P(") and known < 0.02:
                continue  # too rare for a normal approximation
            terms[name].append(mass * (w @ (values - known)))
            spread[name] += mass * (w @ (values - known) ** 2) / populations
    for name, xs in {"evidence": np.subtract(masses, 1), **terms}.items():
        se = np.std(xs, ddof=1) / np.sqrt(populations)
        effect = 0.25 if name == "evidence" else 0.4 * np.sqrt(spread[name])
        z(name, float(np.mean(xs)), se, effect, limit)


def backwards(case: Case, target: ppl.Target) -> None:
    smc(case, target, ppl.smc(particles=100, trajectories=100))


def parameters_and_states(case: Case, target: ppl.Target) -> None:
    smc(case, target, ppl.smc2(parameters="first", particles=25, states=4, moves=1, acceptance=0))


def resample_move(case: Case, target: ppl.Target) -> None:
    smc(case, target, ppl.rmsmc(particles=80))


def chains(case: Case, posterior: ppl.Posterior) -> None:
    """Means of draws from the posterior, by effective sample sizes."""
    everything = np.ones(posterior.shape, bool)
    for name, values, known in means_of(case, posterior.result, everything):
        if name.startswith("P("):
            continue  # the means tell of chains; values of the whole result may be too rare
        draws = values.reshape(*posterior.shape, 1)
        se = values.std(ddof=1) / np.sqrt(convergence(draws).ess_bulk[0])
        z(name, values.mean() - known, se, 0.25 * values.std())


def nuts(case: Case, target: ppl.Target) -> None:
    method = ppl.nuts(chains=2, draws=1_000, warmup=500)
    chains(case, ppl.infer(target, method, seed=SEED, progress=False))


def tempered_smc(case: Case, target: ppl.Target) -> None:
    """As `smc`: of independent populations, which are the replicas of one run."""
    replicas, total = 40, float(case.evidence)
    method = ppl.tempered_smc(particles=100, replicas=replicas, kernel="mala", moves=3)
    posterior = ppl.infer(target, method, seed=SEED, progress=False)
    w = np.exp(np.asarray(posterior.log_weights)) / total
    rows = {"evidence": (w.mean(axis=1) - 1, 0.25)}
    for name, values, known in means_of(case, posterior.result, np.ones(w.shape, bool)):
        errors = values.reshape(w.shape) - known
        spread = np.sqrt(np.mean(w * errors**2))
        rows[name] = (np.mean(w * errors, axis=1), 0.4 * spread)
    limit = float(student_t.isf(normal.sf(LIMIT), replicas - 1))
    for name, (xs, effect) in rows.items():
        z(name, float(xs.mean()), xs.std(ddof=1) / np.sqrt(replicas), effect, limit)


def mcmc(case: Case, target: ppl.Target) -> None:
    method = ppl.mcmc(chains=4, draws=800, warmup=100, thin=4)
    chains(case, ppl.infer(target, method, seed=SEED, progress=False))


#: cases that show what compiled kernels do together, each with its kernel
KERNELS = {
    "a coin of unknown bias": kernels.slice().then(kernels.mala()),
    "a mean of unknown kind": kernels.gibbs().then(kernels.elliptical_slice()),
    "logistic regression": kernels.mixture(kernels.hmc(), kernels.random_walk(), weights=(2, 1)),
}


def compiled_kernels(case: Case, target: ppl.Target) -> None:
    method = ppl.mcmc(kernel=KERNELS[case.name], chains=2, draws=1_000, warmup=500)
    chains(case, ppl.infer(target, method, seed=SEED, progress=False, engine="xla"))


def kernels_on_machine(case: Case, target: ppl.Target) -> None:
    kernel = ppl.kernels.random_walk(scale=2.0).then(ppl.kernels.prior())
    method = ppl.mcmc(kernel=kernel, chains=4, draws=800, warmup=50)
    chains(case, ppl.infer(target, method, seed=SEED, progress=False, engine="machine"))


def pgibbs(case: Case, target: ppl.Target) -> None:
    method = ppl.pgibbs(particles=8, chains=2, draws=1_500, warmup=20)
    chains(case, ppl.infer(target, method, seed=SEED, progress=False, engine="xla"))


def laplace(case: Case, target: ppl.Target) -> None:
    posterior = ppl.infer(target, ppl.laplace(), seed=SEED, progress=False)
    assert np.exp(posterior.log_evidence) == pytest.approx(float(case.evidence), rel=1e-8)
    chains(case, posterior)


METHODS = (
    Method("exact", needs("finite", without="machine"), exact_on_xla),
    Method("exact, machine", needs("finite"), exact_on_machine),
    Method("discrete filter", needs("finite"), discrete_filter),
    Method("exact, rational", needs("rational"), rational),
    Method("sums", needs("summed"), sums),
    # what can be enumerated is; generated programs check its importance weights one by one
    Method("importance", needs(without="machine finite"), importance_on_xla),
    Method("importance, machine", needs(), importance_on_machine),
    # exact on all finite programs in tests of its own; here what only the machine runs
    Method("smc", needs("machine", without="finite"), smc),
    # exact on programs with loops of points in tests of its own; here by its key
    Method("smc, compiled", lambda case: case.name == "a hidden Markov model", smc),
    Method("smc, backwards", lambda case: case.name == "a hidden Markov model", backwards),
    Method("smc2", lambda case: case.name == "a hidden Markov model", parameters_and_states),
    Method("pgibbs", lambda case: case.name == "a hidden Markov model", pgibbs),
    # the same; here what a chain of one move a site explores quickly
    Method("mcmc", needs("smooth"), mcmc),
    Method("mcmc, machine", lambda case: case.name == "branching", kernels_on_machine),
    Method("rmsmc", lambda case: case.name == "branching", resample_move),
    Method("mcmc, kernels", lambda case: case.name in KERNELS, compiled_kernels),
    Method("nuts", needs("smooth"), nuts),
    # compiles for long; tests of its own cover more
    Method("tempered_smc", needs("gaussian"), tempered_smc),
    Method("laplace", needs("gaussian"), laplace),
)
