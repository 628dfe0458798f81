"""`make verify`, on a program or two of a few subjects: what the table says holds, and the command
says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ppl import kernels
from ppl.semantics.xla.sites import Free
from ppl.verify import Measure, ProperlyWeighted, Reversible, Sampler, search
from ppl.verify.runnable import Runnable
from ppl.verify.search import Failure, Searched, joined, seed_of
from ppl.verify.verdict import Report, Verdict
from tests.verify.suite import compiled, continuous, run
from tests.verify.suite.entries import PLAIN_STAGES, Entry
from tests.verify.suite.table import COMPILED, DENSITIES, MACHINE, TABLE

#: of the others there are checks next to their own tests
SLICE = ("the law itself", "given", "do", "resample residual", "guided smc", "kernel gibbs")


@pytest.mark.parametrize("entry", [e for e in MACHINE if e.name in SLICE], ids=lambda e: e.name)
def test_a_subject_keeps_its_contract(entry):
    found = entry.run(2, shrink=0.0)
    assert found.outcome == "PASS", found.failure
    assert found.programs == 2 and found.levels == {"exact": 2} and found.paths >= 5


def test_compiled_subjects_are_in_the_table():
    """One is compiled here; `make verify` does the others."""
    assert {"xla importance", "xla smc", "xla exact", "xla sums"} <= {e.name for e in COMPILED}
    found = Entry("short", compiled.sums, COMPILED[1].contract, COMPILED[1].programs).run(1)
    assert found.outcome == "PASS" and found.programs == 1


@pytest.mark.usefixtures("quick_compilation")
def test_a_random_walk_that_drifts_is_found(monkeypatch):
    """On a density that a generated program has when its probabilities are tilted."""
    step = continuous.step

    def drifting(move, target, z, noise):
        return step(move, target, z, noise + 0.1)

    monkeypatch.setattr(continuous, "step", drifting)
    walk = continuous.metropolis(kernels.random_walk(scale=0.4, adapt=False))
    found = Entry("drifts", walk, Reversible(), DENSITIES, level="numeric").run(1, shrink=0.0)
    assert found.outcome == "FAIL"
    verdict = found.failure.verdict
    assert "log flow" in verdict.why and "w ~ normal(u" in verdict.counterexample.program


@pytest.mark.usefixtures("quick_compilation")
def test_coordinates_scaled_without_their_jacobian_are_found(monkeypatch):
    standardised = Free._standardised
    monkeypatch.setattr(
        Free,
        "_standardised",
        lambda self, *about: standardised(replace(self, jacobian=not self.jacobian), *about),
    )
    entry = Entry("other", continuous.standardised, Measure(), DENSITIES, level="numeric")
    found = entry.run(1, shrink=0.0)
    assert found.outcome == "FAIL" and "log density" in found.failure.verdict.why


def test_names_are_unique_and_programs_have_two_stages_where_populations_go_from_point_to_point():
    assert len({e.name for e in TABLE}) == len(TABLE)
    others = {"rmsmc", "xla rmsmc", "rao_blackwellize smc"}
    assert all(
        e.programs["stages"] == 2 for e in TABLE if e.name.endswith("smc") and e.name not in others
    )
    assert PLAIN_STAGES["stages"] == 2


def test_a_subject_is_made_once_for_the_programs_of_a_text():
    made, checked = [], []

    def make(program):
        made.append(program.source)
        return Sampler(lambda model, omega: checked.append(model.source) or model.run(omega))

    found = search("variants", make, ProperlyWeighted(), examples=6, variants=3, size=0, paths=6)
    assert found.outcome == "PASS" and found.programs == 6
    assert len(found.texts) == 2 and len(made) == 2 and len(set(checked)) == 6


def test_a_failure_of_another_program_of_a_text_is_found_and_shrunk():
    def make(program):
        first = Runnable.of(program).law(100).evidence

        def run(model, omega):
            execution = model.run(omega)
            return execution, execution.log_weight + (model.law(100).evidence != first)

        return Sampler(run)

    found = search(
        "others", make, ProperlyWeighted(), examples=40, variants=3, size=0, paths=6, stages=1
    )
    assert found.outcome == "FAIL" and found.programs == 2  # the second of them
    assert found.failure.lines <= 6


def verdict(outcome):
    return Verdict(outcome, ProperlyWeighted(), "because", Report(paths=7))


def test_searches_are_joined_and_the_command_fails_if_one_does(capsys, monkeypatch):
    first, second = Searched(), Searched()
    for key, found in (("a", first), ("b", first), ("b", second), ("c", second)):
        found.count(key, verdict("PASS"))
    second.count("d", verdict("INCONCLUSIVE"))
    whole = joined([first, second])
    assert (whole.programs, whole.undecided, whole.paths) == (3, 1, 35)
    failing = Searched(failure=Failure(verdict("FAIL"), {}, 0.1, 5, 0.2))
    assert joined([first, failing]).outcome == "FAIL"
    for result, status in ((whole, 0), (failing, 1), (Searched(), 1)):
        monkeypatch.setattr(run, "_run", lambda *_, result=result: iter([(TABLE[0], result)]))
        assert run.main(["--only", TABLE[0].name]) == status
    assert "keep their laws" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run.main(["--only", "nothing of that name"])


def test_seeds_are_the_same_in_every_process():
    """In which sets of texts stand in other orders."""
    features = frozenset(("scan", "mem", "calls", "for", "tuples"))
    assert seed_of("x", {"features": features}) == 8_267_482_660_934_869_099
