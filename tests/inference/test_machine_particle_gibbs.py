"""Conditional sequential Monte Carlo leaves the posterior of whole traces alone: exactly, by tapes
that enumerate the particles' draws, their ancestors and the choice among them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import ppl
from ppl.inference.kernels.machine.conditional import Segment, Sweep, _steps
from ppl.inference.kernels.machine.program import Program, Selection
from ppl.inference.kernels.machine.traces import Turns, first_trace
from ppl.semantics.machine.tape import explore
from ppl.verify import Invariant, Kernel, check

MODELS = ppl.compile("""
# three states; most moves are impossible, which keeps the number of outcomes down
model hidden(ys: [bool]) {
  xs ~ scan x = 0 for y in ys {
    x ~ categorical([[0.35, 0.65, 0], [0, 0, 1], [1, 0, 0]][x])
    observe y ~ bernoulli([0.15, 0.7, 0.4][x])
    return x
  }
  return xs
}

# a site before the points, which every step reads
model drifting(ys: [bool]) {
  p ~ bernoulli(0.35)
  xs ~ scan x = false for y in ys {
    x ~ bernoulli(if p { if x { 0.8 } else { 0.25 } } else { if x { 1 } else { 0.6 } })
    observe y ~ bernoulli(if x { 0.9 } else { if p { 0.2 } else { 0.45 } })
    return x
  }
  return (p, xs)
}

# particles end at different points, draw different sites, and some have no future
model uneven() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  r ~ rest(a)
  return (a, r)
}
fn rest(a: bool) -> measure[nat] {
  if a { return 0 } else {
    b ~ bernoulli(0.6)
    factor log(if b { 2 } else { 0.3 })
    checkpoint
    c ~ bernoulli(if b { 0.2 } else { 0.9 })
    condition b or c
    return 1 + indicator(b) + 2 * indicator(c)
  }
}

# what comes last depends on what came first
model memory() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  b ~ bernoulli(1)
  factor log(if b { 0.8 } else { 0.5 })
  factor log(if a { 0.2 } else { 0.7 })
  return (a, b)
}

