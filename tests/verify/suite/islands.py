"""Programs with conjugate continuous parts, as programs that can be enumerated.

Integrated out, a continuous site is drawn after all that is scored: whatever value it is given, the
rest is finite. It is given the median of its law, which tells the laws apart. As it stands, it can
be drawn from the nodes of a Gaussian quadrature, which has the moments of its law as far as
likelihoods need them, if those are polynomials of the site.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scipy import special

from ppl.semantics.machine import Execution
from ppl.semantics.machine.distributions import FAMILIES
from ppl.semantics.machine.state import Draw, State
from ppl.semantics.machine.tape import explore
from ppl.verify import Enumeration, Sampler, Sequential, check
from ppl.verify.contracts import Contract, Enumerates, ProperlyWeighted
from ppl.verify.islands import Args, Islands
from ppl.verify.runnable import Atom, Law, Runnable, canonical, trace_of
from ppl.verify.subjects import Numeric
from ppl.verify.tapes import MachineTape
from ppl.verify.verdict import Verdict
from tests.verify.suite import machine

#: how a continuous draw is made: (draw, path, family, args) -> value
Instead = Callable[[Draw, int, Any, Any], Any]
#: paths of a check
LIMIT = 1_000


@dataclass(frozen=True)
class Finite:
    """A source whose continuous draws are others."""

    source: Any
    instead: Instead

    def at(self, step: int, slot: int) -> Finite:
        return Finite(self.source.at(step, slot), self.instead)

    def begin(self, state: State) -> Draw:
        inner, instead = self.source.begin(state), self.instead

        def draw(path: int, family: Any, args: Any) -> Any:
            other = family.values is None
            return instead(inner, path, family, args) if other else inner(path, family, args)

        return draw

    def draw(self, path: int, family: Any, args: Any) -> Any:
        return self.source.draw(path, family, args)

    def mark(self) -> Any:
        return self.source.mark()

    def restore(self, mark: Any) -> None:
        self.source.restore(mark)


def median(draw: Draw | None, path: int, family: Any, args: Any) -> Any:
    """Always the same, of the same law."""
    return family.sample(0.5, 1, *args)


@dataclass(frozen=True)
class Nodes:
    """A rule of quadrature in a distribution's place."""

    name: str
    rule: tuple[tuple[Any, float], ...]

    def support(self, *args: Any) -> Any:
        return list(self.rule)


def nodes(draw: Draw, path: int, family: Any, args: Any) -> Any:
    """One of a few, in the place of a draw from a beta or dirichlet distribution."""
    return draw(path, Nodes(family.name, rule(family.name, canonical(args))), ())


@lru_cache(maxsize=256)
def rule(name: str, args: Any) -> tuple[tuple[Any, float], ...]:
    """Nodes and probabilities with the distribution's moments of total degree 7."""
    if name == "beta":
        a, b = args
        x, w = special.roots_jacobi(4, b - 1, a - 1)
        return tuple(zip(((x + 1) / 2).tolist(), (w / w.sum()).tolist(), strict=True))
    ((first, *rest),) = args
    if not rest:
        return (((1.0,), 1.0),)
    left = rule("dirichlet", (tuple(rest),))
    return tuple(
        ((x, *((1 - x) * y for y in others)), p * q)
        for x, p in rule("beta", (first, sum(rest)))
        for others, q in left
    )


@dataclass(frozen=True, eq=False)
class OnIslands(Runnable):
    """A program with islands. Its law is the oracle's, by what is `seen` of an execution."""

    oracle: Mapping[Hashable, float]
    instead: Instead
    seen: Callable[[Execution], Hashable]

    def paths(self, limit: int) -> list[tuple[Execution, float]]:
        """Every execution that has mass, and its mass by what runs it."""

        def once(tape: MachineTape) -> tuple[Execution, float]:
            e = self.machine.run(self.data, Finite(tape, self.instead))
            return e, float(tape.probability) * math.exp(e.log_weight)

        return [(e, mass) for e, mass in explore(once, limit=limit) if mass > 0]

    def law(self, limit: int, atom: Callable[[Execution], Atom] = trace_of) -> Law:
        paths, shares = self.paths(limit), defaultdict(float)
        for e, mass in paths:
            shares[self.seen(e)] += mass
        # by the oracle, whatever the masses are: of one point, in proportion
        masses = {
            atom(e): self.oracle.get(k := self.seen(e), 0.0) * m / shares[k] for e, m in paths
        }
        masses |= {
            Atom((), ("nothing has", k)): m for k, m in self.oracle.items() if k not in shares
        }
        executions: dict[Hashable, Execution] = {atom(e): e for e, _ in paths}
        return Law({k: m for k, m in masses.items() if m > 0}, executions, len(paths), False)


def seen(execution: Execution) -> Hashable:
    """The result, which is of all finite choices, and the sites that were integrated out."""
    late = {k.rpartition("/")[2]: v for k, v in execution.sites.items()}
    return canonical(execution.result), tuple(
        (k, canonical(v)) for k, v in sorted(late.items()) if k.startswith("s")
    )


def collapsed(program: Islands) -> OnIslands:
    """Its continuous sites integrated out."""
    target = Runnable.of(program).target.rao_blackwellize()
    oracle: dict[Hashable, float] = {}
    for result, (mass, posteriors) in program.law().items():
        known = tuple(
            (name, canonical(median(None, 0, FAMILIES[prior], floats(prior, args))))
            for name, (prior, args) in sorted(posteriors.items())
        )
        oracle[canonical(result), known] = float(mass)
    return OnIslands(target, repr(program).strip("\n"), oracle, median, seen)


def discrete(program: Islands) -> OnIslands:
    """Its continuous sites drawn from nodes."""
    oracle = {canonical(r): float(mass) for r, (mass, _) in program.law().items()}
    target, source = Runnable.of(program).target, repr(program).strip("\n")
    return OnIslands(target, source, oracle, nodes, lambda e: canonical(e.result))


def floats(prior: str, args: Args) -> Args:
    out = tuple(map(float, args))
    return (out,) if prior == "dirichlet" else out


def finite(subject: Any, instead: Instead) -> Any:
    """The same with sources whose continuous draws are others."""
    match subject:
        case Sampler(run=run):
            return Sampler(lambda model, omega: run(model, Finite(omega, instead)))
        case Sequential(begin=begin, step=step):
            return Sequential(begin, lambda at, omega, t: step(at, Finite(omega, instead), t))
    raise AssertionError(subject)


@dataclass(frozen=True, eq=False)
class Checked(Numeric):
    """A subject, on what is made of the program."""

    subject: Any
    made: Callable[[Any], OnIslands]
    takes = (ProperlyWeighted, Enumerates)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        model, subject = self.made(program), self.subject
        if not isinstance(subject, Enumeration):
            subject = finite(subject, model.instead)
        return check(subject, model, contract, limit=LIMIT, level="exact")


def on(made: Callable[[Any], OnIslands], make: Callable[..., Any]) -> Callable[..., Checked]:
    """What `make(program, **sizes)` is, on what is made of the program."""
    return lambda program, **sizes: Checked(make(program, **sizes), made)


def pair(program: Any, **settings: Any) -> Sequential:
    """Two particles, from suspension point to suspension point."""
    return machine.smc(program, **settings).make(2)


def listed(program: Any) -> Enumeration:
    """Every path, with nodes."""

    def run(model: OnIslands) -> Any:
        out: dict[Hashable, float] = defaultdict(float)
        for e, mass in model.paths(LIMIT):
            out[canonical(e.result)] += mass
        return out

    return Enumeration(run)
