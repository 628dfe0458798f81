"""Change of kind: integers where real numbers are meant become `to_real`, parts included.

Ranges never change here (a nat is an int as it stands); whatever has no numbers to convert is
returned as it is.
"""

from __future__ import annotations

from ppl.lang.elaborate.scope import Frame, Namer, Scope
from ppl.semantics import ir
from ppl.semantics.types import (
    BIT,
    INT,
    NAT,
    POS,
    PROB,
    REAL,
    Array,
    Base,
    Data,
    Dist,
    Fun,
    Measure,
    Record,
    Tuple,
    Type,
    is_number,
    is_real,
)

_REAL = {BIT: PROB, NAT: POS, INT: REAL}


def converts(a: Type, b: Type) -> bool:
    """Whether a value of type a differs in kind from what b wants."""
    if a is b:
        return False
    match a, b:
        case Base(), Base():
            return is_number(a) and is_number(b) and is_real(b) and not is_real(a)
        case (Array(x), Array(y)) | (Dist(x) | Measure(x), Measure(y)):
            return converts(x, y)
        case Tuple(xs), Tuple(ys):
            return any(map(converts, xs, ys))
        case Record(xs), Record():
            return any(converts(t, b.get(k) or t) for k, t in xs)
        case Fun(ps, r), Fun(qs, t):
            return any(map(converts, qs, ps)) or converts(r, t)
        case Data("map", xs), Data("map", ys):
            return any(map(converts, xs, ys))
        case _:
            return False


def coerce(v: ir.Value, to: Type, scope: Scope, namer: Namer) -> ir.Value:
    """The value where a `to` is wanted. Conversions of parts are emitted into the scope."""
    if not converts(v.type, to):
        return v
    match v, v.type, to:
        case ir.Lit(value=int(number)), _, _:
            return ir.Lit(_REAL[v.type], float(number), span=v.span)  # type: ignore[index]
        case ir.MakeTuple(items=items), _, Tuple(types):
            parts = tuple(coerce(i, t, scope, namer) for i, t in zip(items, types, strict=True))
            return ir.MakeTuple(Tuple(tuple(p.type for p in parts)), parts, span=v.span)
        case ir.MakeRecord(names=names, items=items), _, Record():
            return _record(v, names, items, to, scope, namer)
        case ir.MakeArray(items=items), _, Array(item):
            return ir.MakeArray(
                to, tuple(coerce(i, item, scope, namer) for i in items), span=v.span
            )
        case _, Tuple(xs), Tuple():
            whole = _named(v, scope, namer)
            items = tuple(ir.Proj(t, whole, i, span=v.span) for i, t in enumerate(xs))
            return coerce(ir.MakeTuple(v.type, items, span=v.span), to, scope, namer)
        case _, Record(fields), Record():
            whole = _named(v, scope, namer)
            items = tuple(ir.Get(t, whole, k, span=v.span) for k, t in fields)
            return _record(v, tuple(k for k, _ in fields), items, to, scope, namer)
        case _, Fun(params, _), Fun(wanted, result):
            return _function(v, params, wanted, result, namer)
        case _, (Dist(item) | Measure(item)), Measure(wanted):
            drawn = namer.fresh("value")
            inner = scope.inner(Frame())
            var = inner.emit(drawn, ir.Run(item, v, span=v.span))
            out = coerce(var, wanted, inner, namer)
            body = inner.close(ir.Return(out.type, out, span=v.span))
            return ir.Thunk(Measure(body.type), body, span=v.span)
        case _, Array(), Array():
            return _array(v, to, scope, namer)
        case _, Data(name, xs), Data(_, ys):
            items = ir.Op(Array(Tuple(xs)), "items", (v,), span=v.span)
            pairs = _array(items, Array(Tuple(ys)), scope, namer)
            assert isinstance(pairs.type, Array) and isinstance(pairs.type.item, Tuple)
            return ir.Op(Data(name, pairs.type.item.items), "map_of", (pairs,), span=v.span)
        case _:
            assert isinstance(v.type, Base)
            return ir.Op(_REAL[v.type], "to_real", (v,), span=v.span)


def coerce_result(c: ir.Comp, to: Type, namer: Namer) -> ir.Comp:
    """The computation with its result coerced, inside its branches and blocks where it has some."""
    if not converts(c.type, to):
        return c
    scope = Scope({}, Frame())
    if isinstance(c, ir.Return):
        value = coerce(c.value, to, scope, namer)
    elif isinstance(c, ir.Block):
        scope.binds += c.binds
        return scope.close(coerce_result(c.result, to, namer))
    else:
        value = coerce(scope.emit(namer.fresh("value"), c), to, scope, namer)
    return scope.close(ir.Return(value.type, value, span=c.span))


def _named(v: ir.Value, scope: Scope, namer: Namer) -> ir.Value:
    """The value itself if it is cheap to repeat, else a variable bound to it."""
    if isinstance(v, (ir.Var, ir.Proj, ir.Get)):
        return v
    return scope.emit(namer.fresh("whole"), ir.Return(v.type, v, span=v.span))


def _record(
    v: ir.Value,
    names: tuple[str, ...],
    items: tuple[ir.Value, ...],
    to: Record,
    scope: Scope,
    namer: Namer,
) -> ir.Value:
    parts = tuple(
        coerce(i, to.get(k) or i.type, scope, namer) for k, i in zip(names, items, strict=True)
    )
    t = Record(tuple((k, p.type) for k, p in zip(names, parts, strict=True)))
    return ir.MakeRecord(t, names, parts, span=v.span)


def _array(v: ir.Value, to: Array, scope: Scope, namer: Namer) -> ir.Value:
    """Numbers convert elementwise, anything else in a loop."""
    rank, item = 0, v.type
    while isinstance(item, Array):
        rank, item = rank + 1, item.item
    if isinstance(item, Base):
        out: Type = _REAL[item]
        for _ in range(rank):
            out = Array(out)
        return ir.Op(out, "to_real", (v,), span=v.span)
    assert isinstance(v.type, Array)
    param = ir.Param(namer.fresh("item"), v.type.item)
    inner = scope.inner(Frame())
    value = coerce(ir.Var(param.type, param.name, span=v.span), to.item, inner, namer)
    body = inner.close(ir.Return(value.type, value, span=v.span))
    loop = ir.For(Array(body.type), param, v, body, span=v.span)
    return scope.emit(namer.fresh("items"), loop)


def _function(
    v: ir.Value, params: tuple[Type, ...], wanted: tuple[Type, ...], result: Type, namer: Namer
) -> ir.Value:
    """fn (x…) => the result of v(x…), coerced both ways."""
    bound = tuple(ir.Param(namer.fresh("x"), t) for t in wanted)
    inner = Scope({}, Frame())
    args = tuple(
        coerce(ir.Var(p.type, p.name, span=v.span), t, inner, namer)
        for p, t in zip(bound, params, strict=True)
    )
    assert isinstance(v.type, Fun)
    out = inner.emit(namer.fresh("value"), ir.Call(v.type.result, v, args, span=v.span))
    value = coerce(out, result, inner, namer)
    body = inner.close(ir.Return(value.type, value, span=v.span))
    return ir.Lam(Fun(wanted, body.type), bound, body, span=v.span)
