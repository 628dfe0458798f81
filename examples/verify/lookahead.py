"""Looking ahead: the first site is proposed by its probability times the score that it will get.

The weight of a draw from a proposal q is the joint density over q. A first version divides by the
unnormalised q, and so loses the normaliser: relative weights are right and the evidence is not,
which `Posterior` passes and `ProperlyWeighted` does not.
"""

from __future__ import annotations

from math import log

from ppl.verify import Posterior, ProperlyWeighted, Sampler, bernoulli, categorical, check

PROGRAM = """
model alarm() {
  cause ~ categorical([0.9, 0.07, 0.03])
  observe true ~ bernoulli([0.01, 0.8, 0.95][cause])
  call ~ bernoulli([0.1, 0.4, 0.7][cause])
  factor log(if call { 1.5 } else { 0.5 })
  return (cause, call)
}
"""

PRIOR, SCORE, CALL = (0.9, 0.07, 0.03), (0.01, 0.8, 0.95), (0.1, 0.4, 0.7)


def propose(model, omega, *, normalised):
    q = [p * s for p, s in zip(PRIOR, SCORE, strict=True)]
    total = sum(q)
    cause = categorical(omega, "cause", [x / total for x in q])
    call = bernoulli(omega, "call", CALL[cause])
    execution = model.replay({("cause",): cause, ("call",): call})
    probability = q[cause] / (total if normalised else 1)
    probability *= CALL[cause] if call else 1 - CALL[cause]
    return execution, execution.log_weight - log(probability)


def wrong(model, omega):
    return propose(model, omega, normalised=False)


def right(model, omega):
    return propose(model, omega, normalised=True)


if __name__ == "__main__":
    print(check(Sampler(wrong), PROGRAM, Posterior()), end="\n\n")
    print(check(Sampler(wrong), PROGRAM, ProperlyWeighted()), end="\n\n")
    print(check(Sampler(right), PROGRAM, ProperlyWeighted()))
