"""The solver of shape constraints: unification at once, and constraints that wait.

A waiting constraint hangs on the unknowns that would let it go on, so the work is linear.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.report import Place, mismatch
from ppl.lang.check.terms import ERROR, Con, Meta, Mismatch, Term, prune


class Constraint:
    """Something that must hold. `attempt` acts as far as it can."""

    __slots__ = ("place", "done")

    def __init__(self, place: Place):
        self.place = place
        self.done = False

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        """None when settled, else the terms whose solution may let it go on."""
        raise NotImplementedError

    def guess(self, solver: Solver) -> None:
        """Nothing more will become known: take the simplest reading, or report."""

    def leanings(self) -> Iterable[tuple[Meta, Term]]:
        """What it would take unknowns for, where a function is not called at any type."""
        return ()


class Solver:
    def __init__(self) -> None:
        self.queue: deque[Constraint] = deque()
        self._depth = 0

    def wake(self, constraints: list[Constraint]) -> None:
        self.queue.extend(constraints)

    def add(self, constraint: Constraint) -> None:
        constraint.place.body.constraints.append(constraint)
        self._try(constraint)

    def _try(self, constraint: Constraint) -> None:
        if constraint.done:
            return
        waits = constraint.attempt(self)
        if waits is None:
            constraint.done = True
            return
        for term in waits:
            term = prune(term)
            if type(term) is Meta:
                term.waiting.append(constraint)

    def run(self) -> None:
        """Until nothing more follows."""
        queue = self.queue
        self._depth += 1
        try:
            while queue:
                self._try(queue.popleft())
        finally:
            self._depth -= 1

    def run_soon(self) -> None:
        """Between two statements: now, unless that would nest too deep. The outcome is the same,
        but what is known early makes better messages."""
        if self.queue and self._depth < 8:
            self.run()

    def settle(self, constraints: list[Constraint]) -> None:
        """Run, guessing where nothing more will become known, until all are settled."""
        self.run()
        at = 0
        while at < len(constraints):
            c = constraints[at]
            at += 1
            if not c.done:
                c.guess(self)
                self._try(c)
                c.done = True
                self.run()

    # ----------------------------------------------------------------------- equality

    def same(self, a: Term, b: Term) -> bool:
        """Unify where no complaint is due."""
        try:
            t.unify(a, b, self.wake)
            return True
        except Mismatch:
            return False

    def equal(self, actual: Term, expected: Term, place: Place, node: s.Node, why: str) -> None:
        """`node` has the shape `actual` and must have `expected`, because of `why`."""
        try:
            t.unify(actual, expected, self.wake)
        except Mismatch as m:
            place.body.report(mismatch(m, actual, expected, place, node, why))

    def measured(self, actual: Term, place: Place, node: s.Expr, why: str, code: str) -> Term:
        """What the measure `node` draws; reports `code` if it is no measure."""
        term = prune(actual)
        if type(term) is Meta:
            item = Meta()
            t.unify(term, t.measure(item), self.wake)
            return item
        assert isinstance(term, Con)
        if term.head == "measure":
            return term.args[0]
        if term is not ERROR:
            place.body.report(place.not_a_measure(term, node, why, code))
        return ERROR
