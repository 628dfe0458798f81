"""What the parts of the elaborator share: the facts about one function, and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ppl.lang import syntax as s
from ppl.lang.check.result import Instance, InstanceKey
from ppl.lang.elaborate.coerce import coerce, coerce_result, converts
from ppl.lang.elaborate.origins import Origin, part
from ppl.lang.elaborate.scope import Counter, Local, Namer, Scope
from ppl.semantics import ir
from ppl.semantics.diagnostics import Span
from ppl.semantics.types import Array, Dist, Measure, Record, Tuple, Type


@dataclass(frozen=True)
class Context:
    """One function at one type. `functions` names the instances that it calls."""

    instance: Instance
    namer: Namer
    observations: Counter
    function: Callable[[InstanceKey], str]
    #: the constructors of each constructor's type
    siblings: Mapping[str, frozenset[str]]
    instances: Mapping[InstanceKey, Instance]

    # Filled in by the modules about expressions, control flow and blocks.
    def value(self, e: s.Expr, scope: Scope) -> ir.Value:
        raise NotImplementedError

    def pure(self, e: s.Expr, scope: Scope) -> ir.Comp:
        raise NotImplementedError

    def run(self, e: s.Expr, scope: Scope, *, tail: bool, bound: bool = False) -> ir.Comp:
        raise NotImplementedError

    # ------------------------------------------------------------------------------------ facts

    def type(self, node: s.Node) -> Type:
        return self.instance.types[node]

    def is_measure(self, e: s.Expr) -> bool:
        return isinstance(self.type(e), (Measure, Dist))

    def fit(self, v: ir.Value, to: Type, scope: Scope) -> ir.Value:
        """The value with its integers made real wherever `to` is real."""
        return coerce(v, to, scope, self.namer) if converts(v.type, to) else v

    def fit_result(self, c: ir.Comp, to: Type) -> ir.Comp:
        return coerce_result(c, to, self.namer) if converts(c.type, to) else c

    def returned(self, v: ir.Value, span: Span | None = None) -> ir.Return:
        return ir.Return(v.type, v, span=span or v.span)

    # --------------------------------------------------------------------------------- patterns

    def param(self, pattern: s.Pattern, t: Type, scope: Scope, origin: Origin = None) -> ir.Param:
        """A parameter that is taken apart inside `scope`, its own."""
        plain = isinstance(pattern, s.PName)
        name = self.namer.fresh(pattern.name if plain else "_")
        self.bind(pattern, ir.Var(t, name, span=pattern.span), scope, origin)
        return ir.Param(name, t)

    def bind(self, pattern: s.Pattern, v: ir.Value, scope: Scope, origin: Origin = None) -> None:
        """Define the names of a pattern that cannot fail. `v` must be cheap to repeat."""
        match pattern:
            case s.PName(name=name):
                scope.define(name, Local(v, origin))
            case s.PTuple(items=items):
                assert isinstance(v.type, Tuple)
                for i, (item, t) in enumerate(zip(items, v.type.items, strict=True)):
                    proj = ir.Proj(t, v, i, span=item.span)
                    self.bind_part(item, proj, scope, part(origin, i))
            case s.PRecord(fields=fields):
                assert isinstance(v.type, Record)
                for name, item in fields:
                    t = v.type.get(name)
                    assert t is not None
                    get = ir.Get(t, v, name, span=item.span)
                    self.bind_part(item, get, scope, part(origin, name))
            case s.PCons():
                for field, item in self.fields(pattern, v, scope):
                    self.bind_part(item, field, scope, None)
            case s.PWild():
                pass
            case _:
                raise AssertionError(f"a pattern that can fail: {pattern.span.text}")

    def fields(
        self, pattern: s.PCons, v: ir.Value, scope: Scope
    ) -> list[tuple[ir.Value, s.Pattern]]:
        """The fields of a value whose type has one constructor (the checker has seen to it)."""
        if not pattern.args:
            return []
        span = pattern.span
        params = tuple(ir.Param(self.namer.fresh("field"), self.type(a)) for a in pattern.args)
        t = Tuple(tuple(p.type for p in params))
        made = ir.MakeTuple(t, tuple(ir.Var(p.type, p.name, span=span) for p in params), span=span)
        arm = ir.Arm(self.instance.constructors[pattern], params, self.returned(made))
        parts = scope.emit(self.namer.fresh("parts"), ir.Match(t, v, (arm,), span=span))
        return [
            (ir.Proj(p.type, parts, i, span=a.span), a)
            for i, (p, a) in enumerate(zip(params, pattern.args, strict=True))
        ]

    def bind_part(self, pattern: s.Pattern, v: ir.Value, scope: Scope, origin: Origin) -> None:
        if isinstance(pattern, s.PName):
            v = scope.emit(self.namer.fresh(pattern.name), self.returned(v))
        self.bind(pattern, v, scope, origin)


def item_type(t: Type) -> Type:
    """The type of an array's elements."""
    assert isinstance(t, Array), t
    return t.item


def measured(t: Type) -> Type:
    """The type of a measure's values."""
    assert isinstance(t, (Measure, Dist)), t
    return t.item
