"""The table of `make verify`: a subject is a line."""

from __future__ import annotations

from ppl import kernels
from ppl.inference.kernels.particle import ParticleGibbs
from ppl.semantics.passes import PASSES
from ppl.verify import Enumerates, Invariant, Measure, Posterior, ProperlyWeighted, Reversible
from ppl.verify.programs import FEATURES
from tests.verify.suite import compiled, machine
from tests.verify.suite.entries import (
    ANY,
    PLAIN,
    PLAIN_STAGES,
    SHORT_STAGES,
    STAGES,
    TRACES,
    Entry,
)

SCHEMES = ("systematic", "stratified", "residual", "multinomial")
#: of the number of particles, below which they are resampled; the first is the simplest
THRESHOLDS = {"threshold": (1.0, 0.7)}

#: programs with fewer traces, for kernels that run whole filters from each
FEW = {**TRACES, "paths": 6, "size": 0}

_ODD = {"dead_draws", "iid", "mixture", "discrete_uniform", "zero_scores", "zero_probability"}
#: choices that have names of their own, and never probability zero
NAMED = {**PLAIN, "features": FEATURES - _ODD}
#: choices that are all made one by one
SUMMED = {**PLAIN, "features": FEATURES - {"iid"}}
#: programs with few states in all
STATES = {**SHORT_STAGES, "paths": 12, "stages": 1, "features": FEATURES - {"dirac"}}

PASS = {name: (lambda program, p=p: p) for name, p in PASSES.items()}

MACHINE = (
    # the oracle works with fractions: numbers that are data are none
    Entry("the law itself", machine.oracle, Enumerates(), ANY, variants=1),
    Entry("exact", machine.paths, Enumerates(), ANY, variants=1),
    Entry("given", machine.given, Enumerates(), NAMED),
    Entry("do", machine.do, Enumerates(), NAMED),
    *(Entry(f"pass {name}", make, Measure(), ANY) for name, make in PASS.items()),
    Entry("importance", machine.importance, ProperlyWeighted(), ANY),
    *(Entry(f"resample {s}", machine.scheme(s), ProperlyWeighted(), PLAIN) for s in SCHEMES),
    *(
        Entry(f"smc {s}", machine.smc(s), ProperlyWeighted(), STAGES, THRESHOLDS, 700)
        for s in SCHEMES
    ),
    Entry("kernel prior", machine.kernel(kernels.prior()), Reversible(), TRACES),
    Entry("kernel prior block", machine.kernel(kernels.prior(block=True)), Reversible(), TRACES),
    Entry("kernel gibbs", machine.kernel(kernels.gibbs()), Invariant(), TRACES),
    Entry("kernel random walk", machine.kernel(kernels.random_walk()), Invariant(), TRACES),
    Entry("rmsmc", machine.rmsmc, ProperlyWeighted(), {**STAGES, "stages": 1}, THRESHOLDS, 4_000),
    Entry("pgibbs", machine.kernel(ParticleGibbs(particles=2)), Invariant(), FEW, limit=600),
)  # fmt: skip

COMPILED = (
    Entry("xla exact", compiled.paths, Enumerates(), PLAIN),
    Entry("xla sums", compiled.sums, Measure(), SUMMED),
    Entry("xla importance", compiled.importance, ProperlyWeighted(), PLAIN_STAGES),
    Entry("xla smc", compiled.smc, ProperlyWeighted(), SHORT_STAGES, {"scheme": SCHEMES, **THRESHOLDS}, limit=6_000),
    Entry("xla prior", compiled.kernel(kernels.prior()), Posterior(), STATES),
    Entry("xla gibbs", compiled.kernel(kernels.gibbs()), Posterior(), STATES),
    Entry("xla pgibbs", compiled.kernel(ParticleGibbs(particles=2)), Posterior(), STATES),
)  # fmt: skip

TABLE = (*MACHINE, *COMPILED)
