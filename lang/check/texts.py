"""Shape constraints of texts and maps: what has a length, what can be written, what is a key."""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang.check import terms as t
from ppl.lang.check.report import Place, quote
from ppl.lang.check.solver import Constraint, Solver
from ppl.lang.check.terms import BOOL, ERROR, NUM, TEXT, Con, Meta, Term, describe, prune, show
from ppl.lang.syntax import Expr, Node
from ppl.semantics.diagnostics import Diagnostic
from ppl.semantics.types import MAP

IS_MAP = ("data", MAP)


class _Argument(Constraint):
    """A primitive that takes several types. `arg` is the shape of its argument, `of`, which is the
    primitive itself where that is passed as a value."""

    __slots__ = ("arg", "of")

    def __init__(self, place: Place, arg: Term, of: Expr):
        super().__init__(place)
        self.arg, self.of = arg, of

    @property
    def called(self) -> bool:
        return self.place.node is not self.of

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        arg = prune(self.arg)
        if type(arg) is Meta:
            return [arg]
        assert isinstance(arg, Con)
        if arg is not ERROR:
            self.known(solver, arg)
        return None

    def known(self, solver: Solver, arg: Con) -> None:
        """Report if it is none of the types."""
        raise NotImplementedError


class Length(_Argument):
    """`len(x)`: of an array, a text or a map; of something unknown, an array."""

    __slots__ = ()

    def known(self, solver: Solver, arg: Con) -> None:
        if arg is TEXT or arg.head in ("array", IS_MAP):
            return
        if self.called:
            solver.equal(arg, t.array(Meta()), self.place, self.of, "argument 1 of `len`")
        else:
            text = f"`len` takes an array, a text or a map, and is given {describe(arg)} here"
            self.place.body.report(Diagnostic("E301", text, self.of.span))

    def guess(self, solver: Solver) -> None:
        solver.same(self.arg, t.array(Meta()))


class Written(_Argument):
    """`text(x)`: of a number, a truth value or a text."""

    __slots__ = ()

    def known(self, solver: Solver, arg: Con) -> None:
        if arg in (NUM, BOOL, TEXT):
            return
        given = f"`{quote(self.of)}` is" if self.called else "here it is given"
        hint = None
        if arg.head == "array":
            each = quote(self.of) if self.called else "xs"
            hint = f"of each element: `[text(x) for x in {each}]`"
        self.place.body.report(
            Diagnostic(
                "E871",
                f"`text` writes a number, truth value or text, and {given} {describe(arg)}",
                self.of.span,
                self.place.bound_note(self.of, arg),
                hint,
            )
        )

    def guess(self, solver: Solver) -> None:
        solver.same(self.arg, NUM)


class Keys(Constraint):
    """The keys of a map, and what a function that remembers is asked for, can be compared: there
    is no function or measure in them."""

    __slots__ = ("key", "row")

    def __init__(self, place: Place, key: Term, row: str):
        super().__init__(place)
        self.key, self.row = key, row

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        unknown: list[Term] = []
        part = uncomparable(self.key, unknown)
        if part is not None:
            self.place.body.report(no_key(part, self.key, self.place.node, self.row))
            return None
        return unknown or None


def uncomparable(key: Term, unknown: list[Term] | None = None) -> Con | None:
    """A part that cannot be compared, if one is known; `unknown` gets the unknown parts."""
    todo, seen = [key], 0
    while todo and seen < 2_000:
        term = prune(todo.pop())
        seen += 1
        if isinstance(term, Con):
            if term.head in ("fun", "measure"):
                return term
            todo += term.args
        elif unknown is not None:
            unknown.append(term)
    return None


def no_key(part: Con, key: Term, node: Node, row: str | None = None) -> Diagnostic:
    """E870. `row` is the primitive that compares; without one it is about a map."""
    what = "functions" if part.head == "fun" else "measures"
    whose = "the keys of this map"
    hint = "use numbers, texts, truth values, or tuples, records and arrays of them as keys"
    if row in ("mem", "gaussian_process"):
        whose = f"`{row}` remembers a value for each argument; these"
        hint = hint.replace("as keys", "as arguments")
    return Diagnostic(
        "E870", f"{whose} would be {show(key)}, and {what} cannot be compared", node.span, (), hint
    )
