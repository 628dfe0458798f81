"""Partial resampling: of a population, only the lightest and the heaviest particle take part.

The others go on as they are. Those that take part share *their own* mass evenly. A first version
shares the mean mass of the whole population, as full resampling does: see what the kit says of it.
"""

from __future__ import annotations

from math import exp, log

from ppl.verify import ProperlyWeighted, Resampler, categorical, check

PROGRAM = """
model weather() {
  today ~ categorical([0.5, 0.3, 0.2])
  observe true ~ bernoulli([0.1, 0.6, 0.85][today])
  umbrella ~ bernoulli([0.25, 0.7, 0.9][today])
  return (today, umbrella)
}
"""


def partial(log_weights, omega, *, own_mass):
    """Two of the particles exchange places at random, the others stay."""
    w, n = [exp(x) for x in log_weights], len(log_weights)
    order = sorted(range(n), key=lambda i: w[i])
    chosen = [order[0], order[-1]]
    mass = sum(w[i] for i in chosen)
    ancestors, weights = list(range(n)), list(log_weights)
    share = mass / len(chosen) if own_mass else sum(w) / n
    for i in chosen:
        ancestors[i] = chosen[categorical(omega, ("ancestor", i), [w[j] / mass for j in chosen])]
        weights[i] = log(share)
    return ancestors, weights


def wrong(log_weights, omega):
    return partial(log_weights, omega, own_mass=False)


def right(log_weights, omega):
    return partial(log_weights, omega, own_mass=True)


if __name__ == "__main__":
    print(check(Resampler(wrong), PROGRAM, ProperlyWeighted()), end="\n\n")
    print(check(Resampler(right), PROGRAM, ProperlyWeighted()))
