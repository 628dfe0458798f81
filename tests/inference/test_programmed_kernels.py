"""Kernels that users write, proposals and involutions: exactly over traces of unequal length, by
their ways there and back where values are continuous, and against a posterior over dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import expon, norm

import ppl
from ppl import kernels
from ppl.inference.kernels.machine import involution, proposing
from ppl.inference.kernels.machine.program import Program
from ppl.inference.kernels.machine.steps import Tally, step_of
from ppl.inference.kernels.machine.traces import Turns, first_trace
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.machine import MachineKey
from ppl.verify import Reversible, check
from tests.inference.test_machine_kernels import LENGTHS, subject

Q = ppl.compile("""
# which other sites there are depends on what is proposed; impossible values are proposed, too
model length(old_n: nat) { n ~ categorical([[0.1, 0.3, 0.6], [0.5, 0.2, 0.3], [0.35, 0.65, 0]][old_n]) }

# the proposal of one depends on the other; its sites are those of the trace that it comes to
model both(now: {n: nat, last: bool}, odds: prob) {
  n ~ categorical([[0.2, 0.5, 0.3], [0.4, 0.6, 0], [0.25, 0.25, 0.5]][now.n])
  last ~ bernoulli(if now.last { odds } else { [0.15, 0.6, 0.45][n] })
}
model some(old_n: nat) {
  n ~ categorical([[0.2, 0.5, 0.3], [0.4, 0.6, 0], [0.25, 0.25, 0.5]][old_n])
  a ~ if n == 0 { return 0 } else { a ~ categorical([0.3, 0.3, 0.4]); return a }
}
model flips() { c ~ bernoulli(0.3) }
model scoring() { n ~ categorical([0.2, 0.5, 0.3]); factor 0.4 }
model strange() { m ~ categorical([0.2, 0.5, 0.3]) }
""")


def swapped(x, u):
    """`last` changes where the coin says so, whose other side would bring it back as likely."""
    return {**x, "last": x["last"] != u["c"]}, u


EXACT = {
    "a site": kernels.proposal(Q.length),
    "several, one after the other": kernels.proposal(Q.both, odds=0.8),
    "sites that appear": kernels.proposal(Q.some),
    "involution": kernels.involution(swapped, Q.flips),
}


@pytest.mark.parametrize("name", EXACT)
def test_kernels_of_users_are_reversible(name):
    verdict = check(subject(EXACT[name]), LENGTHS, Reversible())
    assert verdict.ok, verdict
    assert verdict.report.paths > 20


class Omitted(proposing.Replaying):
    """The density of proposing the way back is left out."""

    @property
    def log_density(self):
        return 0.0

    @log_density.setter
    def log_density(self, value):
        pass


class KeptForgotten(proposing.Proposed):
    """What depends on the new values, and is kept, does not count (JuliaBUGS, WebPPL)."""

    @property
    def log_ratio(self):
        return math.fsum(s.log_prob(s.value) for k, s in self.sites.items() if k in self.proposed)

    @log_ratio.setter
    def log_ratio(self, value):
        pass


@pytest.mark.parametrize("wrong", ["omitted", "kept forgotten", "forward added"])
def test_a_proposal_whose_ratio_is_wrong_is_found(monkeypatch, wrong):
    """Proposal probability omitted (WebPPL), with the wrong sign (Gen), added instead of subtracted
    (Pyro)."""
    right = proposing.accepts
    if wrong == "omitted":
        monkeypatch.setattr(proposing, "Replaying", Omitted)
    elif wrong == "kept forgotten":
        monkeypatch.setattr(proposing, "Proposed", KeptForgotten)
    else:
        first = proposing.first_trace
        last = {}

        def noting(run, source):
            last[0] = first(run, source)
            return last[0]

        def accepts(log_ratio, source):
            q = sum(s.log_prob(s.value) for s in last[0].sites.values())
            return right(log_ratio + 2 * q, source)

        monkeypatch.setattr(proposing, "first_trace", noting)
        monkeypatch.setattr(proposing, "accepts", accepts)
    for kernel in (kernels.proposal(Q.both, odds=0.8), kernels.proposal(Q.length)):
        found = check(subject(kernel), LENGTHS, Reversible()).outcome
        # the first never keeps a site whose law changes
        assert found == ("PASS" if wrong == "kept forgotten" and kernel.data else "FAIL")


# --------------------------------------------------------------------- jumps between dimensions

#: one mean for all, or one for each half; known: the evidence of either
JUMPS = ppl.compile("""
model halves(y: [real]) {
  two ~ bernoulli(0.4)
  at ~ if two { a ~ normal(0, 2); b ~ exponential(0.7); return (a, b) } else { m ~ normal(0, 2); return (m, m) }
  observe y ~ normal([at.0, at.0, at.1, at.1], 1)
  return two
}
model width(two: bool) { u ~ if two { return 0.0 } else { w ~ normal(0, 0.8); return w } }
""")
TARGET = JUMPS.halves(y=[0.3, 1.1, -0.6, 0.9])


def split(x, u):
    """m and w to a = m + w and b = exp(m - 2 w), and back."""
    if not x["two"]:
        m, w = x["at/else/m"], u["u/else/w"]
        return {"two": True, "at/then/a": m + w, "at/then/b": math.exp(m - 2 * w)}, {}
    a, b = x["at/then/a"], x["at/then/b"]
    m = (2 * a + math.log(b)) / 3
    return {"two": False, "at/else/m": m}, {"u/else/w": a - m}


def log_slope(x, u):
    if not x["two"]:
        return math.log(3) + x["at/else/m"] - 2 * u["u/else/w"]
    return -math.log(3 * x["at/then/b"])


def joint(values):
    """log of the joint density of JUMPS, by hand."""
    y = np.array([0.3, 1.1, -0.6, 0.9])
    if values["two"]:
        a, b = values["at/then/a"], values["at/then/b"]
        prior = math.log(0.4) + norm.logpdf(a, 0, 2) + expon.logpdf(b, scale=1 / 0.7)
        return prior + norm.logpdf(y, [a, a, b, b], 1).sum()
    m = values["at/else/m"]
    return math.log(0.6) + norm.logpdf(m, 0, 2) + norm.logpdf(y, m, 1).sum()


@pytest.mark.parametrize("given", [None, log_slope], ids=["by differences", "given"])
def test_the_ratio_of_a_jump_is_that_of_green_both_ways(given, monkeypatch):
    ratios = []
    monkeypatch.setattr(involution, "accepts", lambda r, source: ratios.append(r) or True)
    program = Program.of(TARGET.machine, TARGET.plain)
    step = step_of(kernels.involution(split, JUMPS.width, log_jacobian=given), program)
    turns, seen = Turns(MachineKey(5)), 0
    for seed in range(20):
        x = first_trace(program.run, MachineKey(seed))
        before = program.again(x, MachineKey(0)).sites
        after = program.again(step(x, turns, Tally()), MachineKey(0)).sites
        if before["two"]:
            continue
        w = after["at/then/a"] - before["at/else/m"]
        by_hand = joint(after) - joint(before) - norm.logpdf(w, 0, 0.8)
        by_hand += log_slope(before, {"u/else/w": w})
        assert ratios[-1] == pytest.approx(by_hand, abs=1e-8)
        seen += 1
    assert seen >= 3
    # a jump back: the density of the auxiliary value is that at the trace that it comes to
    x = first_trace(program.run, MachineKey(1))
    before = program.again(x, MachineKey(0)).sites
    after = program.again(step(x, turns, Tally()), MachineKey(0)).sites
    assert before["two"] and not after["two"]
    w = before["at/then/a"] - after["at/else/m"]
    by_hand = joint(after) - joint(before) + norm.logpdf(w, 0, 0.8) + log_slope(before, {})
    assert ratios[-1] == pytest.approx(by_hand, abs=1e-8)


def test_jumps_find_the_posterior_of_a_dimension():
    """P(two) against quadrature, within 4.5 standard errors by the chains' effective sample size (a
    fixed seed; 7e-6 had it been random)."""
    one = quad(lambda m: math.exp(joint({"two": False, "at/else/m": m})), -6, 6)[0]
    # given two, a and b are independent: the square of a one-dimensional integral each
    at = lambda a, b: math.exp(joint({"two": True, "at/then/a": a, "at/then/b": b}))  # noqa: E731
    corner = at(0.5, 0.4)
    two = quad(lambda a: at(a, 0.4), -6, 6)[0] * quad(lambda b: at(0.5, b), 0, 8)[0] / corner
    known = two / (one + two)
    kernel = kernels.involution(split, JUMPS.width).then(kernels.random_walk(adapt=False).on("at"))
    method = ppl.mcmc(kernel=kernel, chains=2, draws=500, warmup=20)
    found = ppl.infer(TARGET, method, seed=3, engine="machine", progress=False)
    size = found.convergence.ess_bulk[list(found.scalars[0]).index("two")]
    assert size > 80
    assert abs(found["two"].mean() - known) < 4.5 * math.sqrt(known * (1 - known) / size)


def gone(x, u):
    return {**x, "n": (x["n"] + 1) % 3}, u


WRONG = {
    "no involution": (kernels.involution(gone), "E867"),
    "missing values": (kernels.involution(lambda x, u: ({"n": x["n"]}, u)), "E867"),
    "no mappings": (kernels.involution(lambda x, u: 3), "E867"),
    "scores": (kernels.proposal(Q.scoring), "E866"),
    "a strange site": (kernels.proposal(Q.strange), "E866"),
    "a restricted one": (kernels.proposal(Q.length).on("n"), "E811"),
    "unknown data": (kernels.proposal(Q.length, m=3), "E601"),
    "unknown value": (kernels.proposal(JUMPS.width), "E855"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_user_does_wrong_is_said(name):
    kernel, code = WRONG[name]
    method = ppl.mcmc(kernel=kernel, chains=1, draws=20, warmup=0)
    with pytest.raises(DiagnosticError, match=code):
        ppl.infer(LENGTHS, method, engine="machine", progress=False)


def test_a_wrong_jacobian_is_found():
    half = lambda x, u: log_slope(x, u) / 2  # noqa: E731
    kernel = kernels.involution(split, JUMPS.width, log_jacobian=half)
    method = ppl.mcmc(kernel=kernel, chains=1, draws=20, warmup=0)
    with pytest.raises(DiagnosticError, match="E867.*log Jacobian"):
        ppl.infer(TARGET, method, engine="machine", progress=False)


def test_what_is_no_model_and_no_function_is_refused():
    with pytest.raises(DiagnosticError, match="E817"):
        kernels.proposal(3)
    with pytest.raises(DiagnosticError, match="E811"):
        kernels.involution(3)
