"""Forward simulation: draws from the prior, and predictions of new observations.

Both run the program forward with observations drawn instead of scored. A prediction takes the
random choices of a posterior where it has them and draws the others: see `ppl.replays`.
"""

from __future__ import annotations

from ppl.engines import left_xla, went_over
from ppl.methods import checked_count, checked_seed
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.simulate import predict_on_machine, prior_on_machine
from ppl.target import UNFIT, Target, checked_target


def prior(target: Target, *, draws: int = 1000, seed: int = 0) -> Posterior:
    """Independent runs of the model forward, scores ignored: the law of every site and of the
    observations before any of them is seen.

    Raises:
        DiagnosticError: E801, a site has a density but no sampler.
    """
    target, seed = checked_target("prior", target).itself, checked_seed(seed)
    draws = checked_count("draws", draws)
    if target.model.engine.name == "machine":
        return prior_on_machine(target, draws, seed)
    from ppl.reruns import simulated  # imports JAX

    try:
        return simulated(target, {}, (1, draws), seed, method="prior")
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
    target, seed = checked_target("predict", target).itself, checked_seed(seed)
    if not isinstance(posterior, Posterior):
        raise fail(
            "E817",
            f"`predict` needs a posterior, not {type(posterior).__name__}",
            hint="infer one first: predict(infer(target, method), target)",
        )
    if target.model.engine.name == "machine" or left_xla(posterior):
        return predict_on_machine(posterior, target, seed)
    if (problem := target.beyond) is not None:
        return went_over(predict_on_machine(posterior, target, seed), problem)
    from ppl.reruns import predicted_on_xla  # imports JAX

    return predicted_on_xla(posterior, target, seed)
