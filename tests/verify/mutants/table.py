"""The table of `make mutants`: a mutant is an entry."""

from __future__ import annotations

import numpy as np

from ppl.verify import (
    Enumerates,
    Invariant,
    Measure,
    Posterior,
    ProperlyWeighted,
    Reversible,
    SameDensity,
)
from tests.verify.mutants import densities, going_on, moves, numeric, particle_gibbs, smc
from tests.verify.mutants.mutant import (
    CHAIN,
    LENGTHS,
    ONCE,
    SHORT,
    STAGES,
    STEPS,
    TRACES,
    UNEVEN,
    WALKERS,
    Equivalent,
    Mutant,
)

PARTICLES = {"n": (2, 3)}
FOUR = "model m() { x ~ categorical([0.4, 0.3, 0.2, 0.1]); return x }"
STATES = """
model m() {
  x ~ categorical([0.2, 0.5, 0.3])
  y ~ categorical([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.25, 0.35, 0.4]][x])
  z ~ categorical([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.25, 0.35, 0.4]][y])
  return (x, y, z)
}
"""
ROWS = """
model m() {
  xs ~ for i in range(2) { for j in range(2) { x ~ bernoulli([0.8, 0.35][j]); return indicator(x) } }
  return xs
}
"""
OTHER = Invariant(temperature=0.4)

W = ProperlyWeighted()
MH, OTHERS = "Metropolis-Hastings on traces", "other kernels"
SMC, RESAMPLE = "SMC, evidence", "resampling"
PMCMC, LAWS, KEYS = "particle MCMC", "densities, transforms", "randomness"


def midpoints(n, u):
    return (np.arange(n) + 0.5) / n


def half(n, u):
    return (np.arange(n) + u / 2) / n


def _mh(name, contract=None, **wrong):
    return Mutant(MH, name, moves.single_site(**wrong), contract or Invariant(), LENGTHS, TRACES)


def _smc(name, step, example=SHORT, programs=STAGES):
    return Mutant(SMC, name, smc.planted(step), W, example, programs, PARTICLES)


def _resampler(name, run):
    return Mutant(RESAMPLE, name, smc.scheme(run), W, STEPS, {"paths": 24, "size": 1, "stages": 1})


def _pmcmc(name, n=2, **wrong):
    make = particle_gibbs.conditional(**wrong)
    return Mutant(PMCMC, name, lambda: make(n), Invariant(), CHAIN)


