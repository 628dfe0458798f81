"""Gradient estimators, by every outcome of their finite choices.

    Estimator(estimate, objective, at)

`estimate(parameters, omega) -> (omega, gradient)` and `objective(parameters, omega) -> (omega,
value)` are functions of JAX that draw from Ω: `omega, x = omega.draw(("z",), law, ())`, with a
finite law. Then both E[estimate] and the gradient of E[objective] are exact: the first is a sum
over paths, the second the derivative of one, through the probabilities of the paths too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import DiagnosticError
from ppl.verify.contracts import Contract, UnbiasedGradient
from ppl.verify.rounding import SINGLE, single
from ppl.verify.sequential import seed_of
from ppl.verify.subjects import Numeric, wrong
from ppl.verify.verdict import Counterexample, Report, Verdict

#: parameters that are tried besides those given, and how far away they are
MORE, SPREAD = 2, 0.4
#: differences of a derivative, relative to 1 or its size, that are rounding
TOLERANCE = 1e-9
#: that there is room for where it is asked in what precision they are made
CHOICES = 64
#: paths of the estimator, or of the objective
LIMIT = 100_000
#: paths are run in batches of this size alone, so that one program is compiled
BATCHES = (64,)


@dataclass(frozen=True)
class Estimator(Numeric):
    """estimate(parameters, omega) -> (omega, gradient), shaped like the parameters `at` which it is
    tried (and around which: a tree of arrays). objective(parameters, omega) -> (omega, value)."""

    estimate: Callable[[Any, Any], tuple[Any, Any]]
    objective: Callable[[Any, Any], tuple[Any, Any]]
    at: Any
    takes = (UnbiasedGradient,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        from ppl.semantics.precision import precision

        with precision("double"):
            return _verdict(self, contract)


def _verdict(subject: Estimator, contract: Contract) -> Verdict:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from ppl.semantics.enumerate import Enumerator
    from ppl.semantics.omega import Tape
    from ppl.verify.recorded import Guarded, Twice

    center, unravel = ravel_pytree(jax.tree.map(lambda x: jnp.asarray(x, float), subject.at))

    def estimate(flat: Any, omega: Any) -> tuple[Any, Any]:
        guarded, gradient = subject.estimate(unravel(flat), Guarded.of(omega))
        gradient = ravel_pytree(gradient)[0]
        if gradient.shape != flat.shape:
            raise wrong(
                f"the estimate has {gradient.size} numbers, and there are {flat.size} parameters",
                "give a gradient that is shaped like the parameters",
            )
        return gradient, guarded.tape

    def slope(flat: Any, tape: Any) -> tuple[Any, Any]:
        """What a path gives to the gradient: its probability has a derivative, too."""

        def part(flat: Any) -> Any:
            fresh = Guarded.of(Tape.of(tape.choices, tape.options.shape[-1]))
            omega, value = subject.objective(unravel(flat), fresh)
            if jnp.shape(value) != ():
                raise wrong(f"the objective has the shape {jnp.shape(value)}", "it is one number")
            return jnp.exp(omega.tape.log_weight) * value, omega.tape

        gradient, omega = jax.grad(part, has_aux=True)(flat)
        return gradient, omega

    report = Report("numeric")
    try:
        estimates, slopes = (Enumerator(f, batches=BATCHES) for f in (estimate, slope))
        rng = np.random.default_rng(seed_of(subject.estimate, subject.objective, "parameters"))
        around = [SPREAD * rng.normal(size=center.shape) for _ in range(MORE)]
        compared = worst = paths = 0
        allowed = TOLERANCE
        for flat in [center, *(center + x for x in around)]:
            found = estimates(flat, limit=LIMIT)
            mean = np.exp(found.log_probability) @ found.outputs
            true = slopes(flat, limit=LIMIT).outputs.sum(0)
            off = np.abs(mean - true) / np.maximum(1.0, np.abs(true))
            off = np.where(np.isnan(off), np.inf, off)
            compared, paths = compared + off.size, paths + len(found.log_probability)
            worst, i = max(worst, float(off.max())), int(np.argmax(off))
            if off[i] > allowed and off[i] <= SINGLE:
                tape = Tape.of(np.zeros(CHOICES, np.int32), CHOICES)
                allowed = SINGLE if single(estimate, flat, tape) else allowed
            if off[i] > allowed:
                return _biased(contract, subject, unravel(flat), i, true, mean, compared, paths)
    except Twice as twice:
        name = "/".join(twice.path)
        why = f"two choices are made at one place, so that a key gives both one value: `{name}`"
        example = Counterexample("", f"`{name}`", "number of choices", 1, 2, None, ())
        return Verdict("FAIL", contract, why, report, example)
    except DiagnosticError as error:
        if error.diagnostics[0].code not in ("E807", "E708"):
            raise
        return Verdict("INCONCLUSIVE", contract, error.diagnostics[0].message, report)
    report = Report("numeric", paths=paths, compared=compared)
    return Verdict("PASS", contract, contract.says, report, smallest_effect=allowed, distance=worst)


def _biased(
    contract: Contract,
    subject: Estimator,
    at: Any,
    i: int,
    true: Any,
    mean: Any,
    compared: int,
    paths: int,
) -> Verdict:
    import jax

    names = [
        jax.tree_util.keystr(path) + (f"[{k}]" if np.size(leaf) > 1 else "")
        for path, leaf in jax.tree_util.tree_leaves_with_path(subject.at)
        for k in range(np.size(leaf))
    ]
    where = f"the derivative by {names[i] or 'the parameter'}, at {jax.tree.map(np.asarray, at)}"
    pattern = ""
    if abs(mean[i]) <= TOLERANCE:
        pattern = ": it is silently zero"
    elif np.ptp(ratio := mean[true != 0] / true[true != 0]) <= TOLERANCE * abs(ratio).max():
        pattern = f": it is {ratio[0]:.6g} times what it should be"
    example = Counterexample("", where, "derivative", float(true[i]), float(mean[i]), None, ())
    why = f"it is not so that {contract.says}{pattern}"
    report = Report("numeric", paths=paths, compared=compared)
    return Verdict("FAIL", contract, why, report, example, distance=float(abs(mean[i] - true[i])))
