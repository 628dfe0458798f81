"""Shape constraints that look inside a value: fields, indices, matrix products, loop bodies."""

from __future__ import annotations

from collections.abc import Iterable

from ppl.lang import syntax as s
from ppl.lang.check import terms as t
from ppl.lang.check.broadcast import peel
from ppl.lang.check.report import Place, measure_as_value, quote
from ppl.lang.check.schemes import signatures
from ppl.lang.check.solver import Constraint, Solver
from ppl.lang.check.terms import ERROR, NUM, TEXT, Con, Meta, Term, describe, prune, show
from ppl.semantics.diagnostics import Diagnostic, suggest
from ppl.semantics.signatures import ALIASES, METHODS, PRIMITIVES, PROPERTIES
from ppl.semantics.types import MAP, OPAQUE


def _of_array(name: str) -> str:
    """What may have been meant by `xs.name`."""
    if name in ("append", "push", "extend"):
        return "arrays do not change: `concat(xs, [x])` is a longer one"
    if name in ("T", "transpose"):
        return "write `transpose(xs)`"
    if name in PRIMITIVES or (name, 1) in ALIASES or (name, None) in ALIASES:
        return f"arrays have no methods: write `{name}(xs)`"
    return f"of each element: `[x.{name} for x in xs]`"


class HasField(Constraint):
    """`value.name` is `result`. `name` of a tuple is its number."""

    __slots__ = ("value", "name", "result", "of")

    def __init__(self, place: Place, value: Term, name: str, result: Term, of: s.Node):
        super().__init__(place)
        self.value, self.name, self.result, self.of = value, name, result, of

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        value = prune(self.value)
        if type(value) is Meta:
            return [value]
        assert isinstance(value, Con)
        found = self._find(value)
        if found is None:
            self._missing(value)
            found = ERROR
        node = self.place.node
        solver.equal(found, self.result, self.place, node, "the value used here")
        return None

    def guess(self, solver: Solver) -> None:
        if type(prune(self.value)) is Meta:
            self.place.body.report(
                Diagnostic(
                    "E307",
                    f"what `{quote(self.of)}` is cannot be found out, so `.{self.name}` is unknown",
                    self.place.node.span,
                    (),
                    "write the type of the record where the variable is bound",
                )
            )
            solver.same(self.value, ERROR)

    def _find(self, value: Con) -> Term | None:
        head = value.head
        if head == "error":
            return ERROR
        if isinstance(head, tuple) and head[0] == "record":
            if self.name in head[1]:
                return value.args[head[1].index(self.name)]
        elif head == "tuple" and self.name.isdecimal() and int(self.name) < len(value.args):
            return value.args[int(self.name)]
        elif head in OPAQUE and f"{head}.{self.name}" in METHODS:
            name = f"{head}.{self.name}"
            (row,) = signatures(name)
            self.place.body.primitive[self.place.node] = name
            if name in PROPERTIES:
                return t.from_type(row.result)
            return t.fun([t.from_type(p) for p in row.params[1:]], t.from_type(row.result))
        return None

    def _missing(self, value: Con) -> None:
        head, hint = value.head, None
        text = f"{show(value)} has no field `{self.name}`"
        if isinstance(head, tuple) and head[0] == "record":
            hint = suggest(self.name, head[1])
        elif head == "tuple":
            hint = f"its parts are .0 to .{len(value.args) - 1}"
        elif head == "measure":
            self.place.body.report(measure_as_value(self.of))
            return
        elif head in OPAQUE:
            names = [m.partition(".")[2] for m in METHODS if m.startswith(f"{head}.")]
            hint = suggest(self.name, names) or f"it has {', '.join(names)}"
        elif head == "array" and self.name in ("length", "size", "len", "shape"):
            hint = "the length is `len(xs)`"
        elif head == "array":
            hint = _of_array(self.name)
        elif isinstance(head, tuple):
            hint = "take it apart with `match`"
        span = self.place.node.span
        notes = self.place.bound_note(self.of, value) if isinstance(self.of, s.Expr) else ()
        self.place.body.report(Diagnostic("E306", text, span, notes, hint))


