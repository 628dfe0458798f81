"""The second walk over a body, whose shapes are known: which numbers flow where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.lang import syntax as s
from ppl.lang.check import atoms, flow_loops, flow_statements
from ppl.lang.check import terms as t
from ppl.lang.check.flow_primitives import primitive_call, primitive_value
from ppl.lang.check.graph import A, Apply, Check, Graph, Use, interface, leaf
from ppl.lang.check.infer import Body
from ppl.lang.check.report import Place, quote
from ppl.lang.check.schemes import signatures
from ppl.lang.check.scope import Constant, Global, Local
from ppl.lang.check.statements import tail
from ppl.lang.check.templates import endless
from ppl.semantics.signatures import PRIMITIVES, PROPERTIES

_TO_BOOL = frozenset({"eq", "ne", "lt", "gt", "le", "ge", "and", "or"})


class Unsound(Exception):
    """A body uses a function that has an error, which was reported."""


class Flows:
    """Builds the graph of a body. `interface` is its type, `ins` what callers give it,
    `outs` what it gives them."""

    def __init__(self, body: Body, variance: dict[str, tuple[int, ...]]):
        self.body, self.facts = body, body.facts
        self.graph = g = Graph(variance=variance)
        self.types: dict[s.Node, A] = {}
        self.locals: dict[Local, A] = {}
        #: `as` conversions: node, source variable, target atom
        self.conversions: list[tuple[s.Cast, int, int]] = []
        item = body.item
        params = [
            self._parameter(p, term) for p, term in zip(item.params, body.params, strict=True)
        ]
        written = item.result if isinstance(item, s.Function) else None
        if written is not None:
            result = g.of_type(self.facts.annotations[written], {}, body.result)
        else:
            result = g.fresh(body.result)
        self.interface = A("fun", (*params, result))
        for p, a in zip(item.params, params, strict=True):
            self.types[p] = a
            self.bind(p.pattern, a)
            if p.default is not None:
                self.flow(self.expr(p.default), a, "the default", p.default)
        actual = self.expr(item.body)
        self.flow(actual, result, f"the result of `{item.name}`", tail(item.body))
        self.ins, self.outs = interface(self.interface, g)

    def _parameter(self, p: s.ParamDecl, term: t.Term) -> A:
        if p.type is None:
            return self.graph.fresh(term)
        return self.graph.of_type(self.facts.annotations[p.type], {}, term)

    # ------------------------------------------------------------------------- helpers

    def flow(self, src: A, dst: A, why: str, node: s.Node) -> None:
        self.graph.flow(src, dst, why, node)

    def shape(self, node: s.Node) -> t.Term:
        return self.body.types[node]

    def bound(self, src: A, bound: int, why: str, node: s.Expr) -> None:
        """The number (or each number of the array) `src` must be at most `bound`."""
        a = leaf(src)
        if a.head == "num":
            self.graph.checks.append(Check(a.var, self.graph.constant(bound), why, node, True))

    def apply(
        self,
        name: str,
        ins: list[A],
        shape: t.Term,
        node: s.Expr,
        nodes: list[s.Expr],
    ) -> A:
        """An elementwise row: leaves of the arguments to the leaf of the result."""
        g, given = self.graph, [leaf(a) for a in ins]
        shape = t.prune(shape)
        draws = isinstance(shape, t.Con) and shape.head == "measure"
        out = g.fresh(shape.args[0] if draws else shape)  # type: ignore[union-attr]
        end = leaf(out)
        outs = (end.var,) if end.head == "num" else ()
        vars_ = tuple([a.var for a in given if a.head == "num"])
        if vars_ or outs:
            g.applies.append(Apply(name, vars_, outs, node, tuple(nodes)))
        return A("measure", (out,), g.constant(atoms.DIST, True)) if draws else out

    # ------------------------------------------------------------------------- patterns

    def bind(self, p: s.Pattern, a: A) -> None:
        self.types[p] = a
        match p:
            case s.PName():
                self.locals[self.facts.binders[p]] = a
            case s.PTuple(items=items):
                for q, x in zip(items, a.args, strict=True):
                    self.bind(q, x)
            case s.PRecord(fields=fields):
                for k, q in fields:
                    self.bind(q, a.args[a.head[1].index(k)])
            case s.PCons(args=args):
                name = self.facts.constructor(p)
                decl = self.facts.constructors[name]
                of = dict(zip(decl.params, a.args, strict=True))
                for q, f in zip(args, decl.of(name), strict=True):
                    self.bind(q, self.graph.of_type(f, of))
            case _:
                pass

    # ------------------------------------------------------------------------ expressions

    def expr(self, e: s.Expr) -> A:
        a = _RULES[type(e)](self, e)
        self.types[e] = a
        return a

    def lit(self, e: s.Lit) -> A:
        v = e.value
        if type(v) is int or type(v) is float:
            return self.graph.number(atoms.literal(v))
        return A(t.prune(self.shape(e)).head)  # type: ignore[union-attr]

    def name(self, e: s.Name | s.Field) -> A:
        meaning = self.facts.meaning[e]
        if type(meaning) is Local:
            return self.locals[meaning]
        if isinstance(meaning, Global):
            return self.use(e)
        if isinstance(meaning, Constant):
            return self.graph.number(atoms.POS)
        if e in self.body.constructors:
            return self.constructor(e)
        return primitive_value(self, e)

    def use(self, e: s.Node) -> A:
        """A reference to a top-level function: its interface, with variables of its own."""
        name, shape = self.body.calls[e]
        g, fn = self.graph, self.body.functions.instance(name, shape, Place(self.body, e))
        if fn is None:
            self.body.report(endless(name, e))
        if fn is None or fn.broken:
            raise Unsound
        item = fn.item
        params = [
            g.fresh(x) if p.type is None else g.of_type(self.facts.annotations[p.type], {}, x)
            for p, x in zip(item.params, fn.params, strict=True)
        ]
        written = item.result if isinstance(item, s.Function) else None
        result = (
            g.fresh(fn.result)
            if written is None
            else g.of_type(self.facts.annotations[written], {}, fn.result)
        )
        a = A("fun", (*params, result))
        ins, outs = interface(a, g)
        g.uses.append(Use(name, fn, a, ins, outs, e))
        return a

    def constructor(self, e: s.Node) -> A:
        """A constructor as a value."""
        name = self.body.constructors[e]
        decl = self.facts.constructors[name]
        shape = t.prune(self.shape(e))
        assert isinstance(shape, t.Con)
        whole = t.prune(shape.args[-1]) if shape.head == "fun" else shape
        assert isinstance(whole, t.Con)
        args = tuple([self.graph.fresh_inside(x) for x in whole.args])
        of = dict(zip(decl.params, args, strict=True))
        out = A(whole.head, args)
        fields = [self.graph.of_type(f, of) for f in decl.of(name)]
        return A("fun", (*fields, out)) if fields else out

    def binary(self, e: s.Binary) -> A:
        left, right = self.expr(e.left), self.expr(e.right)
        op, shape = self.body.primitive[e], self.shape(e)
        if op in _TO_BOOL:
            return self.graph.fresh(shape)
        if op == "sub" and isinstance(e.left, s.Lit) and e.left.value == 1:
            return self.apply("1-", [right], shape, e, [e.right])
        if op == "div" and _share(e):
            return self.graph.number(atoms.PROB)
        if op == "pow" and isinstance(e.right, s.Lit):
            if isinstance(e.right.value, (int, float)) and e.right.value % 2 == 0 and e.right.value:
                return self.apply("even", [left], shape, e, [e.left])
        if op == "mul" and isinstance(e.left, s.Name) and isinstance(e.right, s.Name):
            if self.facts.meaning[e.left] is self.facts.meaning[e.right]:
                return self.apply("even", [left], shape, e, [e.left])
        return self.apply(op, [left, right], shape, e, [e.left, e.right])

    def unary(self, e: s.Unary) -> A:
        value = self.expr(e.value)
        if e.op == "not":
            return self.graph.fresh(self.shape(e))
        return self.apply("neg", [value], self.shape(e), e, [e.value])

    def tuple(self, e: s.Tuple) -> A:
        return A("tuple", tuple([self.expr(x) for x in e.items])) if e.items else A("unit")

    def record(self, e: s.Record) -> A:
        names = tuple([k for k, _ in e.fields])
        return A(("record", names), tuple([self.expr(x) for _, x in e.fields]))

    def array(self, e: s.ArrayLit) -> A:
        why = "an element of this array"
        parts = [(self.expr(x), why, x) for x in e.items]
        item = t.prune(self.shape(e)).args[0]  # type: ignore[union-attr]
        inside = self.graph.join(item, parts) if parts else self.graph.fresh_inside(item)
        return A("array", (inside,))

    def index(self, e: s.Index) -> A:
        value = self.expr(e.value)
        wrap = 0
        if self.body.primitive[e] == "value_at":
            (key,) = e.items
            self.flow(self.expr(key), value.args[0], "a key of this map", key)  # type: ignore[arg-type]
            return value.args[1]
        for i in e.items:
            if isinstance(i, s.Slice):
                for end in (i.lo, i.hi):
                    if end is not None:
                        self._index_bound(end, "an end of a slice")
                wrap += 1
            else:
                a = self._index_bound(i, "an index")
                while a.head == "array":
                    wrap, a = wrap + 1, a.args[0]
            if value.head == "text":  # a part of a text is a text
                return _wrapped(value, wrap - isinstance(i, s.Slice))
            value = value.args[0]
        return _wrapped(value, wrap)

    def _index_bound(self, i: s.Expr, why: str) -> A:
        a = self.expr(i)
        if not (isinstance(i, s.Unary) and isinstance(i.value, s.Lit)):  # x[-1]: from the end
            self.bound(a, atoms.NAT, why, i)
        return a

    def field(self, e: s.Field) -> A:
        if e in self.facts.meaning:
            return self.name(e)
        value = self.expr(e.value)
        if e in self.body.primitive:
            name = self.body.primitive[e]
            (sig,) = signatures(name)
            result = self.graph.of_type(sig.result, {})
            if name in PROPERTIES:
                return result
            return A("fun", (*[self.graph.of_type(p, {}) for p in sig.params[1:]], result))
        at = int(e.name) if value.head == "tuple" else value.head[1].index(e.name)
        return value.args[at]

    def cast(self, e: s.Cast) -> A:
        value = self.expr(e.value)
        target = self.graph.of_type(self.facts.annotations[e.type], {})
        a, b = leaf(value), leaf(target)
        if a.head == "num" and b.head == "num":
            self.conversions.append((e, a.var, self.graph.fixed[b.var]))
        else:
            self.flow(value, target, "what `as` converts", e.value)
        return target

    def lambda_(self, e: s.Lambda) -> A:
        params = []
        for p in e.params:
            a = self._parameter(p, self.shape(p))
            params.append(a)
            self.types[p] = a
            self.bind(p.pattern, a)
        result = self.expr(e.body)
        if e.result is not None:
            shape = self.shape(e.body)
            wanted = self.graph.of_type(self.facts.annotations[e.result], {}, shape)
            self.flow(result, wanted, "the result of this function", tail(e.body))
            result = wanted
        return A("fun", (*params, result))

    def if_(self, e: s.If) -> A:
        self.expr(e.cond)
        then = self.expr(e.then)
        if e.other is None:
            return self.graph.fresh(self.shape(e))
        other = self.expr(e.other)
        parts: list[tuple[A, str, s.Node]] = [
            (then, "the first branch of `if`", tail(e.then)),
            (other, "the `else` branch", tail(e.other)),
        ]
        return self.graph.join(self.shape(e), parts)

    def match(self, e: s.Match) -> A:
        subject = self.expr(e.subject)
        parts: list[tuple[A, str, s.Node]] = []
        for arm in e.arms:
            self.bind(arm.pattern, subject)
            if arm.guard is not None:
                self.expr(arm.guard)
            parts.append((self.expr(arm.body), "an arm of `match`", tail(arm.body)))
        return self.graph.join(self.shape(e), parts)

    def measure(self, item: A) -> A:
        return A("measure", (item,), self.graph.constant(atoms.MEASURE, True))

    # ------------------------------------------------------------------------------ calls

    def call(self, e: s.Call) -> A:
        name = self.body.primitive.get(e)
        if name is not None:
            return primitive_call(self, e, PRIMITIVES[name])
        fn = self.expr(e.fn)
        what = quote(e.fn)
        for i, a in enumerate(self.body.arguments[e]):
            if a is not None:
                self.flow(self.expr(a), fn.args[i], f"argument {i + 1} of `{what}`", a)
        return fn.args[-1]


def _wrapped(a: A, rank: int) -> A:
    for _ in range(rank):
        a = A("array", (a,))
    return a


def _share(e: s.Binary) -> bool:
    """Whether a quotient of two written numbers, such as 3/7, lies in [0, 1]."""
    match e:
        case s.Binary(
            left=s.Lit(value=int() | float() as a), right=s.Lit(value=int() | float() as b)
        ):
            return 0 <= a <= b and b > 0
        case _:
            return False


_RULES: dict[type, Callable[[Flows, Any], A]] = {
    s.Lit: Flows.lit,
    s.Name: Flows.name,
    s.Binary: Flows.binary,
    s.Unary: Flows.unary,
    s.Tuple: Flows.tuple,
    s.Record: Flows.record,
    s.ArrayLit: Flows.array,
    s.Call: Flows.call,
    s.Index: Flows.index,
    s.Field: Flows.field,
    s.Cast: Flows.cast,
    s.Lambda: Flows.lambda_,
    s.Block: flow_statements.block,
    s.If: Flows.if_,
    s.Match: Flows.match,
    s.For: flow_loops.for_,
    s.Comprehension: flow_loops.comprehension,
    s.Scan: flow_loops.scan,
    s.Iterate: flow_loops.iterate,
}
