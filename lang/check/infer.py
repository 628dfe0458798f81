"""The shapes of one function's body: a walk over its syntax that states what must be equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ppl.lang import syntax as s
from ppl.lang.check import calls, loops, primitives, statements
from ppl.lang.check import terms as t
from ppl.lang.check.broadcast import Each, Equality
from ppl.lang.check.builtins import hiding
from ppl.lang.check.patterns import bind_pattern
from ppl.lang.check.report import Place
from ppl.lang.check.scope import Constant, ConstructorRef, Facts, Global, Local
from ppl.lang.check.solver import Constraint, Solver
from ppl.lang.check.statements import tail
from ppl.lang.check.structure import HasField, Indexed, Product
from ppl.lang.check.terms import BOOL, ERROR, NUM, TEXT, UNIT, Con, Meta, Term, prune
from ppl.semantics.diagnostics import Diagnostic, Note
from ppl.semantics.signatures import OPERATORS

if TYPE_CHECKING:
    from ppl.lang.check.templates import Functions

_LITERALS: dict[type, Con] = {bool: BOOL, int: NUM, float: NUM, str: TEXT, type(None): UNIT}
_LOGIC = ("and", "or")


class Body:
    """A function's body at one tuple of argument shapes, or with its arguments unknown.

    `site` is the call that made an instance of a template necessary: its errors are shown there.
    """

    def __init__(
        self,
        functions: Functions,
        item: s.Function | s.Guide,
        params: list[Term],
        result: Term,
        variables: dict[str, Term],
        site: Place | None = None,
    ):
        self.functions, self.item, self.site = functions, item, site
        self.facts: Facts = functions.facts
        self.solver: Solver = functions.solver
        self.params, self.result = params, result
        #: the function's type variables
        self.variables = variables
        self.types: dict[s.Node, Term] = {}
        self.locals: dict[Local, Term] = {}
        #: references to top-level functions, with the type they have here
        self.calls: dict[s.Node, tuple[str, Con]] = {}
        self.primitive: dict[s.Node, str] = {}
        self.arguments: dict[s.Call, tuple[s.Expr | None, ...]] = {}
        self.constructors: dict[s.Node, str] = {}
        #: numbers observed where a boolean is drawn
        self.bool_casts: set[s.Node] = set()
        #: empty arms that stand for `return ()`
        self.unit_blocks: set[s.Block] = set()
        self.constraints: list[Constraint] = []
        #: whether an error was found here, so that nothing can be built on it
        self.broken = False

    # ------------------------------------------------------------------------- helpers

    def report(self, d: Diagnostic) -> None:
        if self.broken and self.site is not None:
            return  # of an instance, one error is told: the call is wrong
        self.broken = True
        mentioned = [(node, name) for node, (name, _) in self.calls.items()]
        d = replace(d, notes=(*d.notes, *hiding(mentioned, d.span, self.facts)))
        body, depth = self, 0
        while body.site is not None and depth < 3:
            site = body.site
            note = Note(f"in `{body.item.name}`, as it is used here", d.span)
            notes = (note, *d.notes) if depth == 0 else d.notes  # where it is, once
            d = Diagnostic(d.code, d.message, site.node.span, notes, d.hint)
            body, depth = site.body, depth + 1
            body.broken = True
        self.functions.report(d)

    def equal(self, actual: Term, expected: Term, node: s.Node, why: str) -> None:
        actual_, expected_ = prune(actual), prune(expected)
        if actual_ is not expected_:
            self.solver.equal(actual_, expected_, Place(self, node), node, why)

    def annotated(self, node: s.TypeExpr) -> Term:
        """The shape of a written type."""
        return t.from_type(self.facts.annotations[node], self.variables)

    # ---------------------------------------------------------------------- the function

    def walk(self) -> None:
        item = self.item
        for p, term in zip(item.params, self.params, strict=True):
            self.types[p] = term
            bind_pattern(self, p.pattern, term)
            if p.default is not None:
                self.equal(self.expr(p.default), term, p.default, "the default")
        actual = self.expr(item.body)
        if isinstance(item, s.Function) and item.result is not None:
            known, wanted = prune(actual), prune(self.result)
            if (
                isinstance(known, Con)
                and known.head == "measure"
                and isinstance(wanted, Con)
                and wanted.head not in ("measure", "error")
            ):
                self._effect_in_pure(item)
                return
            self.equal(actual, self.result, tail(item.body), f"the result of `{item.name}`")
        elif self.broken:
            self.solver.same(actual, self.result)
        else:  # known already where the function calls itself
            at, why = tail(item.body), f"the result of `{item.name}`"
            self.solver.equal(actual, self.result, Place(self, item), at, why)
        if isinstance(item, s.Guide) or item.kind == "model":
            what = "model" if isinstance(item, s.Function) else "guide"
            place = Place(self, item.body)
            self.solver.measured(
                actual, place, tail(item.body), f"the result of {what} `{item.name}`", "E509"
            )

    def _effect_in_pure(self, item: s.Function) -> None:
        assert item.result is not None
        effect: s.Node = item.body
        if isinstance(item.body, s.Block):
            for st in item.body.statements:
                if not isinstance(st, s.Let):
                    effect = st
                    break
        written = item.result.span.text
        self.report(
            Diagnostic(
                "E510",
                f"`{item.name}` is declared to give `{written}`, but its body is a measure",
                effect.span,
                (Note("the declared result", item.result.span),),
                f"declare `-> measure[{written}]`, and run it with `~` where it is used",
            )
        )

    # ----------------------------------------------------------------------- expressions

    def expr(self, e: s.Expr) -> Term:
        term = _RULES[type(e)](self, e)
        self.types[e] = term
        return term

    def lit(self, e: s.Lit) -> Term:
        return _LITERALS[type(e.value)]

    def name(self, e: s.Name | s.Field) -> Term:
        meaning = self.facts.meaning.get(e)
        if type(meaning) is Local:
            return self.locals.get(meaning, ERROR)
        if isinstance(meaning, Global):
            return self.functions.reference(meaning.name, self, e) or ERROR
        if isinstance(meaning, Constant):
            return NUM
        if isinstance(meaning, ConstructorRef):
            return calls.constructor_value(self, e, meaning.name)
        if meaning is None:
            return ERROR
        return primitives.primitive_value(self, e, meaning.name)

    def binary(self, e: s.Binary) -> Term:
        left, right = self.expr(e.left), self.expr(e.right)
        op = OPERATORS[e.op]
        self.primitive[e] = op
        if op == "matmul":
            result: Term = Meta()
            self.solver.add(Product(Place(self, e), left, right, result))
            return prune(result)
        if op in ("eq", "ne"):
            result = Meta()
            self.solver.add(Equality(Place(self, e), left, right, result))
            return prune(result)
        element = BOOL if op in _LOGIC else NUM
        out = NUM if element is NUM and op not in ("lt", "gt", "le", "ge") else BOOL
        l_, r_ = prune(left), prune(right)
        if l_ is element and r_ is element:  # by far the most common case
            return out
        result = Meta()
        each = Each(
            Place(self, e), op, [l_, r_], [e.left, e.right], [element, element], out, result
        )
        self.solver.add(each)
        return prune(result)

    def unary(self, e: s.Unary) -> Term:
        op = "neg" if e.op == "-" else "not"
        self.primitive[e] = op
        element = NUM if op == "neg" else BOOL
        arg = prune(self.expr(e.value))
        if arg is element:
            return element
        result = Meta()
        self.solver.add(Each(Place(self, e), op, [arg], [e.value], [element], element, result))
        return prune(result)

    def tuple(self, e: s.Tuple) -> Term:
        return Con("tuple", tuple([self.expr(i) for i in e.items])) if e.items else UNIT

    def record(self, e: s.Record) -> Term:
        names = tuple([k for k, _ in e.fields])
        return Con(("record", names), tuple([self.expr(v) for _, v in e.fields]))

    def array(self, e: s.ArrayLit) -> Term:
        item: Term = Meta()
        for i, x in enumerate(e.items):
            term = self.expr(x)
            if i == 0:
                item = term
            else:
                self.equal(term, item, x, "each element of an array has the shape of the first: it")
        return t.array(item)

    def index(self, e: s.Index) -> Term:
        value = self.expr(e.value)
        items: list[Term | None] = []
        for i in e.items:
            if isinstance(i, s.Slice):
                for end in (i.lo, i.hi):
                    if end is not None:
                        self.equal(self.expr(end), NUM, end, "an end of a slice")
                items.append(None)
            else:
                items.append(self.expr(i))
        self._static_range(e)
        self.primitive[e] = "slice" if items and items[0] is None else "index"
        if len(items) > 1 and any(i is None for i in items):
            self.primitive[e] = "columns"
        result: Term = Meta()
        self.solver.add(Indexed(Place(self, e), value, items, result))
        return prune(result)

    def _static_range(self, e: s.Index) -> None:
        """A written index into a written array."""
        i = e.items[0] if e.items else None
        sign = 1
        if isinstance(i, s.Unary) and i.op == "-":
            i, sign = i.value, -1
        if isinstance(e.value, s.ArrayLit) and isinstance(i, s.Lit) and type(i.value) is int:
            n, at = len(e.value.items), sign * i.value
            if not -n <= at < n:
                self.report(
                    Diagnostic(
                        "E319",
                        f"index {at} is out of range: the array has {n} elements",
                        i.span,
                        (),
                        f"indices go from 0 to {n - 1}" if n else "the array is empty",
                    )
                )

    def field(self, e: s.Field) -> Term:
        if e in self.facts.meaning:  # a name of a module
            return self.name(e)
        value, result = self.expr(e.value), Meta()
        self.solver.add(HasField(Place(self, e), value, e.name, result, e.value))
        return prune(result)

    def cast(self, e: s.Cast) -> Term:
        wanted = self.annotated(e.type)
        actual = self.expr(e.value)
        self.equal(actual, wanted, e.value, "what `as` converts")
        return wanted

    def lambda_(self, e: s.Lambda) -> Term:
        params: list[Term] = []
        for p in e.params:
            term: Term = Meta() if p.type is None else self.annotated(p.type)
            params.append(term)
            self.types[p] = term
            bind_pattern(self, p.pattern, term)
        result = self.expr(e.body)
        if e.result is not None:
            wanted = self.annotated(e.result)
            self.equal(result, wanted, tail(e.body), "the result of this function")
            result = wanted
        return t.fun(params, result)

    def if_(self, e: s.If) -> Term:
        self.equal(self.expr(e.cond), BOOL, e.cond, "the condition of `if`")
        then = self.expr(e.then)
        if e.other is None:
            then = self._empty_arm(e.then, then, t.measure(UNIT))
            known = prune(then)
            if isinstance(known, Con) and known.head == "measure":
                self.equal(then, t.measure(UNIT), tail(e.then), "a branch without `else`")
            elif known is not ERROR:
                place = Place(self, e)
                item = self.solver.measured(
                    then, place, tail(e.then), "a branch without `else`", "E511"
                )
                self.equal(item, UNIT, e.then, "a branch without `else`")
            return t.measure(UNIT)
        other = self.expr(e.other)
        then = self._empty_arm(e.then, then, other)
        other = self._empty_arm(e.other, other, then)
        self.equal(other, then, tail(e.other), "`else` has the shape of the other branch: it")
        return then

    def _empty_arm(self, arm: s.Expr, term: Term, sibling: Term) -> Term:
        """`{}` beside an effectful branch is `return ()`."""
        sibling = prune(sibling)
        if isinstance(arm, s.Block) and not arm.statements:
            if isinstance(sibling, Con) and sibling.head == "measure":
                self.unit_blocks.add(arm)
                self.types[arm] = t.measure(UNIT)
                return self.types[arm]
        return term

    def match(self, e: s.Match) -> Term:
        subject = self.expr(e.subject)
        result: Term | None = None
        terms: list[Term] = []
        for arm in e.arms:
            bind_pattern(self, arm.pattern, subject)
            if arm.guard is not None:
                self.equal(self.expr(arm.guard), BOOL, arm.guard, "the guard of an arm")
            terms.append(self.expr(arm.body))
        for arm, term in zip(e.arms, terms, strict=True):
            for sibling in terms:
                term = self._empty_arm(arm.body, term, sibling)
            if result is None:
                result = term
            else:
                self.equal(term, result, tail(arm.body), "each arm has the shape of the first: it")
        return ERROR if result is None else result


_RULES: dict[type, Callable[[Body, Any], Term]] = {
    s.Lit: Body.lit,
    s.Name: Body.name,
    s.Binary: Body.binary,
    s.Unary: Body.unary,
    s.Tuple: Body.tuple,
    s.Record: Body.record,
    s.ArrayLit: Body.array,
    s.Call: calls.call,
    s.Index: Body.index,
    s.Field: Body.field,
    s.Cast: Body.cast,
    s.Lambda: Body.lambda_,
    s.Block: statements.block,
    s.If: Body.if_,
    s.Match: Body.match,
    s.For: loops.for_,
    s.Comprehension: loops.comprehension,
    s.Scan: loops.scan,
    s.Iterate: loops.iterate,
}
