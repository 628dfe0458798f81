"""One particle for a population: the measure stays the same, over all tapes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import ppl
from ppl.inference.collapse import collapse
from ppl.inference.population import Population
from ppl.inference.smc import advance, spawn
from ppl.semantics.machine import Execution, enumerate_paths
from ppl.semantics.machine.tape import explore

STEPS = ppl.compile("""
model m() {
  k ~ categorical([0.2, 0.5, 0.3])
  factor [-0.3, 0.8, -1.1][k]
  j ~ bernoulli([0.1, 0.35, 0.6][k])
  condition k + indicator(j) < 3
  return (k, j)
}
""").m()


def test_a_collapsed_filter_is_properly_weighted():
    """Three particles from beginning to end, then one: as many tapes as there are ways."""
    machine = STEPS.machine
    start = machine.start(machine.bind(STEPS.plain))
    masses: dict = defaultdict(float)

    def once(tape):
        particles = spawn(start, 3)
        for step in range(4):
            particles = advance(particles, tape, step)
        assert not particles.waiting
        one = collapse(particles, tape)
        assert one.population.size == 1
        assert one.log_evidence == pytest.approx(particles.log_evidence, abs=1e-12)
        if one.log_evidence > -np.inf:
            (run,) = one.runs
            assert isinstance(run, Execution)
            masses[run.result] += tape.probability * np.exp(one.log_evidence)

    explore(once, limit=20_000)
    want: dict = defaultdict(float)
    for path in enumerate_paths(machine, STEPS.plain):
        want[path.execution.result] += path.weight
    want = {k: v for k, v in want.items() if v > 0}
    assert masses.keys() == want.keys()
    assert all(masses[k] == pytest.approx(want[k], abs=1e-12) for k in want)


@pytest.mark.parametrize("log_weights", [[-0.3, 1.2, -np.inf], [-np.inf] * 3])
def test_the_mass_pushed_out_and_what_is_left_are_the_population(log_weights):
    population = Population(np.array(log_weights))
    mass, rest = population.push_evidence()
    if mass > -np.inf:
        assert rest.log_mass == pytest.approx(0, abs=1e-12)
        assert mass + rest.log_weights == pytest.approx(population.log_weights, abs=1e-12)
    else:
        assert mass == rest.log_mass == -np.inf
