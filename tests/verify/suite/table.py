"""The table of `make verify`: a subject is a line."""

from __future__ import annotations

from dataclasses import replace

from ppl import kernels
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.semantics.passes import PASSES
from ppl.verify import Enumerates, Invariant, Measure, Posterior, ProperlyWeighted, Reversible
from ppl.verify.islands import POLYNOMIAL as CURVES
from ppl.verify.islands import islands as CONJUGATE
from ppl.verify.programs import FEATURES
from tests.verify.suite import (
    annealed,
    chains,
    compiled,
    continuous,
    going_on,
    islands,
    lattices,
    longer,
    machine,
)
from tests.verify.suite.entries import (
    ANY,
    PLAIN,
    PLAIN_STAGES,
    SHORT_STAGES,
    STAGES,
    TRACES,
    Entry,
)

GIBBS, PRIOR = kernels.gibbs(), kernels.prior()
#: kernels that are made of others
THEN, MIXTURE = GIBBS.then(PRIOR), kernels.mixture(GIBBS, PRIOR, weights=(0.3, 0.7))

SCHEMES = ("systematic", "stratified", "residual", "multinomial", "ssp")
#: of the number of particles, below which they are resampled; the first is the simplest
THRESHOLDS = {"threshold": (1.0, 0.7)}
#: of particles on their way
KERNELS = {"kernel": (PRIOR, GIBBS)}
#: of an algorithm that takes any scheme; each by itself has a line, too
RESAMPLED = {"scheme": SCHEMES, **THRESHOLDS}

_ODD = {"dead_draws", "iid", "mixture", "discrete_uniform", "zero_scores", "zero_probability"}
#: choices that have names of their own, and never probability zero
NAMED = {**PLAIN, "features": FEATURES - _ODD}
#: short ones, whose every choice is moved at every point
MOVED = {**STAGES, "size": 0, "stages": 1}
#: choices that are all made one by one
SUMMED = {**PLAIN, "features": FEATURES - {"iid"}}
#: programs with few states in all
STATES = {**SHORT_STAGES, "paths": 12, "stages": 1, "features": FEATURES - {"dirac"}}
#: whose choices every run makes, with no scores but those of the stages
ALWAYS = {**STATES, "features": STATES["features"] - {"branches", "scores", "zero_scores"}}
#: with fewer, for kernels that look around in loops
FEWER = {**STATES, "paths": 6}
#: with fewer still, for populations and proposals among them
POINTS = {**STATES, "paths": 3, "stages": 2}
#: with few paths, for loops that run them at every step
LOOPED = {**STATES, "paths": 3, "features": FEATURES - {"checkpoint", "inner_checkpoint"}}
#: for particles that move, which makes many paths
MOVED = {**SHORT_STAGES, "paths": 4, "stages": 1}
#: few traces, for kernels that run whole filters from each
FEW = {
    **TRACES,
    "paths": 6,
    "size": 0,
    "features": TRACES["features"] - {"scores", "checkpoint", "inner_checkpoint"},
}
#: the same, with a choice that has a name
PARAMETERS = {**FEW, "features": FEATURES - _ODD - {"scores", "checkpoint"}}
#: what other probabilities of the same text can propose
PROPOSED = {**SHORT_STAGES, "features": FEATURES - {"zero_scores"}}
#: the same, with no scores but those of the stages
PROPOSALS = {**TRACES, "features": FEATURES - {"scores", "zero_scores"}}
#: loops of which results read the last state alone
LAST = {**PLAIN_STAGES, "features": FEATURES - {"scan", "for"}}

#: loops over data, of which pasts are drawn, and which go on
PASTS, GROWING = {"among": chains.state_spaces()}, {"among": chains.filters()}
NESTED = {"among": chains.filters(parameter=True)}

#: conjugate islands; those that nodes of quadrature can stand for
ISLANDS, SINGLE = {"among": CONJUGATE()}, {"among": CONJUGATE(most=1)}
POLYNOMIAL = {"among": CONJUGATE(families=CURVES, most=1)}
COLLAPSED, DISCRETE = islands.collapsed, islands.discrete

PASS = {name: machine.rewriting(p) for name, p in PASSES.items()}

