"""The numeric level for programs: passes over continuous programs, by their densities.

A pass keeps the measure if the density of the program's free coordinates is the same before and
after it, at every point, and so is what the program gives there. Points are taken at random, from
a hash of the program. A pass may drop choices that nothing reads: they are integrated out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.semantics import keys
from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify.contracts import Contract, Measure, Posterior
from ppl.verify.quadrature import integral, located
from ppl.verify.runnable import Runnable
from ppl.verify.sequential import seed_of
from ppl.verify.statistics import numbers_of
from ppl.verify.subjects import Rewrite, Subject
from ppl.verify.verdict import Counterexample, Report, Verdict

#: points at which densities are compared, and how many standard deviations of a normal law they
#: have (free coordinates are made for such)
POINTS, SPREAD = 16, 1.5
#: differences of logarithms that are rounding
TOLERANCE = 1e-8
#: an integral whose estimated error is larger tells nothing
ROUGH = 1e-4


def by_quadrature(subject: Subject, model: Runnable, contract: Contract) -> Verdict:
    """The verdict on a pass over a continuous program; INCONCLUSIVE for every other subject."""
    report = Report("numeric")
    if not isinstance(subject, Rewrite) or not isinstance(contract, (Measure, Posterior)):
        why = f"a `{type(subject).__name__}` has nothing to integrate or to differentiate"
        return Verdict("INCONCLUSIVE", contract, why, report)
    try:
        before, after = _density(model), _density(model, subject.run(model.program))
    except DiagnosticError as error:
        why = error.diagnostics[0].message
        return Verdict("INCONCLUSIVE", contract, f"it has no density: {why}", report)
    return _same(before, after, model, contract)


def _density(model: Runnable, program: Any = None) -> tuple[Any, Any]:
    """The density of a program on the model's data, and the data."""
    from ppl.semantics.precision import precision
    from ppl.semantics.xla.program import Bound

    bound, data = model.target.bound, model.target.data
    if program is not None:
        bound = Bound(program, bound.static, bound.fixed)
    with precision("double"):
        return bound.density(data), data


def _same(before: Any, after: Any, model: Runnable, contract: Contract) -> Verdict:
    (first, data), (second, _) = before, after
    sites = {s.path: s for s in first.sites}
    dropped = [s for s in first.sites if s.path not in {t.path for t in second.sites}]
    new = [t.path for t in second.sites if t.path not in sites]
    missing = sum(math.prod(s.unconstrained_shape) for s in dropped)
    report = Report("numeric", compared=POINTS)
    if new:
        why = f"after the pass there is a choice `{new[0]}`, which there was not before"
        return Verdict("INCONCLUSIVE", contract, why, report)
    if missing > 2:
        why = f"the pass drops {missing} free coordinates, and quadrature is for one or two"
        return Verdict("INCONCLUSIVE", contract, why, report)
    rng = np.random.default_rng(seed_of(model.source, model.target.values, "points"))
    z = rng.normal(0, SPREAD, (POINTS, first.size))
    kept = {k: v for k, v in first.unflatten(z).items() if k in {t.path for t in second.sites}}
    flat = [np.reshape(kept[t.path], (POINTS, -1)) for t in second.sites]
    found, theirs = _run(second, data, np.concatenate([np.empty((POINTS, 0)), *flat], 1))
    if dropped:
        expected, errors = _marginals(first, data, first.unflatten(z), dropped)
        ours: dict[str, Any] = {}
    else:
        expected, ours = _run(first, data, z)
        errors = np.zeros(POINTS)
    if np.max(errors) > ROUGH:
        why = f"the error of an integral over what was dropped is {np.max(errors):.1g}"
        return Verdict("INCONCLUSIVE", contract, why, report)
    if isinstance(contract, Posterior):
        expected = expected + found[0] - expected[0]  # one factor everywhere is the evidence's
    pairs = {"log density": (expected, found)}
    pairs |= {k: (ours[k], theirs[k]) for k in ours if k in theirs}
    for unit, (a, b) in pairs.items():
        with np.errstate(invalid="ignore"):  # of infinities
            near = np.abs(a - b) <= TOLERANCE * np.maximum(1.0, np.abs(a)) + 10 * errors
        if not (same := (a == b) | near).all():
            i = int(np.argmin(same))
            at = ", ".join(f"{k} = {np.asarray(v[i]).tolist()}" for k, v in kept.items())
            at += " (free coordinates)"
            wrong, right = float(b[i]), float(a[i])
            example = Counterexample(model.source, at, unit, right, wrong, None, ())
            why = f"it is not so that {contract.says}"
            return Verdict("FAIL", contract, why, report, example, distance=abs(wrong - right))
    return Verdict("PASS", contract, contract.says, report, smallest_effect=TOLERANCE)


def _run(density: Any, data: Any, z: Any) -> tuple[Any, dict[str, Any]]:
    """Log densities at flat positions (n, d), and what the program gives there, as numbers by name;
    not what hangs on discrete choices that were summed out, which are drawn."""
    import jax

    from ppl.semantics.precision import precision

    @jax.jit
    @jax.vmap
    def run(z: Any) -> Any:
        position = density.unflatten(z)
        drawn = [density.constrain(data, position, keys.key(seed)) for seed in (1, 2)]
        return density.log_density(data, position), *drawn

    with precision("double"):
        logs, *drawn = jax.tree.map(np.asarray, run(z))
    first, again = ([numbers_of(_row(d, i)) for i in range(len(z))] for d in drawn)
    names = [
        k for k in first[0] if all(x.get(k) == y.get(k) for x, y in zip(first, again, strict=True))
    ]
    return logs, {k: np.array([x[k] for x in first]) for k in names}


def _row(tree: Any, i: int) -> Any:
    if isinstance(tree, dict):
        return {k: _row(v, i) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_row(v, i) for v in tree]
    return tree[i] if hasattr(tree, "shape") and tree.shape else ()


def _marginals(density: Any, data: Any, z: Any, dropped: list[Any]) -> tuple[Any, Any]:
    """Log densities of the coordinates that stay at positions z (each led by n), and the share of
    each that is uncertain."""
    import jax

    from ppl.semantics.precision import precision

    sizes = [math.prod(s.unconstrained_shape) for s in dropped]

    @jax.jit
    def log(z: Any, points: Any) -> Any:
        def one(flat: Any) -> Any:
            position, start = dict(z), 0
            for s, n in zip(dropped, sizes, strict=True):
                position[s.path] = flat[start : start + n].reshape(s.unconstrained_shape)
                start += n
            return density.log_density(data, position)

        return jax.vmap(one)(points)

    found = []
    for i in range(POINTS):

        def log_f(points: Any, i: int = i) -> Any:
            with precision("double"):
                return np.asarray(log({k: v[i] for k, v in z.items()}, points))

        found.append(integral(log_f, located(log_f, sum(sizes))))
    return np.array([x.log for x in found]), np.array([x.error for x in found])