# which sites there are in the future depends on the past
model forks() {
  a ~ categorical([0.35, 0.4, 0.25])
  factor log([0.9, 0.4, 0.7][a])
  if a == 1 { b ~ bernoulli(1) } else { c ~ bernoulli([0.15, 0, 0.55][a]); factor log(if c { 0.8 } else { 0.3 }) }
  return a
}
""")
HIDDEN, DRIFTING = MODELS.hidden(ys=[False, True, False]), MODELS.drifting(ys=[True, False])


def subject(*, particles=3, ancestor_sampling, threshold=1.0, on=None, make=Sweep):
    made = {}

    def step(model, trace, omega):
        if not made:
            program = Program(model.machine, model.data, model.run, model.run, named=True)
            chosen = Selection(program, on)
            made[0] = make(program, chosen, particles, ancestor_sampling, threshold)
        return made[0](trace, Turns(omega))[0]

    return Kernel(step, lambda model, omega: first_trace(model.run, omega))


CASES = {
    "the first site": (DRIFTING, {"ancestor_sampling": True, "threshold": 0.7, "on": ["p"]}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_posterior_of_whole_traces_is_kept(name):
    program, settings = CASES[name]
    verdict = check(subject(**settings), program, Invariant())
    assert verdict.ok, verdict
    assert verdict.report.paths > 100


# -------------------------------------------------------------- point by point, equal stages merged


def key_of(stage):
    """What tells stages of one retained trace apart."""

    def of(particle):
        return tuple(
            (k, s.value)
            for sites in reversed(list(_steps(particle.sites)))
            for k, s in sites.items()
        )

    weights = tuple(round(float(w), 12) for w in stage.population.log_weights)
    return tuple(map(of, stage.particles)), weights, tuple(map(of, stage.path)), stage.moved


def state(trace):
    return frozenset((path, site.value) for path, site in trace.sites.items())


def flows(target, *, make=Sweep, ancestor_sampling=True, threshold=1.0, on=None, particles=3):
    """The posterior, and where one step of the kernel takes it, by trace."""
    program = Program.of(target.machine, target.plain)
    sweep = make(program, Selection(program, on), particles, ancestor_sampling, threshold)
    starts, masses = [], []

    def once(tape):
        trace = first_trace(program.run, tape)
        if trace.execution.alive:
            starts.append(trace)
            masses.append(tape.probability * math.exp(trace.log_weight))

    explore(once, limit=1_000)
    pi = {state(t): m / sum(masses) for t, m in zip(starts, masses, strict=True)}
    after = dict.fromkeys(pi, 0.0)
    for trace in starts:
        stages = {(): (sweep.begin(trace), pi[state(trace)])}
        while stages:
            stages = after_one(sweep, trace, stages.values(), after)
    return pi, after


def after_one(sweep, trace, stages, after):
    """The stages one step later, with their probabilities; what has ended is added to `after`."""
    later = {}
    for stage, p in stages:

        def once(tape, stage=stage, p=p):
            if stage.waits:
                found = sweep.step(stage, Turns(tape))
                key = key_of(found)
                later[key] = found, later.get(key, (found, 0.0))[1] + p * tape.probability
            else:
                end = state(sweep.end(stage, trace, Turns(tape))[0])
                after[end] = after.get(end, 0.0) + p * tape.probability

        explore(once, limit=10_000)
    return later


WHOLE = {
    "three steps": (HIDDEN, {"ancestor_sampling": False}),
    "three steps, ancestor sampling at times": (HIDDEN, {"threshold": 0.8}),
    "uneven": (MODELS.uneven(), {"threshold": 0.7}),
    "forks": (MODELS.forks(), {"threshold": 0.7}),
    "some sites": (DRIFTING, {"on": ["xs"], "threshold": 0.5}),
    "sites that come and go": (MODELS.uneven(), {"on": ["a", "r/b"], "threshold": 0.8}),
}
LONG = {
    "three steps": (HIDDEN, {}),
    "uneven": (MODELS.uneven(), {}),
    "some": (DRIFTING, {"on": ["xs"]}),
}


@pytest.mark.parametrize(
    "case",
    [*WHOLE.values(), *(pytest.param(c, marks=pytest.mark.soak) for c in LONG.values())],
    ids=[*WHOLE, *(f"{name}, every point" for name in LONG)],
)
def test_whole_traces_are_kept_at_three_particles(case):
    program, settings = case
    pi, after = flows(program, **settings)
    assert len(pi) >= 3
    assert after == pytest.approx(pi, abs=1e-12)


# ------------------------------------------------------------------------------ bugs, planted


class OffspringReplays(Sweep):
    """Copies of the retained particle go on along its trace."""

    def advance(self, particle, held, source):
        if particle.waits and particle in self.path[1:]:
            return particle.resumed(Segment(held, None, self.sites))
        return super().advance(particle, held, source)

    def step(self, at, turns):
        sites = {k: s for p in at.path for step in _steps(p.sites) for k, s in step.items()}
        object.__setattr__(self, "path", at.path)
        object.__setattr__(self, "sites", sites)
        return super().step(at, turns)


class Competes(Sweep):
    """The retained particle is weighted at the first point by its whole trajectory (its_hub)."""

    def step(self, at, turns):
        if at.t == 0:
            whole = sum(p.increment for p in at.path[1:])
            at = replace(at, path=(at.path[0], replace(at.path[1], increment=whole), *at.path[2:]))
        return super().step(at, turns)


class ConditionsOnAnother(Sweep):
    """What is kept is not the particle that was drawn (MacroEconometricModels)."""

    def end(self, at, trace, turns):
        first, *others = at.particles
        return super().end(replace(at, particles=[*others, first], moved=True), trace, turns)


class Redrawn(Sweep):
    """The reference is not passed to the sweep (Turing), or its numbers are drawn anew (AdvancedPS)."""

    def step(self, at, turns):
        free = self.advance(at.particles[0], at.held, turns.source.at(1_000_000 + at.t, 0))
        path = (*at.path[: at.t + 1], free, *at.path[at.t + 2 :])
        return super().step(replace(at, path=path, moved=True), turns)


TWO = MODELS.hidden(ys=[False, True])


@pytest.mark.parametrize(
    ("wrong", "threshold"),
    [(OffspringReplays, 1.0), (Competes, 1.0), (ConditionsOnAnother, 0.5), (Redrawn, 1.0)],
)
def test_a_retained_particle_that_goes_wrong_is_found(wrong, threshold):
    pi, after = flows(TWO, make=wrong, ancestor_sampling=False, threshold=threshold)
    assert max(abs(after[k] - pi.get(k, 0.0)) for k in after) > 1e-4


class WeightsForgotten(Sweep):
    """Ancestors by the density of the future alone."""

    def past(self, population, futures, source):
        return super().past(population.levelled(), futures, source)


class ScoresForgotten(Sweep):
    """Ancestors by what the future draws, without what it scores."""

    def replayed(self, particle, path, held):
        found = super().replayed(particle, path, held)
        return replace(found, log_density=found.log_density - sum(p.increment for p in found.path))


class OneStep(Sweep):
    """Ancestors by one step of the future, where more of it depends on the past."""

    def replayed(self, particle, path, held):
        found, first = (
            super().replayed(particle, path, held),
            super().replayed(particle, path[:1], held),
        )
        return replace(found, log_density=first.log_density) if found.path else found


class OrderedAncestors(Sweep):
    """Slot 0 gets the first of the ordered ancestors (as of the backward pass of particles)."""

    def ancestors(self, population, source, step):
        object.__setattr__(self, "last", super().ancestors(population, source, step))
        return self.last

    def past(self, population, futures, source):
        a = min(super().past(population, futures, source), *self.last)
        return a if futures[a].path else 0


@pytest.mark.parametrize(
    "make", [Sweep, WeightsForgotten, ScoresForgotten, OneStep, OrderedAncestors]
)
def test_ancestor_sampling_that_goes_wrong_is_found(make):
    pi, after = flows(MODELS.memory(), make=make, particles=2)
    assert (max(abs(after[k] - pi.get(k, 0.0)) for k in after) < 1e-12) == (make is Sweep)


def test_chains_agree_with_enumeration():
    """P(p = true) and P(x_1 = true), within 4.5 standard errors by the chains' effective sample sizes
    (a fixed seed; 7e-6 each had it been random)."""
    target = MODELS.drifting(ys=[True, False, True])
    known = ppl.infer(target, ppl.exact(), engine="machine", progress=False)
    then = ppl.kernels.gibbs().on("p")
    method = ppl.pgibbs(particles=4, sites="xs", then=then, chains=2, draws=200, warmup=10)
    found = ppl.infer(target, method, seed=2, engine="machine", progress=False)
    names = list(found.scalars[0])
    for name, values, law in [
        ("p", found["p"], known["p"][0]),
        ("xs[1]", found["xs"][..., 1], known["xs"][0, :, 1]),
    ]:
        mean = known.weights[0] @ law
        size = found.convergence.ess_bulk[names.index(name)]
        assert size > 60
        assert abs(values.mean() - mean) < 4.5 * math.sqrt(mean * (1 - mean) / size), name