MUTANTS = (
    _mh("correction for the number of choices inverted", length=-1),
    _mh("correction for the number of choices left out", length=0),
    _mh("choices summed before the one that is drawn again", kept=0, contract=Reversible()),
    _mh("proposal probability omitted", old=0, new=0),
    _mh("reused choices counted in the proposal", reused=1),
    _mh("old guide density added instead of subtracted", old=-1),
    _mh("forward proposal score with the wrong sign", new=-1),
    _mh("laws of kept choices with the wrong sign", kept=-1),
    _mh("scores left out", scores=0),
    _mh("scores counted twice", scores=2),
    Mutant(MH, "independence correction missing", moves.independent(corrected=False), Invariant(),
           STEPS, TRACES),
    Mutant(SMC, "rejuvenation for the final target", moves.independent(), OTHER, STEPS, TRACES),
    Mutant(OTHERS, "proposals outside of the support redrawn", moves.walk(redrawn=True),
           Invariant(), STEPS),
    Mutant(OTHERS, "an accept step after an exact draw", moves.gibbs(accept=True), Invariant(),
           STEPS),
    Mutant(OTHERS, "support size of another site", moves.gibbs(options=2), Invariant(), STEPS),
    Mutant(OTHERS, "slice bracket misplaced", moves.slice_move(placed=False), Invariant(), STEPS),
    Mutant(OTHERS, "all walkers moved from old positions", moves.reflected(from_old=True),
           Invariant(), WALKERS),
    Mutant(OTHERS, "stretch move anchored on the wrong walker", moves.stretched(anchored=False),
           Invariant(), WALKERS),
    Mutant(SMC, "rejuvenated particles discarded", moves.rejuvenated(discarded=True), W, STEPS),
    _smc("weights not reset after resampling", smc.weights_not_reset),
    _smc("the mean before resampling lost", smc.mean_lost),
    _smc("cumulative weights used as increments", smc.cumulative_as_increments),
    _smc("carried weights overwritten", smc.carried_overwritten),
    _smc("ancestors off by one", smc.ancestors_off_by_one),
    _smc("first likelihood counted twice", smc.first_counted_twice),
    # generated programs end at one point
    _smc("particles that end early dropped", smc.ended_dropped, UNEVEN, None),
    Mutant(SMC, "bootstrap weights with an optimal proposal",
           lambda: smc.optimal_proposal(own_weight=False), W, STEPS),
    Mutant(SMC, "sign of the next temperature", smc.tempered(sign=-1), W, SHORT, TRACES),
    _resampler("midpoints of the strata", lambda w, o: smc.systematic(w, o, points=midpoints)),
    _resampler("half of each stratum", lambda w, o: smc.systematic(w, o, points=half)),
    _resampler("residuals from the weights", lambda w, o: smc.residual(w, o, remainders=False)),
    _pmcmc("reference not passed to the sweep", fresh=True),
    _pmcmc("reference's random numbers reseeded", reseeded=True),
    _pmcmc("conditions on another particle's trajectory", other=True),
    _pmcmc("reference competes with its whole weight", competes=True),
    _pmcmc("offspring of the reference replay it", n=3, replays=True),
    Mutant(LAWS, "truncated but not renormalised", densities.truncated(renormalised=False),
           SameDensity(), FOUR),
    Mutant(LAWS, "spurious first transition", densities.hidden_states(moved_first=True),
           SameDensity(), STATES),
    Mutant(LAWS, "batch and sample axes swapped", densities.rows(swapped=True), SameDensity(),
           ROWS),
    Mutant(LAWS, "an atom left out", densities.brute_force(upto=2), Enumerates(), STEPS),
    Mutant(LAWS, "a score left out of a sum", densities.brute_force(score=False), Enumerates(),
           STEPS),
    Mutant(LAWS, "a pass takes scores for dead code", densities.drops_scores, Measure(), STEPS,
           TRACES),
    Mutant(KEYS, "one key for all particles", smc.planted(smc.one_key_for_all_particles), W, SHORT,
           STAGES, PARTICLES),
    Mutant(KEYS, "the key of the step before", smc.planted(smc.the_step_before_s_key), W, SHORT,
           STAGES, PARTICLES),
    Mutant(KEYS, "a key used twice", densities.pair_of_draws(one_key=True), W, ONCE, TRACES),
    Mutant(SMC, "weights not reset, compiled", densities.compiled(lambda w, a, level: (a, w)), W,
           ONCE, STAGES),
    Mutant(PMCMC, "pasts by their weights alone, compiled",
           going_on.smoothed(going_on.by_weight_alone), W, going_on.HIDDEN),
    Mutant(PMCMC, "pasts off by one, compiled", going_on.smoothed(going_on.off_by_one), W,
           going_on.HIDDEN),
    Mutant(SMC, "weights lost where a filter goes on, compiled",
           going_on.extended(going_on.levelled), W, going_on.FOLDED),
    *numeric.MUTANTS,
)  # fmt: skip

EQUIVALENT = (
    Equivalent("carried weights overwritten", "every point resamples",
               smc.planted(smc.carried_overwritten, policy=smc.ALWAYS), W, SHORT),
    Equivalent("correction for the number of choices left out", "all traces have as many",
               moves.single_site(length=0), Invariant(), STEPS),
    Equivalent("the mean before resampling lost", "only the normalised law is asked for",
               smc.scheme(lambda w, o: smc.systematic(
                   w, o, points=lambda n, u: (np.arange(n) + u) / n, mean=False)),
               Posterior(), STEPS),
    Equivalent("ancestors in order", "no backward pass reads the order",
               particle_gibbs.conditional(ordered=True), Invariant(), CHAIN),
    Equivalent("rejuvenation for the final target", "it is the current one",
               moves.independent(), Reversible(), STEPS),
    Equivalent("a key used twice", "the two keys differ", densities.pair_of_draws(one_key=False),
               W, ONCE),
    *numeric.EQUIVALENT,
)  # fmt: skip
