"""Random walks on the machine over continuous numbers: detailed balance at pairs of points, whose
coordinates and densities are worked out by hand; and means of chains."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ppl
from ppl import kernels
from ppl.inference.choices import COIN
from ppl.inference.kernels.machine.program import Program, Selection
from ppl.inference.kernels.machine.traces import Site, Trace
from ppl.inference.kernels.machine.walk import Tuning, walk
from ppl.semantics.machine import Replay

TARGET = ppl.compile("""
model floats(y: real) {
  a ~ gamma(2, 1.5)
  b ~ uniform(-a, 2 * a)
  c ~ beta(2, 3)
  d ~ pareto(0.3 + c, 2)
  e ~ flat(-inf, 4)
  xs ~ iid(2, exponential(0.7))
  v ~ multi_normal([b, c], [[1, 0.3], [0.3, 2]])
  observe y ~ normal(b + e + sum(xs) + sum(v) + d, 1 + c)
  return a
}
""").floats(y=1.3)
NAMES = ("a", "b", "c", "d", "e", "xs", "v")
SCALE = 0.4


def flat(x):
    return [v for part in x for v in flat(part)] if isinstance(x, (list, tuple)) else [x]


def coordinates(values, bounds):
    """Every number's free coordinate between the ends that `bounds` gives, and the log of |dz/dv|."""
    a, b, c, d, e, xs, v = values
    low, high, least = -bounds[0], 2 * bounds[0], 0.3 + bounds[2]
    z = [math.log(a), math.log((b - low) / (high - b)), math.log(c / (1 - c)), math.log(d - least)]
    z += [-math.log(4 - e), *map(math.log, xs), *v]
    slopes = [1 / a, (high - low) / ((b - low) * (high - b)), 1 / (c * (1 - c)), 1 / (d - least)]
    slopes += [1 / (4 - e), *(1 / x for x in xs), 1, 1]
    return np.array(z), math.fsum(map(math.log, slopes))


class Chosen:
    """A source whose normal steps are given, and that accepts every move; `coins` are with what
    probability it would."""

    def __init__(self, steps):
        self.steps, self.coins = [float(s) for s in steps], []

    def draw(self, path, family, args):
        if family is COIN:
            self.coins.append(args[0])
            return True
        return self.steps.pop(0) * args[1]

    def begin(self, state):
        return None  # nothing is drawn from a prior

    def mark(self):
        return None


def at(program, values):
    """The trace of these values."""
    machine, given = program.machine, dict(zip(((n,) for n in NAMES), values, strict=True))
    sites, recorded = {}, Replay(given)

    class Recorder:
        def begin(self, state):
            draw = recorded.begin(state)

            def record(path, family, args):
                value = draw(path, family, args)
                sites[path] = Site(value, family, args)
                return value

            return record

        def mark(self):
            return None

    execution = machine.run(program.data, Recorder())
    joint = execution.log_weight
    execution.state.w -= sum(s.log_prob(s.value) for s in sites.values())
    return Trace(execution, sites), joint


def values_of(trace):
    return [s.value for s in trace.sites.values()]


def test_random_walks_step_as_often_back_as_forth():
    """pi(x) q(x, y) alpha(x, y) = pi(y) q(y, x) alpha(y, x), while the bounds of some numbers move."""
    program = Program.of(TARGET.machine, TARGET.plain)
    everything = Selection(program)
    x, log_pi_x = at(program, [1.2, 0.7, 0.35, 1.1, 2.5, (0.4, 1.9), (0.3, -0.8)])
    chance = np.random.default_rng(3)
    less = 0
    for _ in range(8):
        steps = chance.normal(size=9)
        forth = Chosen(steps)
        y = walk(program.run, x, everything, Tuning(math.log(SCALE)), forth)
        if y is x:  # b or d would be beyond its new end
            continue
        vx, vy = values_of(x), values_of(y)
        log_pi_y = at(program, vy)[1]
        z, _ = coordinates(vx, vx)
        there, forth_slope = coordinates(vy, vx)
        assert z + SCALE * steps == pytest.approx(there, abs=1e-9)
        begin, _ = coordinates(vy, vy)
        end, back_slope = coordinates(vx, vy)
        steps_back = (end - begin) / SCALE
        back = Chosen(steps_back)
        again = walk(program.run, y, everything, Tuning(math.log(SCALE)), back)
        assert flat(values_of(again)) == pytest.approx(flat(vx), abs=1e-9)
        alpha, beta = (math.log(s.coins[0]) if s.coins else 0.0 for s in (forth, back))
        assert (alpha == 0) != (beta == 0)
        left = log_pi_x - 0.5 * steps @ steps + forth_slope + alpha
        right = log_pi_y - 0.5 * steps_back @ steps_back + back_slope + beta
        assert left == pytest.approx(right, abs=1e-9)
        less += 1
    assert less >= 4


def test_a_walk_whose_step_lies_beyond_an_end_stays():
    program = Program.of(TARGET.machine, TARGET.plain)
    x, _ = at(program, [1.2, 2.3, 0.35, 1.1, 2.5, (0.4, 1.9), (0.3, -0.8)])
    steps = [-3.0] + [0.0] * 8  # `a` shrinks, and `b`, which keeps its share of the range, with it
    y = walk(program.run, x, Selection(program), Tuning(0.0), Chosen(steps))
    assert y is x


def test_walks_learn_their_scales_in_warm_up_and_draw_from_the_posterior():
    """Scales that differ by a factor of 1000. The means within 4.5 standard errors, by the chains'
    effective sample sizes (a fixed seed; 7e-6 each had it been random)."""
    target = ppl.compile("""
model scales(y: real) {
  big ~ normal(0, 100)
  small ~ normal(2, 0.1)
  k ~ poisson(3)
  observe y ~ normal(big, 50)
  return big
}
""").scales(y=60)
    method = ppl.mcmc(kernel=kernels.random_walk(), chains=2, draws=1_500, warmup=500)
    found = ppl.infer(target, method, seed=2, engine="machine", progress=False)
    names, check = list(found.scalars[0]), found.convergence
    for name, mean, sd in [("big", 48.0, math.sqrt(2000)), ("small", 2.0, 0.1), ("k", 3.0, 3**0.5)]:
        size = check.ess_bulk[names.index(name)]
        assert size > 100, name
        assert abs(found[name].mean() - mean) < 4.5 * sd / math.sqrt(size), name
