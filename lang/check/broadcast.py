"""Shape constraints of arithmetic, elementary functions, distributions and reductions.

A scalar goes with anything; arrays must have equal rank, and the result has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.report import OBSERVED, Place, measure_as_value, quote
from ppl.lang.check.solver import Constraint, Solver
from ppl.lang.check.terms import BOOL, ERROR, NUM, TEXT, Con, Meta, Term, describe, prune, show
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.signatures import ON_TEXTS


def peel(term: Term) -> tuple[int, Term]:
    """Rank and element: how many arrays stand around what is no array."""
    depth, term = 0, prune(term)
    while isinstance(term, Con) and term.head == "array":
        depth, term = depth + 1, prune(term.args[0])
    return depth, term


class Each(Constraint):
    """An elementwise primitive. `elements` are the scalars it takes, `out` the scalar it gives."""

    __slots__ = ("name", "args", "nodes", "elements", "out", "result")

    def __init__(
        self,
        place: Place,
        name: str,
        args: list[Term],
        nodes: list[s.Expr],
        elements: list[Con],
        out: Con,
        result: Term,
    ):
        super().__init__(place)
        self.name, self.args, self.nodes = name, args, nodes
        self.elements, self.out, self.result = elements, out, result

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        deepest, rank, unknown = -1, 0, []
        for i, (arg, element) in enumerate(zip(self.args, self.elements, strict=True)):
            depth, leaf = peel(arg)
            if type(leaf) is Meta:
                unknown.append((i, leaf, depth))
                continue
            if leaf is ERROR:
                solver.same(self.result, ERROR)
                return None
            if leaf is TEXT and element is NUM and self.name in ON_TEXTS:
                self._on_texts()
                return self.attempt(solver)
            if leaf is not element:
                self._wrong_element(i, arg, leaf, element)
                solver.same(self.result, ERROR)
                return None
            if depth and deepest >= 0 and depth != rank:
                self._ranks_differ(deepest, i)
                solver.same(self.result, ERROR)
                return None
            if depth:
                deepest, rank = i, depth
        result = prune(self.result)
        if result is TEXT and self.out is NUM and self.name in ON_TEXTS:
            self._on_texts()
            return self.attempt(solver)
        if not unknown:
            self._conclude(solver, rank)
            return None
        if deepest >= 0 and type(result) is Meta:
            self._conclude(solver, rank)
        elif self.out is BOOL and len(unknown) == len(self.args) and self.name in ON_TEXTS:
            pass  # numbers or texts
        elif deepest < 0 and result is self.out:  # a scalar result: all arguments are scalars
            for i, leaf, depth in unknown:
                if depth:
                    return [leaf for _, leaf, _ in unknown]
                solver.same(leaf, self.elements[i])
            return None
        elif deepest < 0 and len(unknown) == 1 and self.elements[unknown[0][0]] is self.out:
            # one unknown among scalars: the result has its shape, whatever that is
            solver.same(self.result, self.args[unknown[0][0]])
        waits: list[Term] = [leaf for _, leaf, _ in unknown]
        return [*waits, self.result]

    def _on_texts(self) -> None:
        """One argument is a text: so are all, and the sum."""
        self.elements = [TEXT] * len(self.elements)
        if self.out is NUM:
            self.out = TEXT

    def _conclude(self, solver: Solver, rank: int) -> None:
        where = self.place
        expected = t.array(self.out, rank)
        if not solver.same(self.result, expected):
            node = where.node
            solver.equal(expected, self.result, where, node, "the value used here")

    def guess(self, solver: Solver) -> None:
        for leaf, element in self.leanings():
            solver.same(leaf, element)

    def leanings(self) -> Iterable[tuple[Meta, Term]]:
        for arg, element in zip(self.args, self.elements, strict=True):
            _, leaf = peel(arg)
            if type(leaf) is Meta:
                yield leaf, element

    def _label(self, i: int) -> str:
        node = self.place.node
        if isinstance(node, s.Binary):
            return f"the {'left' if i == 0 else 'right'} of `{node.op}`"
        if isinstance(node, s.Unary):
            return f"the operand of `{node.op}`"
        return f"argument {i + 1} of `{self.name}`"

    def _wrong_element(self, i: int, arg: Term, leaf: Term, element: Con) -> None:
        self.place.body.report(
            wrong_element(self.place, self.nodes[i], arg, element, self._label(i))
        )

    def _ranks_differ(self, i: int, j: int) -> None:
        place, a, b = self.place, self.args[i], self.args[j]
        name = place.node.op if isinstance(place.node, (s.Binary, s.Unary)) else self.name
        place.body.report(
            Diagnostic(
                "E302",
                f"shapes differ in `{name}`: {show(a)} and {show(b)}",
                place.node.span,
                (place.shape_note(self.nodes[i], a), place.shape_note(self.nodes[j], b)),
                "a scalar goes with any array; two arrays must have equal shapes"
                + (": for products with a matrix use `@`" if name == "*" else ""),
            )
        )


def wrong_element(place: Place, node: s.Expr, arg: Term, element: Con, label: str) -> Diagnostic:
    """An argument that is made of the wrong thing altogether."""
    _, leaf = peel(arg)
    wanted = {NUM: "a number", TEXT: "a text"}.get(element, "true or false")
    hint = None
    if isinstance(leaf, Con) and leaf.head == "measure":
        return measure_as_value(node, Note(f"{label} must be {wanted}"))
    if element is TEXT and leaf in (NUM, BOOL):
        hint = "`text(x)` is a number or truth value as a text"
    elif leaf is BOOL:
        hint = "`indicator(c)` is 1 if c holds, else 0"
    elif leaf is NUM and element is BOOL:
        hint = "compare it: `x > 0`, `x == 1`"
    elif isinstance(leaf, Con) and leaf.head == "fun":
        hint = "this is a function: call it, as in `f(…)`"
    return Diagnostic(
        "E303",
        f"{label} must be {wanted}, and `{quote(node)}` is {describe(arg)}",
        node.span,
        place.bound_note(node, arg),
        hint,
    )


class Reduce(Constraint):
    """A reduction: an array of any rank to one element."""

    __slots__ = ("name", "arg", "node", "element")

    def __init__(self, place: Place, name: str, arg: Term, node: s.Expr, element: Con):
        super().__init__(place)
        self.name, self.arg, self.node, self.element = name, arg, node, element

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        depth, leaf = peel(self.arg)
        if type(leaf) is Meta:
            return [leaf]
        if leaf is ERROR:
            return None
        label = f"argument 1 of `{self.name}`"
        if leaf is not self.element:
            self.place.body.report(
                wrong_element(self.place, self.node, self.arg, self.element, label)
            )
        elif depth == 0:
            hint = f"`{self.name}` reduces an array to one value"
            if self.name in ("minimum", "maximum"):
                hint = f"`{self.name[:3]}(a, b)` takes two values, `{self.name[:3]}(xs)` an array"
            self.place.body.report(
                Diagnostic(
                    "E304",
                    f"{label} must be an array, and `{quote(self.node)}` is {describe(self.arg)}",
                    self.node.span,
                    self.place.bound_note(self.node, self.arg),
                    hint,
                )
            )
        return None

    def guess(self, solver: Solver) -> None:
        for leaf, element in self.leanings():
            solver.same(leaf, element)

    def leanings(self) -> Iterable[tuple[Meta, Term]]:
        depth, leaf = peel(self.arg)
        if type(leaf) is Meta:
            yield leaf, self.element if depth else t.array(self.element)


class Equality(Constraint):
    """`==` and `!=`: elementwise on arrays, structural on everything else."""

    __slots__ = ("left", "right", "result")

    def __init__(self, place: Place, left: Term, right: Term, result: Term):
        super().__init__(place)
        self.left, self.right, self.result = left, right, result

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        (da, a), (db, b) = peel(self.left), peel(self.right)
        if type(a) is Meta or type(b) is Meta:
            return [self.left if type(a) is not Meta else a, b]
        node = self.place.node
        assert isinstance(node, s.Binary)
        solver.equal(b, a, self.place, node.right, f"the right of `{node.op}`")
        for leaf, e in ((a, node.left), (b, node.right)):
            if isinstance(leaf, Con) and leaf.head in ("fun", "measure"):
                self.place.body.report(
                    Diagnostic(
                        "E305",
                        f"`{quote(e)}` is {show(leaf)}, which cannot be compared",
                        e.span,
                        (),
                        "functions and measures have no decidable equality",
                    )
                )
                break
        if da and db and da != db:
            self.place.body.report(
                Diagnostic(
                    "E302",
                    f"shapes differ in `{node.op}`: {show(self.left)} and {show(self.right)}",
                    node.span,
                    (
                        self.place.shape_note(node.left, self.left),
                        self.place.shape_note(node.right, self.right),
                    ),
                    "a scalar goes with any array; two arrays must have equal shapes",
                )
            )
        solver.equal(
            t.array(BOOL, max(da, db)), self.result, self.place, node, "the value used here"
        )
        return None

    def guess(self, solver: Solver) -> None:
        (_, a), (_, b) = peel(self.left), peel(self.right)
        if type(a) is Meta and type(b) is Meta:
            solver.same(a, NUM)
            solver.same(b, NUM)
        elif type(a) is Meta:
            solver.same(a, b)
        else:
            solver.same(b, a)


class Spread(Constraint):
    """`observe ys ~ normal(0, 1)`: a scalar constructor written there spreads over the value."""

    __slots__ = ("one", "observed", "result")

    def __init__(self, place: Place, one: Term, observed: Term, result: Term):
        super().__init__(place)
        self.one, self.observed, self.result = one, observed, result

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        rank, leaf = peel(self.one)
        if type(leaf) is Meta:
            return [leaf]
        if rank == 0 and leaf is not ERROR:
            over, element = peel(self.observed)
            if type(element) is Meta:
                return [element]
            solver.same(self.result, t.array(leaf, over))
        solver.same(self.result, self.one)
        return None

    def guess(self, solver: Solver) -> None:
        solver.same(self.result, self.one)


class Observed(Constraint):
    """The observed value is of the kind that the distribution draws. 0/1 data do for booleans."""

    __slots__ = ("value", "drawn", "node")

    def __init__(self, place: Place, value: Term, drawn: Term, node: s.Expr):
        super().__init__(place)
        self.value, self.drawn, self.node = value, drawn, node

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        (dv, v), (dd, d) = peel(self.value), peel(self.drawn)
        if type(d) is Meta:
            return [d]
        if d is not BOOL or type(v) is not Meta:
            if d is BOOL and v is NUM and dv == dd:
                self.place.body.bool_casts.add(self.node)
            else:
                self._equal(solver)
            return None
        return [v]

    def guess(self, solver: Solver) -> None:
        self._equal(solver)

    def _equal(self, solver: Solver) -> None:
        solver.equal(self.value, self.drawn, self.place, self.node, OBSERVED)
