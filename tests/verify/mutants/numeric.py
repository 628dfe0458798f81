"""Entries of the table that are caught at the numeric and sequential levels."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ppl.verify import (
    ChangesVariables,
    Estimator,
    Integrator,
    Invariant,
    Involution,
    KeepsVolume,
    Metropolis,
    OnOrbit,
    Reversible,
    SameDensity,
    UnbiasedGradient,
)
from ppl.verify.orbits import enumerated
from tests.verify.mutants import estimators as e
from tests.verify.mutants import hamiltonian as h
from tests.verify.mutants import transforms as t
from tests.verify.mutants.mutant import Equivalent, Mutant

HMC, OTHERS, LAWS = "HMC, NUTS", "other kernels", "densities, transforms"
GRADIENTS = "VI, enumeration"


def _mutant(kind: str, name: str, subject: Any, contract: Any) -> Mutant:
    return Mutant(kind, name, lambda: subject, contract, None, level="auto")


def _hamiltonian(name: str, map: Any, accept: Any) -> Mutant:
    return _mutant(HMC, name, Involution(map, accept, extra=2), Reversible())


def on_orbit(*step_sizes: float, **wrong: bool) -> OnOrbit:
    """NUTS with one of its parts wrong, of two doublings."""
    transition = h.variant(**wrong)
    return OnOrbit(enumerated(transition), depth=2, step_sizes=step_sizes or (0.9,))


def _tree(name: str, **wrong: bool) -> Mutant:
    return _mutant(HMC, name, on_orbit(**wrong), Invariant())


def _gradient(name: str, estimate: Any, objective: Any) -> Mutant:
    return _mutant(
        GRADIENTS, name, Estimator(estimate, objective, e.THETA), UnbiasedGradient()
    )  # fmt: skip


def _moves(name: str, propose: Any, accept: Any) -> Mutant:
    return _mutant(OTHERS, name, Metropolis(propose, accept), Reversible())


def _integrator(name: str, step: Any) -> Mutant:
    return _mutant(HMC, name, Integrator(step, size=2), KeepsVolume())


MUTANTS = (
    _integrator("leapfrog: whole steps at one end", lambda q, p: h.leapfrog(q, p, first=1, last=0)),
    _integrator("Euler's method", lambda q, p: (q + h.EPS * p, p + h.EPS * h.uphill(q))),
    _integrator("friction", lambda q, p: h.leapfrog(q, 0.9 * p)),
    _hamiltonian("never rejected", h.trajectory, lambda x, y: 1.0),
    _hamiltonian("kinetic energy left out", h.trajectory,
                 h.accept_by(lambda x: h.energy(x, kinetic=0.0))),
    _hamiltonian("sign of the energy", h.trajectory, h.accept_by(lambda x: -h.energy(x))),
    _hamiltonian("a variance of 3.012 for 3", h.trajectory,
                 h.accept_by(lambda x: 3 / 3.012 * h.energy(x))),
    _hamiltonian("momenta not turned round", lambda x: h.trajectory(x, turned=False),
                 h.accept_by(h.energy)),
    _tree("U-turn not checked on the merged trajectory", merged=False),
    _tree("momentum sum of the newer half alone", whole_sums=False),
    _tree("subtrees not checked", subtrees=False),
    _tree("a subtree that turned not discarded", discarded=False),
    _tree("an accept step after the picks", extra=True),
    _tree("trees weighed by their sizes", uniform=True),
    _moves("MALA with minus the gradient", lambda x, z: h.mala(x, z, sign=-1), h.mala_ratio),
    _moves("MALA without its correction", h.mala,
           lambda x, y: h.mala_ratio(x, y, corrected=False)),
    _moves("a multiplicative step without its Jacobian", lambda x, z: x * jnp.exp(0.3 * z),
           lambda x, y: h.mala_ratio(x, y, corrected=False)),
    _moves("elliptical slice refreshing only the first number",
           lambda x, z: h.on_the_ellipse(x, z, refreshed=(1.0, 0.01)), h.likelihood_ratio),
    *(_mutant(LAWS, name, wrong, ChangesVariables()) for name, wrong in t.WRONG_MAPS.items()),
    *(_mutant(LAWS, name, wrong, SameDensity()) for name, wrong in t.WRONG_LAWS.items()),
    _gradient("subsample scale squared", e.with_(e.subsampled, power=2), e.whole),
    _gradient("multi-sample normalisation overwritten", e.with_(e.multi_sample, normalised=False),
              e.several),
    _gradient("discrete gradient silently 0 inside a loop", e.with_(e.through_the_loop, inside=False),
              e.chain),
    _gradient("score function in a branch, then a nonlinear function",
              e.with_(e.through_the_branch, whole=False), e.squared),
    _gradient("derivative of the reward left out", e.with_(e.score_function, path=0.0), e.reward),
    _gradient("score left out", e.with_(e.score_function, likelihood=0.0), e.reward),
    _gradient("two sites sharing a key", e.with_(e.two_sites, names=("z", "z")), e.two),
    _gradient("a constant factor", e.with_(e.scaled, by=9), e.whole),
)  # fmt: skip

EQUIVALENT = (
    Equivalent("position passed as momentum", "every state of a trajectory agrees on the criterion",
               lambda: on_orbit(q=True), Invariant(), None),
    Equivalent("minus the gradient", "the correction has it, too",
               lambda: Metropolis(lambda x, z: h.mala(x, z, sign=-1),
                                  lambda x, y: h.mala_ratio(x, y, sign=-1)), Reversible(), None),
)  # fmt: skip
