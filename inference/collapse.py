"""A population as one particle: nested inference goes on with it.

Law: `ProperlyWeighted`. The particle is drawn by weight and has all the mass, so that the measure
E[w δ(x)] is that of the population, E[Σ w δ(x)]. (Ścibior, Kammar & Ghahramani, "Functional
programming for modular Bayesian inference", 2018, where it is `collapse`, and the mass of a
population taken out of it is `pushEvidence`: `Population.push_evidence`.)
"""

from __future__ import annotations

import numpy as np

from ppl.inference.choices import CATEGORICAL, VALUE
from ppl.inference.population import Population
from ppl.inference.smc import Particles
from ppl.semantics.machine.omega import Source


def collapse(particles: Particles, source: Source) -> Particles:
    """One of the particles, drawn by weight, with the mass of all; the first, if none has any."""
    population, k = particles.population, 0
    if population.log_mass > -np.inf:
        k = source.draw(VALUE, CATEGORICAL, (tuple(population.weights.tolist()),))
    mass = Population(np.full(1, population.log_mass))
    return Particles([particles.runs[k]], mass, [particles.lineages[k]], particles.steps)
