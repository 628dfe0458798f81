"""Checks of transformers."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E737": Code(
        "a file for `ppl verify` that states no law",
        """
`ppl verify FILE.py` runs the file, and checks what it states: functions under `@preserves(…)`, and
the laws in a list `contracts`. There are none, an entry is no law, or the file cannot be run.

    contracts = [my_resampler]                                                         # wrong
    contracts = [("mine", Resampler(my_resampler), ProperlyWeighted(), program)]       # right
    contracts = [("mine", lambda program: Resampler(my_resampler), ProperlyWeighted())]
""",
    ),
    "E740": Code(
        "a transformer does not keep its law",
        """
`ppl.verify` ran the transformer on every outcome of its own random choices and of the program's,
and a mass is not what the contract says. The report shows the program, the trace, the expected and
the found mass, and the random choices that give it; `verdict.counterexample.replay()` runs them
again.

    return ancestors, log_weights                     # wrong: weights are not reset
    return ancestors, [log_mean(log_weights)] * n     # right: each child has the mean weight
""",
    ),
    "E741": Code(
        "a check that decides nothing",
        """
There are more random outcomes than may be run one by one, the program is not finite, or it has no
mass. Nothing was found wrong, and nothing was shown to be right. Paths multiply with particles,
steps and values: three of each are enough to see most mistakes.

    check(smc_with(particles=50), program, ProperlyWeighted()).assert_ok()     # too many
    check(smc_with(particles=3), program, ProperlyWeighted()).assert_ok()
""",
    ),
    "E742": Code(
        "a subject of a check that does not keep to its protocol",
        """
Each kind of subject of `ppl.verify` takes and gives values of one form: a sampler gives weighted
values (or executions), a kernel a state, a resampler ancestors and as many log weights.

    Resampler(lambda log_weights, omega: ancestors)                    # wrong
    Resampler(lambda log_weights, omega: (ancestors, new_weights))     # right
""",
    ),
    "E743": Code(
        "probabilities of a choice that are none",
        """
Inference code draws a choice whose probabilities are negative, not numbers, or do not sum to 1.

    bernoulli(omega, "accept", ratio)               # wrong if the ratio is above 1
    bernoulli(omega, "accept", min(1, ratio))
    categorical(omega, "ancestor", weights)         # wrong if they do not sum to 1
    categorical(omega, "ancestor", [w / sum(weights) for w in weights])
""",
    ),
    "E744": Code(
        "a contract that such a subject does not have",
        """
Each contract is a law of some kinds of transformers: `Invariant` and `Reversible` are of kernels,
`ProperlyWeighted` of samplers and resamplers, `SameDensity` of distributions.

    check(Resampler(r), program, Invariant())             # wrong
    check(Resampler(r), program, ProperlyWeighted())      # right
""",
    ),
    "E745": Code(
        "not a program that can be checked",
        """
A check takes a program of `ppl.verify.programs()`, a model applied to its data, or a text whose
last model takes no data.

    check(kernel, model, Invariant())               # wrong: a model without its data
    check(kernel, model(y=[1, 0, 1]), Invariant())
""",
    ),
    "E746": Code(
        "a setting of a check that makes no sense",
        """
`limit` is the number of paths that may be run, at least 1, as are `particles`, `steps` and
`trials`; `temperature` and `bound` are positive; `within` is a distance and `alpha` a probability,
from 0 to 1; `level` is "auto", "exact", "numeric" or "sequential".

    check(kernel, program, Invariant(temperature=0))       # wrong: the prior is no posterior
    check(kernel, program, Invariant(temperature=0.3))     # the scores to the power 0.3
""",
    ),
    "E747": Code(
        "an enumeration that lists an atom twice",
        """
The contract `Enumerates` says that every atom of the measure comes once, with its whole mass.

    [(True, log(0.2)), (True, log(0.1))]       # wrong
    [(True, log(0.2 + 0.1))]
""",
    ),
    "E748": Code(
        "more coordinates than quadrature takes",
        """
`ppl.verify.evidence` integrates the density of a program's free coordinates, of which there must be
one or two. Finite discrete choices do not count, since they are summed out; a simplex of k has
k - 1 coordinates.

    evidence(model(y=y))                  # wrong: mu, sigma and theta[0], …, theta[7]
    evidence(model(y=y).given(theta=t))   # mu and sigma, given the others
""",
    ),
    "E749": Code(
        "a model whose calibration cannot be tested",
        """
Calibration draws parameters and data from the model, infers the parameters again, and looks at
their ranks. So the model must observe its data parameters whole, by name, and score in no other
way: a `factor` or a `condition` has no data that could be drawn.

    model m(y: [real]) { mu ~ normal(0, 1); factor -sum((y - mu) ^ 2) }                      # wrong
    model m(y: [real]) { mu ~ normal(0, 1); for v in y { observe v ~ normal(mu, 1) } }
""",
    ),
}
