"""The bootstrap filter of stochastic volatility by the package `particles`, in an environment of
its own: run by `benchmarks.bootstrap`, with nothing of ours imported.

    python their_filter.py DATA.json PARTICLES SEED…

Prints, as JSON, processor seconds and the estimate of the log evidence, one for each seed, after a
run that compiles what numba compiles.
"""

import json
import sys
from time import process_time

import numpy as np
import particles
from particles import distributions as dists
from particles import state_space_models as ssm


class Volatility(ssm.StateSpaceModel):
    """As models/volatility.ppl with its parameters set: the first state comes after `h0`."""

    default_params = {"mu": -1.0, "phi": 0.95, "sigma": 0.3}

    def PX0(self):
        return dists.Normal(loc=self.mu, scale=self.sigma * np.sqrt(1 + self.phi**2))

    def PX(self, t, xp):
        return dists.Normal(loc=self.mu + self.phi * (xp - self.mu), scale=self.sigma)

    def PY(self, t, xp, x):
        return dists.Normal(loc=0.0, scale=np.exp(0.5 * x))


def run(ys, n, seed):
    np.random.seed(seed)
    model = ssm.Bootstrap(ssm=Volatility(), data=ys)
    alg = particles.SMC(fk=model, N=n, resampling="systematic", ESSrmin=0.5)
    start = process_time()
    alg.run()
    return process_time() - start, float(alg.logLt)


if __name__ == "__main__":
    _, file, n, *seeds = sys.argv
    with open(file) as text:
        ys = np.array(json.load(text))
    run(ys[:20], int(n), 0)
    print(json.dumps([run(ys, int(n), int(seed)) for seed in seeds]))
