"""The kit finds planted bugs, each of which was one of a released system, and passes the right code.

The table of mutants is that of `make mutants`. Most are caught at the exact and numeric levels; a
test at the sequential level has one verdict, since its seeds are hashes.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from ppl import kernels
from ppl.semantics.passes import PASSES
from ppl.verify import (
    Enumerates,
    Estimator,
    Invariant,
    Measure,
    Metropolis,
    Pair,
    Posterior,
    ProperlyWeighted,
    Resampler,
    Reversible,
    SameDensity,
    UnbiasedGradient,
    check,
    search,
)
from tests.verify.mutants import (
    densities,
    estimators,
    hamiltonian,
    moves,
    particle_gibbs,
    smc,
    table,
)
from tests.verify.mutants.mutant import CHAIN, LENGTHS, SHORT, STEPS, UNEVEN
from tests.verify.mutants.run import main
from tests.verify.suite import machine

W = ProperlyWeighted()


#: compiled code takes longer: `test_compiled` has one such
QUICK = [m for m in table.MUTANTS if "compiled" not in m.name]


@pytest.mark.parametrize("mutant", QUICK, ids=lambda m: f"{m.kind}: {m.name}")
def test_a_mutant_is_found(mutant):
    verdict = mutant.check()
    assert verdict.outcome == "FAIL", verdict
    example = verdict.counterexample
    assert example is not None
    if mutant.level == "exact" and isinstance(mutant.contract, (Invariant, ProperlyWeighted)):
        assert example.tape is not None or example.found == 0


@pytest.mark.parametrize("same", table.EQUIVALENT, ids=lambda e: f"{e.name}, {e.why}")
def test_a_mutant_that_changes_nothing_passes(same):
    verdict = check(same.make(), same.example, same.contract)
    assert verdict.ok, verdict


def test_there_are_mutants_of_every_kind_and_they_are_short():
    """At most a hundred lines of setup for a class of them."""
    kinds = {m.kind for m in table.MUTANTS}
    assert len(kinds) >= 7 and len(table.EQUIVALENT) >= 3
    for module in (smc, moves, particle_gibbs, densities):
        for name, made in inspect.getmembers(module, inspect.isfunction):
            if made.__module__ == module.__name__:
                assert len(inspect.getsource(made).splitlines()) <= 100, name


@pytest.mark.parametrize(
    "name",
    ["weights not reset after resampling", "correction for the number of choices left out"],
)
def test_generated_programs_show_a_mutant_and_are_made_small(name):
    (mutant,) = (m for m in table.MUTANTS if m.name == name)
    found = search(
        name, lambda program, **sizes: mutant.make(**sizes), mutant.contract, shrink=10.0,
        sizes=mutant.sizes, **mutant.programs,
    )  # fmt: skip
    assert found.outcome == "FAIL" and found.failure.lines <= 9, found.failure.verdict
    again = search(
        name, lambda program, **sizes: mutant.make(**sizes), mutant.contract, shrink=0.0,
        sizes=mutant.sizes, **mutant.programs,
    )  # fmt: skip
    assert again.paths == found.paths  # the same programs, up to the first failure


def test_the_command_says_what_was_caught(capsys):
    assert main(["--only", "expected nowhere"]) == 0
    assert "0 of 0 are caught" in capsys.readouterr().out
    assert main(["--only", "slice bracket"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 are caught" in out and "exact" in out


# ------------------------------------------------------------------------------- the right versions


@pytest.mark.parametrize(
    ("program", "policy", "traces"),
    [(STEPS, smc.ALWAYS, 6), (SHORT, smc.ALWAYS, 4), (SHORT, smc.SOMETIMES, 4)],
    ids=["always", "always, in short", "sometimes"],
)
def test_smc_is_properly_weighted(program, policy, traces):
    verdict = check(smc.planted(smc.right, policy=policy)(), program, W)
    assert verdict.ok, verdict
    assert verdict.report.compared == traces and verdict.report.paths > 100


def test_particles_that_end_early_keep_their_weights():
    verdict = check(smc.smc(smc.right), UNEVEN, W)
    assert verdict.ok, verdict
    assert verdict.report.compared == 5


def test_right_proposals_and_temperatures_pass():
    assert check(smc.optimal_proposal(own_weight=True), STEPS, W).ok
    verdict = check(smc.tempered(sign=1)(), SHORT, W)
    assert verdict.ok and verdict.report.paths > 60, verdict


def test_right_rejuvenation_ellipses_and_branches_pass():
    assert check(moves.rejuvenated(discarded=False)(), STEPS, W).ok
    ellipse = Metropolis(hamiltonian.on_the_ellipse, hamiltonian.likelihood_ratio)
    assert check(ellipse, None, Reversible()).ok
    branch = estimators.through_the_branch, estimators.squared, estimators.THETA
    assert check(Estimator(*branch), None, UnbiasedGradient()).ok


def test_right_resamplers_pass():
    def even(n, u):
        return (np.arange(n) + u) / n

    for run in (
        lambda w, o: smc.systematic(w, o, points=even),
        lambda w, o: smc.residual(w, o, remainders=True),
    ):
        verdict = check(Resampler(run), STEPS, W)
        assert verdict.ok, verdict
    lost = lambda w, o: smc.systematic(w, o, points=even, mean=False)  # noqa: E731
    verdict = check(Resampler(lost), STEPS, W)
    assert verdict.outcome == "FAIL" and "times what it should be" in verdict.why


def test_wrong_resamplers_leave_the_evidence_right():
    for mutant in table.MUTANTS:
        if mutant.kind == table.RESAMPLE:
            assert "the total is right" in mutant.check().why


@pytest.mark.parametrize("contract", [Invariant(), Reversible()])
def test_right_moves_pass(contract):
    for kernel in (machine.kernel(kernels.prior())(None), moves.single_site()()):
        verdict = check(kernel, LENGTHS, contract)
        assert verdict.ok, verdict
        assert verdict.report.paths > 40
    for make in (moves.walk(redrawn=False), moves.gibbs(), moves.slice_move(placed=True)):
        assert check(make(), STEPS, contract).ok
    assert check(moves.reflected(from_old=False)(), table.WALKERS, Invariant()).ok
    assert check(moves.stretched(anchored=True)(), table.WALKERS, contract).ok


def test_a_move_must_keep_the_current_target_and_not_the_final_one():
    """Scores to the power 0.4: moves of the posterior are wrong there, and those at 0.4 are right."""
    for power in (0.4, 1.0):
        right = moves.independent(power=power)()
        assert check(right, STEPS, Reversible(temperature=power)).ok
        assert check(right, STEPS, Invariant(temperature=1.4 - power)).outcome == "FAIL"


def test_conditional_smc_keeps_the_posterior():
    verdict = check(particle_gibbs.conditional()(3), CHAIN, Invariant())
    assert verdict.ok, verdict
    assert verdict.report.compared == 4


def test_right_densities_enumerations_and_passes_pass():
    pairs: list[tuple[Pair, str]] = [
        (densities.truncated(renormalised=True)(), table.FOUR),
        (densities.hidden_states(moved_first=False)(), table.STATES),
        (densities.rows(swapped=False)(), table.ROWS),
    ]
    for pair, program in pairs:
        verdict = check(pair, program, SameDensity())
        assert verdict.ok, verdict
    assert check(densities.brute_force()(), STEPS, Enumerates()).ok
    for made in PASSES.values():
        verdict = check(made, STEPS, Measure())
        assert verdict.ok, verdict
    assert check(densities.brute_force()(), STEPS, Posterior()).ok