class Indexed(Constraint):
    """`value[items]` is `result`. An item is the term of an index, or None for a slice."""

    __slots__ = ("value", "items", "result")

    def __init__(self, place: Place, value: Term, items: list[Term | None], result: Term):
        super().__init__(place)
        self.value, self.items, self.result = value, items, result

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        node = self.place.node
        assert isinstance(node, s.Index)
        wrap: list[int] = []
        value = prune(self.value)
        for at, item in enumerate(self.items):
            if type(value) is Meta:
                return [value]
            assert isinstance(value, Con)
            if value is ERROR:
                solver.same(self.result, ERROR)
                return None
            if value is TEXT and self._of_text(solver, at):
                return None
            if value.head == ("data", MAP) and self._of_map(solver, value):
                return None
            if value.head != "array":
                self._not_an_array(value, at)
                solver.same(self.result, ERROR)
                return None
            if item is None:
                wrap.append(1)
            else:
                depth, leaf = peel(item)
                if type(leaf) is Meta:
                    return [leaf]
                if leaf is not NUM and leaf is not ERROR:
                    part = node.items[at]
                    solver.equal(item, NUM, self.place, part, "an index")
                wrap.append(depth)
            value = prune(value.args[0])
        out = t.array(value, sum(wrap))
        solver.equal(out, self.result, self.place, node, "the value used here")
        return None

    def _of_map(self, solver: Solver, value: Con) -> bool:
        """`m[key]` is the value of a key."""
        node, key = self.place.node, self.items[0]
        assert isinstance(node, s.Index)
        if len(self.items) > 1 or key is None:
            return False
        self.place.body.primitive[node] = "value_at"
        solver.equal(key, value.args[0], self.place, node.items[0], "a key of this map")
        solver.equal(value.args[1], self.result, self.place, node, "the value used here")
        return True

    def _of_text(self, solver: Solver, at: int) -> bool:
        """`s[i]` and `s[lo:hi]` of a text are texts."""
        item = self.items[at]
        if at + 1 < len(self.items):
            return False
        node = self.place.node
        assert isinstance(node, s.Index)
        if item is not None:
            solver.equal(item, NUM, self.place, node.items[at], "an index into a text")
        out = t.array(TEXT, at and sum(1 if i is None else peel(i)[0] for i in self.items[:at]))
        solver.equal(out, self.result, self.place, node, "the value used here")
        return True

    def guess(self, solver: Solver) -> None:
        value: Term = self.value
        for item in self.items:
            if item is not None:
                _, leaf = peel(item)
                if type(leaf) is Meta:
                    solver.same(leaf, NUM)
            value = prune(value)
            if type(value) is Meta:
                inner = Meta()
                solver.same(value, t.array(inner))
                value = inner
            elif isinstance(value, Con) and value.head == "array":
                value = value.args[0]

    def _not_an_array(self, value: Con, at: int) -> None:
        node = self.place.node
        assert isinstance(node, s.Index)
        span, hint = node.span, None
        if at:
            text = f"`{quote(node.value)}` is {show(self.value)}: it has {at} dimension"
            text += f"{'s' * (at != 1)}, and is given {len(self.items)} indices"
        else:
            text = f"`{quote(node.value)}` is {describe(value)}, which cannot be indexed"
            if value is TEXT:
                text = f"`{quote(node.value)}` is a text: it takes one index or slice"
            elif value.head == ("data", MAP):
                text = f"`{quote(node.value)}` is a map: it takes one key"
                hint = f"write `{quote(node.value)}[key]`"
            elif value.head == "tuple":
                hint = f"parts of a tuple are written `{quote(node.value)}.0`"
            elif value.head == "fun":
                hint = f"this is a function: `{quote(node.value)}(…)`"
            elif value.head == "measure":
                self.place.body.report(measure_as_value(node.value))
                return
        notes = self.place.bound_note(node.value, self.value)
        self.place.body.report(Diagnostic("E308", text, span, notes, hint))


class Product(Constraint):
    """`a @ b`: matrices and vectors of numbers."""

    __slots__ = ("left", "right", "result")

    def __init__(self, place: Place, left: Term, right: Term, result: Term):
        super().__init__(place)
        self.left, self.right, self.result = left, right, result

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        (da, a), (db, b) = peel(self.left), peel(self.right)
        waits = [x for x in (a, b) if type(x) is Meta]
        if waits:
            return waits
        if a is ERROR or b is ERROR:
            solver.same(self.result, ERROR)
            return None
        node = self.place.node
        assert isinstance(node, s.Binary)
        if a is not NUM or b is not NUM or not 1 <= da <= 2 or not 1 <= db <= 2:
            self.place.body.report(
                Diagnostic(
                    "E302",
                    f"`@` multiplies matrices and vectors of numbers, not {show(self.left)} "
                    f"and {show(self.right)}",
                    node.span,
                    (
                        self.place.shape_note(node.left, self.left),
                        self.place.shape_note(node.right, self.right),
                    ),
                    "for products with a scalar, and elementwise ones, use `*`",
                )
            )
            solver.same(self.result, ERROR)
            return None
        out = t.array(NUM, da + db - 2)
        solver.equal(out, self.result, self.place, node, "the value used here")
        return None

    def guess(self, solver: Solver) -> None:
        for term, depth in ((self.left, 2), (self.right, 1)):
            d, leaf = peel(term)
            if type(leaf) is Meta:
                solver.same(leaf, t.array(NUM, max(0, depth - d)))


class LoopBody(Constraint):
    """The body of `scan`, `fold` or `iterate` gives the next carry, or is a measure on it.

    The loop is a measure exactly when its body is; a body whose type stays unknown is pure.
    """

    __slots__ = ("body_term", "carry", "keep_all", "result", "word", "tail")

    def __init__(
        self,
        place: Place,
        body: Term,
        carry: Term,
        result: Term,
        *,
        keep_all: bool,
        word: str,
        tail: s.Node,
    ):
        super().__init__(place)
        self.body_term, self.carry, self.result = body, carry, result
        self.keep_all, self.word, self.tail = keep_all, word, tail

    def attempt(self, solver: Solver) -> Iterable[Term] | None:
        body = prune(self.body_term)
        if type(body) is Meta:
            return [body]
        assert isinstance(body, Con)
        out: Term = t.array(self.carry) if self.keep_all else self.carry
        step: Term = body
        if body.head == "measure":
            step, out = body.args[0], t.measure(out)
        solver.equal(step, self.carry, self.place, self.tail, f"the next carry of `{self.word}`")
        solver.equal(out, self.result, self.place, self.place.node, "the value used here")
        return None

    def guess(self, solver: Solver) -> None:
        solver.same(self.body_term, self.carry)