MACHINE = (
    # the oracle works with fractions: numbers that are data are none
    Entry("the law itself", machine.oracle, Enumerates(), ANY, variants=1),
    Entry("exact", machine.paths, Enumerates(), ANY, variants=1),
    Entry("marginal", machine.part, Enumerates(), ANY, variants=1),
    Entry("given", machine.given, Enumerates(), NAMED),
    Entry("do", machine.do, Enumerates(), NAMED),
    *(Entry(f"pass {name}", make, Measure(), ANY) for name, make in PASS.items()),
    Entry("importance", machine.importance, ProperlyWeighted(), ANY),
    Entry("islands", islands.on(DISCRETE, islands.listed), Enumerates(), POLYNOMIAL, level="numeric"),
    Entry("islands importance", islands.on(DISCRETE, machine.importance), ProperlyWeighted(), POLYNOMIAL, level="numeric"),
    Entry("rao_blackwellize", islands.on(COLLAPSED, machine.importance), ProperlyWeighted(), ISLANDS, level="numeric"),
    Entry("rao_blackwellize smc", islands.on(COLLAPSED, islands.pair), ProperlyWeighted(), SINGLE, RESAMPLED, level="numeric"),
    *(Entry(f"resample {s}", machine.scheme(s), ProperlyWeighted(), PLAIN) for s in SCHEMES),
    Entry("resample optimal", machine.optimal, ProperlyWeighted(), PLAIN),
    Entry("smc", machine.smc, ProperlyWeighted(), STAGES, RESAMPLED, 700),
    Entry("smc optimal", machine.expanded, ProperlyWeighted(), STAGES, limit=700),
    Entry("extend", lambda _, threshold: longer.OnLoops(threshold), ProperlyWeighted(), LOOPED, THRESHOLDS, level="numeric"),
    Entry("collapse", machine.collapsed, ProperlyWeighted(), STAGES, limit=700),
    Entry("temper", machine.tempered, ProperlyWeighted(), FEW, THRESHOLDS, 500),
    Entry("guided smc", machine.guided, ProperlyWeighted(), PROPOSED, THRESHOLDS, 700),
    Entry("rmsmc", machine.rmsmc, ProperlyWeighted(), MOVED, THRESHOLDS, 1_000),
    Entry("smc2", machine.smc2, ProperlyWeighted(), PARAMETERS, limit=200),
    Entry("backward", machine.trajectories, ProperlyWeighted(), SHORT_STAGES, THRESHOLDS, 400),
    Entry("kernel prior", machine.kernel(kernels.prior()), Reversible(), TRACES),
    Entry("kernel prior block", machine.kernel(kernels.prior(block=True)), Reversible(), TRACES),
    Entry("kernel gibbs", machine.kernel(kernels.gibbs()), Invariant(), TRACES),
    Entry("kernel random walk", machine.kernel(kernels.random_walk()), Invariant(), TRACES),
    Entry("kernel proposal", machine.proposal, Reversible(), PROPOSALS),
    Entry("kernel involution", machine.involution, Reversible(), PARAMETERS),
    Entry("kernel then", machine.kernel(THEN), Invariant(), FEW),
    Entry("kernel mixture", machine.kernel(MIXTURE), Invariant(), FEW),
    Entry("pgibbs", machine.kernel(ParticleGibbs(particles=2)), Invariant(), FEW, limit=800),
    Entry("pmmh", machine.pmmh, Invariant(), PARAMETERS, THRESHOLDS, limit=800),
)  # fmt: skip

#: programs of one text, for which a subject is compiled once
VARIANTS = 25

COMPILED = tuple(replace(e, variants=VARIANTS) for e in (
    Entry("xla exact", compiled.paths, Enumerates(), PLAIN),
    Entry("xla sums", compiled.sums, Measure(), SUMMED),
    Entry("xla importance", compiled.importance, ProperlyWeighted(), PLAIN_STAGES),
    Entry("xla smc", compiled.smc, ProperlyWeighted(), SHORT_STAGES, RESAMPLED, limit=6_000),
    Entry("xla forward filter", compiled.forward_filter, ProperlyWeighted(), LAST, THRESHOLDS, 6_000),
    Entry("xla guided smc", compiled.guided, ProperlyWeighted(), PROPOSED, THRESHOLDS, limit=6_000),
    Entry("xla rmsmc", compiled.rmsmc, ProperlyWeighted(), MOVED, {**KERNELS, **THRESHOLDS}, limit=6_000),
    Entry("xla backward", going_on.smoothed, ProperlyWeighted(), PASTS, THRESHOLDS, limit=6_000),
    Entry("xla extend", going_on.extended, ProperlyWeighted(), GROWING, THRESHOLDS, limit=6_000),
    Entry("xla smc2", going_on.smc2, ProperlyWeighted(), NESTED, {"part": tuple(going_on.PARTS)}, limit=1_500),
    Entry("xla prior", compiled.kernel(kernels.prior()), Posterior(), STATES),
    Entry("xla gibbs", compiled.kernel(kernels.gibbs()), Posterior(), STATES),
    Entry("xla proposal", compiled.proposal, Posterior(), ALWAYS),
    Entry("xla involution", compiled.involution, Posterior(), ALWAYS),
    Entry("xla pgibbs", compiled.particle_gibbs, Posterior(), STATES, limit=6_000),
    Entry("xla pmmh", compiled.pmmh, ProperlyWeighted(), STATES, limit=6_000),
    Entry("tempered smc", annealed.annealed(annealed.tempered), Measure(), POINTS),
    Entry("ais", annealed.annealed(annealed.ais), Measure(), POINTS),
    Entry("waste free smc", annealed.annealed(annealed.wasteless), Measure(), POINTS),
    Entry("adaptive importance", annealed.adaptive, Measure(), STATES),
))  # fmt: skip

#: densities of three continuous choices, the finite ones summed out
DENSITIES = {**SUMMED, "paths": 12, "size": 0}
STEP = continuous.STEP_SIZE
WALK = continuous.metropolis(kernels.random_walk(scale=STEP, adapt=False))
MALA = continuous.metropolis(kernels.mala(step_size=STEP, adapt=False))

CONTINUOUS = tuple(replace(e, variants=VARIANTS) for e in (
    Entry("xla random walk", WALK, Reversible(), DENSITIES, level="numeric"),
    Entry("xla mala", MALA, Reversible(), DENSITIES, level="numeric"),
    Entry("xla hmc", continuous.hamiltonian(), Reversible(), DENSITIES, level="numeric"),
    Entry("xla nuts", continuous.no_u_turns, Invariant(), DENSITIES, level="numeric"),
    Entry("noncenter", continuous.standardised, Measure(), DENSITIES, level="numeric"),
    Entry("xla slice", lattices.kernel(lattices.on_line), Posterior(), FEWER),
    Entry("xla elliptical slice", lattices.kernel(lattices.on_ellipse), Posterior(), FEWER),
))  # fmt: skip

TABLE = (*MACHINE, *COMPILED, *CONTINUOUS)
