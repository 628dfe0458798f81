"""Values: expressions that stand for what they are, not for what they run.

Primitives, tuples, records, arrays and lambdas nest as values. Calls and control flow are
computations, named by a binding emitted before the place where they are used.
"""

from __future__ import annotations

from dataclasses import replace

from ppl.lang import syntax as s
from ppl.lang.check.schemes import row, signatures
from ppl.lang.elaborate.context import Context
from ppl.lang.elaborate.indices import indexed
from ppl.lang.elaborate.scope import Frame, Scope
from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.signatures import CONSTANTS, OPERATORS, PROPERTIES
from ppl.semantics.types import (
    BOOL,
    NUMBERS,
    OPAQUE,
    TEXT,
    UNIT,
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


class Expressions(Context):
    def value(self, e: s.Expr, scope: Scope) -> ir.Value:
        """A value, its computations emitted into `scope`."""
        comp = self.pure(e, scope)
        if isinstance(comp, ir.Return):
            return comp.value
        return scope.emit(self.namer.fresh(_word(e)), comp)

    def pure(self, e: s.Expr, scope: Scope) -> ir.Comp:
        """The computation of a value, of the kind that the checker found, cast where it must be."""
        comp = self.uncast(e, scope)
        cast = self.instance.casts.get(e)
        wanted = self.type(e)
        if cast is not None:
            v = self.named(comp, e, scope)
            if cast == "checked_nat" and is_real(_element(v.type)):  # a whole number first
                v = ir.Op(cast_type("checked_int", v.type), "checked_int", (v,), span=e.span)
            return self.returned(ir.Op(cast_type(cast, v.type), cast, (v,), span=e.span))
        if isinstance(comp, ir.Return):
            return self.returned(self.fit(comp.value, wanted, scope))
        return self.fit_result(comp, wanted)

    def named(self, comp: ir.Comp, e: s.Expr, scope: Scope) -> ir.Value:
        if isinstance(comp, ir.Return):
            return comp.value
        return scope.emit(self.namer.fresh(_word(e)), comp)

    def uncast(self, e: s.Expr, scope: Scope) -> ir.Comp:
        match e:
            case s.Call():
                return self.call(e, scope)
            case s.Block() if e in self.instance.measure_blocks:
                body = self.run(e, scope.inner(Frame()), tail=True)
                thunk = ir.Thunk(Measure(body.type), body, span=e.span)
                return self.returned(thunk)
            case s.Block():
                return self.pure_block(e, scope)
            case s.If() | s.Match() | s.Comprehension():
                return self.control(e, scope)
            case s.For() | s.Scan() | s.Iterate():
                if not self.is_measure(e):
                    return self.loop(e, scope)
                body = self.loop(e, scope)
                return self.returned(ir.Thunk(Measure(body.type), body, span=e.span))
            case _:
                return self.returned(self.simple(e, scope), e.span)

    # Filled in by `control` and `blocks`.
    def control(self, e: s.Expr, scope: Scope) -> ir.Comp:
        raise NotImplementedError

    def loop(self, e: s.Expr, scope: Scope) -> ir.Comp:
        raise NotImplementedError

    def pure_block(self, e: s.Block, scope: Scope) -> ir.Comp:
        raise NotImplementedError

    # --------------------------------------------------------------------------------- by shape

    def simple(self, e: s.Expr, scope: Scope) -> ir.Value:
        t, span = self.type(e), e.span
        match e:
            case s.Lit(value=number):
                return literal(number, t, e)
            case s.Name():
                return self.name(e, scope)
            case s.Tuple(items=items):
                types = t.items if isinstance(t, Tuple) else ()
                parts = tuple(
                    self.fit(self.value(i, scope), x, scope)
                    for i, x in zip(items, types, strict=True)
                )
                return ir.MakeTuple(Tuple(tuple(p.type for p in parts)), parts, span=span)
            case s.Record(fields=fields):
                assert isinstance(t, Record)
                names = tuple(k for k, _ in fields)
                parts = tuple(
                    self.fit(self.value(v, scope), t.get(k) or t, scope) for k, v in fields
                )
                made = Record(tuple(zip(names, (p.type for p in parts), strict=True)))
                return ir.MakeRecord(made, names, parts, span=span)
            case s.ArrayLit(items=items):
                assert isinstance(t, Array)
                parts = tuple(self.fit(self.value(i, scope), t.item, scope) for i in items)
                return ir.MakeArray(t, parts, span=span)
            case s.Field():
                known = e in self.instance.calls or e in self.instance.constructors
                return self.reference(e) if known else self.field(e, scope)
            case s.Index():
                return indexed(self, e, scope)
            case s.Unary(op="-", value=s.Lit(value=int() | float() as number)):
                return literal(-number, t, e)
            case s.Unary(value=inner):
                op = self.instance.primitive.get(e) or ("neg" if e.op == "-" else "not")
                return ir.Op(t, op, (self.value(inner, scope),), span=span)
            case s.Binary(op=sign, left=left, right=right):
                op = self.instance.primitive.get(e) or OPERATORS[sign]
                args = (self.value(left, scope), self.value(right, scope))
                return ir.Op(t, op, args, span=span)
            case s.Cast(value=inner):
                return self.value(inner, scope)
            case s.Lambda():
                return self.function_value(e, scope)
            case _:
                raise AssertionError(f"no such expression: {type(e).__name__}")

    def name(self, e: s.Name, scope: Scope) -> ir.Value:
        known = scope.names.get(e.name)
        return self.reference(e) if known is None else known.value

    def reference(self, e: s.Name | s.Field) -> ir.Value:
        """What is no local: a function, a constructor, a primitive or a constant."""
        if e in self.instance.calls:
            key = self.instance.calls[e]
            return ir.Global(key.type, self.function(key), span=e.span)
        t = self.type(e)
        if e in self.instance.constructors:
            name = self.instance.constructors[e]
            if not isinstance(t, Fun):
                return ir.Make(t, name, (), span=e.span)
            return self.eta(t, lambda args: ir.Make(t.result, name, args, span=e.span), e)
        if e in self.instance.primitive:
            op = self.instance.primitive[e]
            assert isinstance(t, Fun)
            rest = tuple(_default(op, i, e) for i in range(len(t.params), len(row(op).params)))
            return self.eta(t, lambda args: ir.Op(t.result, op, (*args, *rest), span=e.span), e)
        return ir.Lit(t, CONSTANTS[e.name], span=e.span)

    def eta(self, t: Fun, body, e: s.Expr) -> ir.Value:
        """A primitive or a constructor as a function value."""
        params = tuple(ir.Param(self.namer.fresh("x"), p) for p in t.params)
        made = body(tuple(ir.Var(p.type, p.name, span=e.span) for p in params))
        return ir.Lam(Fun(t.params, made.type), params, self.returned(made), span=e.span)

    def field(self, e: s.Field, scope: Scope) -> ir.Value:
        value = self.value(e.value, scope)
        op = self.instance.primitive.get(e)
        if op in PROPERTIES:
            return ir.Op(self.type(e), op, (value,), span=e.span)
        if isinstance(value.type, Tuple):
            index = int(e.name)
            return ir.Proj(value.type.items[index], value, index, span=e.span)
        if value.type in OPAQUE.values():
            raise fail(
                "E732",
                f"`{e.name}` of a {value.type} is typed, and cannot be run",
                span=e.span,
                hint="`ppl check` tells the types of programs over language models",
            )
        assert isinstance(value.type, Record)
        return ir.Get(value.type.get(e.name) or self.type(e), value, e.name, span=e.span)

    def function_value(self, e: s.Lambda, scope: Scope) -> ir.Value:
        t = self.type(e)
        assert isinstance(t, Fun)
        inner = scope.inner(Frame())
        params = tuple(
            self.param(p.pattern, x, inner) for p, x in zip(e.params, t.params, strict=True)
        )
        body = inner.close(self.fit_result(self.pure(e.body, inner), t.result))
        return ir.Lam(Fun(t.params, body.type), params, body, span=e.span)

    # -------------------------------------------------------------------------------------- calls

    def call(self, e: s.Call, scope: Scope) -> ir.Comp:
        instance, t = self.instance, self.type(e)
        if e in instance.calls:
            key = instance.calls[e]
            fn = ir.Global(key.type, self.function(key), span=e.fn.span)
            return ir.Call(key.result, fn, self.arguments(e, key.params, scope), span=e.span)
        if e in instance.primitive:
            op = instance.primitive[e]
            args = self.operands(e, op, scope)
            return self.returned(ir.Op(t, op, args, span=e.span))
        if e.fn in instance.constructors:
            made = self.type(e.fn)
            params = made.params if isinstance(made, Fun) else ()
            args = self.arguments(e, params, scope)
            return self.returned(ir.Make(t, instance.constructors[e.fn], args, span=e.span))
        fn = self.value(e.fn, scope)
        assert isinstance(fn.type, Fun)
        args = self.arguments(e, fn.type.params, scope)
        return ir.Call(fn.type.result, fn, args, span=e.span)

    def arguments(self, e: s.Call, params: tuple[Type, ...], scope: Scope) -> tuple[ir.Value, ...]:
        given = self.instance.arguments.get(e, e.args)
        args = []
        for i, (a, p) in enumerate(zip(given, params, strict=True)):
            v = self.default(e, i, scope) if a is None else self.value(a, scope)
            args.append(self.fit(v, p, scope))
        return tuple(args)

    def default(self, e: s.Call, i: int, scope: Scope) -> ir.Value:
        """The callee's own default for a parameter, which mentions no locals."""
        callee = self.instances[self.instance.calls[e]]
        default = callee.function.params[i].default
        assert default is not None
        return replace(self, instance=callee).value(default, Scope({}, scope.frame, scope.binds))

    def operands(self, e: s.Call, op: str, scope: Scope) -> tuple[ir.Value, ...]:
        """A primitive's arguments, defaults filled in, and of one kind where its scheme says so."""
        known = row(op)
        given = self.instance.arguments.get(e, e.args)
        args = []
        if isinstance(e.fn, s.Field) and "." in op:
            args.append(self.value(e.fn.value, scope))
        for i, a in enumerate(given):
            args.append(_default(op, i, e) if a is None else self.value(a, scope))
        if known.kind == "plain":
            variables = _variables(op, tuple(a.type for a in args), self.type(e))
            for i, (a, p) in enumerate(zip(args, signatures(op)[0].params, strict=True)):
                if variables:
                    args[i] = self.fit(a, fill(p, variables, a.type), scope)
        return tuple(args)


# ------------------------------------------------------------------------------------------ pieces


def literal(value: None | bool | int | float | str, t: Type | None, e: s.Expr) -> ir.Lit:
    """A constant of the checker's type if the kinds agree, else of its own least type."""
    own = _literal_type(value)
    if t is None or t == own or not (is_number(t) and is_real(t) == is_real(own)):
        t = own
    return ir.Lit(t, value, span=e.span)


def _default(op: str, i: int, e: s.Expr) -> ir.Lit:
    """What a primitive takes for its i-th argument if nothing is given."""
    known = row(op)
    default = known.defaults[known.params[i]]
    whole = known.kind == "plain" and signatures(op)[0].params[i] == NUMBERS["nat"]
    return literal(int(default) if whole else float(default), None, e)


def _literal_type(value: None | bool | int | float | str) -> Type:
    match value:
        case None:
            return UNIT
        case bool():
            return BOOL
        case str():
            return TEXT
        case int():
            return NUMBERS["bit" if value in (0, 1) else "nat" if value > 0 else "int"]
        case _:
            return NUMBERS["prob" if 0 <= value <= 1 else "pos" if value >= 0 else "real"]


def _element(t: Type) -> Type:
    while isinstance(t, Array):
        t = t.item
    return t


def cast_type(cast: str, t: Type) -> Type:
    """The type of a checked cast of a t, elementwise on arrays."""
    if isinstance(t, Array):
        return Array(cast_type(cast, t.item))
    name = cast.removeprefix("checked_")
    return BOOL if name == "bool" else NUMBERS[name]


def _word(e: s.Expr) -> str:
    """What a computation's value is called."""
    match e:
        case s.Call(fn=s.Name(name=name)) | s.Call(fn=s.Field(name=name)):
            return name
        case s.If():
            return "chosen"
        case s.Match():
            return "case"
        case s.Comprehension():
            return "items"
        case s.Scan(keep="all"):
            return "states"
        case s.Scan() | s.Iterate():
            return "last"
        case _:
            return "value"


def _variables(op: str, args: tuple[Type, ...], result: Type) -> dict[str, Type]:
    """What the type variables of a plain row stand for, the result's first: it is the join."""
    found: dict[str, Type] = {}
    signature = signatures(op)[0]
    _match(signature.result, result, found)
    for p, a in zip(signature.params, args, strict=True):
        _match(p, a, found)
    return found


def _match(scheme: Type, t: Type, found: dict[str, Type]) -> None:
    match scheme, t:
        case Base(name), _ if len(name) == 1:
            found.setdefault(name, t)
        case (Array(x), Array(y)) | (Dist(x) | Measure(x), Dist(y) | Measure(y)):
            _match(x, y, found)
        case (Tuple(xs), Tuple(ys)) | (Data(_, xs), Data(_, ys)):
            for x, y in zip(xs, ys, strict=True):
                _match(x, y, found)
        case Fun(ps, r), Fun(qs, u):
            for p, q in zip(ps, qs, strict=True):
                _match(p, q, found)
            _match(r, u, found)


def fill(scheme: Type, variables: dict[str, Type], own: Type) -> Type:
    """A scheme at what its variables stand for; `own` where it has none."""
    match scheme, own:
        case Base(name), _ if name in variables:
            return variables[name]
        case Array(x), Array(y):
            return Array(fill(x, variables, y))
        case Tuple(xs), Tuple(ys):
            return Tuple(tuple(fill(x, variables, y) for x, y in zip(xs, ys, strict=True)))
        case Data(n, xs), Data(_, ys):
            return Data(n, tuple(fill(x, variables, y) for x, y in zip(xs, ys, strict=True)))
        case Fun(ps, r), Fun(qs, u):
            params = tuple(fill(p, variables, q) for p, q in zip(ps, qs, strict=True))
            return Fun(params, fill(r, variables, u))
        case (Measure(x), Measure(y) | Dist(y)) | (Dist(x), Dist(y)):
            return type(own)(fill(x, variables, y))  # type: ignore[call-arg]
        case _:
            return own
