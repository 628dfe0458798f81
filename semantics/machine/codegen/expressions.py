"""Values of the IR as Python expressions."""

from __future__ import annotations

from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.forms import iid_loop
from ppl.semantics.machine.codegen.unit import Unit
from ppl.semantics.machine.distributions import family_of
from ppl.semantics.machine.rational import fraction, rational_family
from ppl.semantics.machine.scalars import SCALAR
from ppl.semantics.machine.values import holds_data, sorted_fields
from ppl.semantics.signatures import MAP_ROWS, PRIMITIVES, Distribution

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "ge": ">=",
    "and": "and",
    "or": "or",
}
#: primitives that move the elements of arrays and do not look at them
_MOVES = frozenset({"len", "concat", "reverse", "repeat", "enumerate"})
#: expressions nested deeper than this go through a variable
DEEP = 25


class Expressions:
    """Emits statements for what an expression cannot hold; `self.put` adds a line."""

    unit: Unit
    depth = 0

    def put(self, line: str) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------------------------- atoms

    def fresh(self) -> str:
        return self.unit.names.fresh("t")

    def atom(self, value: ir.Value) -> str:
        """An expression that may be written twice."""
        return self.as_atom(self.value(value))

    def as_atom(self, text: str) -> str:
        if text.isidentifier() or text.isdigit():
            return text
        name = self.fresh()
        self.put(f"{name} = {text}")
        return name

    def constant(self, x: Any) -> str:
        return self.unit.names.constant(x)

    def forced(self, value: ir.Value) -> str:
        """The value, computed now if it is lazy."""
        text = self.value(value)
        if self.unit.lazy and isinstance(value, (ir.Var, ir.Proj, ir.Get, ir.Op)):
            return f"q_force(s, {text})"
        return text

    def whole(self, value: ir.Value) -> str:
        """The value, computed now with all its parts."""
        if self.unit.lazy and isinstance(value.type, (T.Array, T.Tuple, T.Record, T.Data)):
            return f"q_whole(s, {self.value(value)})"
        return self.forced(value)

    # ------------------------------------------------------------------------------------- rules

    def value(self, v: ir.Value) -> str:
        self.depth += 1
        try:
            text = getattr(self, "_" + type(v).__name__.lower())(v)
        finally:
            self.depth -= 1
        return self.as_atom(text) if self.depth and self.depth % DEEP == 0 else text

    def _lit(self, v: ir.Lit) -> str:
        x = v.value
        if type(x) is int and 0 <= x < 1 << 30:
            return str(x)
        if type(x) is float and self.unit.options.rational:
            return self.constant(fraction(x))
        return self.constant(x)

    def _var(self, v: ir.Var) -> str:
        return self.unit.env[v.name]

    def _global(self, v: ir.Global) -> str:
        piece = self.unit.function(v.name, run=False)
        return f"g{piece.number}"

    def _lam(self, v: ir.Lam | ir.Thunk) -> str:
        piece = self.unit.closure(v)
        n, last = piece.number, "b" if self.unit.options.suspends else "a"
        assert piece.captured is not None
        return f"(f{n}, a{n}, {last}{n}{''.join(', ' + c for c in piece.captured)})"

    _thunk = _lam

    def items(self, values: tuple[ir.Value, ...]) -> str:
        parts, bound = [self.value(x) for x in values], self.unit.names.bound
        if parts and all(p.isdigit() or p in bound for p in parts):  # made once
            return self.constant(tuple([bound[p] if p in bound else int(p) for p in parts]))
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def _maketuple(self, v: ir.MakeTuple) -> str:
        return self.items(v.items)

    _makearray = _maketuple

    def _makerecord(self, v: ir.MakeRecord) -> str:
        order = sorted(range(len(v.names)), key=v.names.__getitem__)
        texts = [self.as_atom(self.value(x)) for x in v.items]
        parts = [texts[i] for i in order]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def _proj(self, v: ir.Proj) -> str:
        return f"{self.forced(v.value)}[{v.index}]"

    def _get(self, v: ir.Get) -> str:
        assert isinstance(v.value.type, T.Record)
        return f"{self.forced(v.value)}[{sorted_fields(v.value.type).index(v.name)}]"

    def _make(self, v: ir.Make) -> str:
        number = self.unit.constructors.number(v.constructor)
        parts = [str(number), *(self.value(x) for x in v.args)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    # -------------------------------------------------------------------------------- primitives

    def _op(self, v: ir.Op) -> str:
        text = self.primitive(v)
        if text[0] != "(":
            self.unit.calls.setdefault(text, v.span)
        return text

    def primitive(self, v: ir.Op) -> str:
        row = PRIMITIVES.get(v.op)
        if v.op == "iid" and not isinstance(v.type, T.Dist):
            loop = self.unit.rewritten(v, iid_loop)
            return self.value(self.unit.rewritten(loop, thunk))
        if v.op in ("mem", "lazy", "gaussian_process"):
            given = ", ".join(map(self.value, v.args))
            return f"(q_{v.op}, q_{v.op}_block, q_{v.op}_block, {given})"
        if v.op == "normalize":
            return f"q_normalize(s, {self.value(v.args[0])}, {self.constant(v.span)})"
        if v.op in ("normalize_importance", "normalize_rejection"):
            code, block = f"q_{v.op}", f"q_{v.op}_block"
            parts = self.value(v.args[0]), self.forced(v.args[1]), self.constant(v.span)
            return f"({', '.join((code, block, block, *parts))})"
        if isinstance(row, Distribution):
            family, args = self.distribution(v)
            return f"(q_run, q_run_block, q_run_block, {family}, {args})"
        special = getattr(self, "_op_" + v.op, None)
        if special is not None:
            return special(v)
        args = [self.forced(a) if v.op in _MOVES else self.whole(a) for a in v.args]
        if v.op in SCALAR:
            return self.elementwise(v.op, v.args, args)
        text = ", ".join(args)
        return f"q_map_{v.op}({text})" if v.op in MAP_ROWS else f"q_{v.op}({text})"

    def distribution(self, v: ir.Op) -> tuple[str, str]:
        """The names of a distribution's family, and the tuple of its arguments."""
        family = self.family(v)
        if v.op == "transform":
            d, forward, backward = (self.forced(a) for a in v.args)
            return family, f"({d}, q_callable(s, {forward}), q_callable(s, {backward}))"
        if v.args and all(isinstance(a, ir.Lit) for a in v.args) and not self.unit.options.rational:
            return family, self.constant(tuple(a.value for a in v.args))  # type: ignore[attr-defined]
        if self.unit.lazy:
            parts = [self.whole(a) for a in v.args]
            return family, f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return family, self.items(v.args)

    def family(self, v: ir.Op) -> str:
        found = family_of(v.op, v.type)
        if self.unit.options.rational:
            found = rational_family(v.op, found)
        return self.constant(found)

    def elementwise(self, op: str, values: tuple[ir.Value, ...], args: list[str]) -> str:
        if any(isinstance(a.type, T.Array) for a in values):
            return f"{self.constant(self.unit.lifted(op))}({', '.join(args)})"
        if op in _INFIX:
            return f"({args[0]} {_INFIX[op]} {args[1]})"
        match op:
            case "neg":
                return f"(-{args[0]})"
            case "not":
                return f"(not {args[0]})"
            case "to_real" if isinstance(values[0], ir.Lit) and not self.unit.options.rational:
                return self.constant(float(values[0].value))  # type: ignore[arg-type]
            case "div" if not self.unit.options.rational:
                if isinstance(values[1], ir.Lit) and values[1].value:
                    return f"({args[0]} / {args[1]})"
                a, b = self.as_atom(args[0]), self.as_atom(args[1])
                return f"({a} / {b} if {b} else q_div({a}, {b}))"
            case "square":
                a = self.as_atom(args[0])
                return f"({a} * {a})"
            case "pow" if isinstance(values[1], ir.Lit) and values[1].value == 2:
                a = self.as_atom(args[0])
                return f"({a} * {a})"
        return f"q_{op}({', '.join(args)})"

    def _op_eq(self, v: ir.Op) -> str:
        a, b = (self.whole(x) for x in v.args)
        return f"q_equal({a}, {b})" if self.deep(v) else f"({a} == {b})"

    def _op_ne(self, v: ir.Op) -> str:
        a, b = (self.whole(x) for x in v.args)
        return f"(not q_equal({a}, {b}))" if self.deep(v) else f"({a} != {b})"

    def deep(self, v: ir.Op) -> bool:
        return any(holds_data(a.type) for a in v.args)

    def _op_value_at(self, v: ir.Op) -> str:
        m, key = (self.whole(a) for a in v.args)
        return f"q_map_value_at({m}, {key}, {self.constant(v.span)})"

    def _op_text(self, v: ir.Op) -> str:
        x = self.whole(v.args[0])
        return f"q_text(q_to_real({x}))" if T.is_real(v.args[0].type) else f"q_text({x})"

    def _op_index(self, v: ir.Op) -> str:
        xs, i = self.as_atom(self.forced(v.args[0])), self.as_atom(self.whole(v.args[1]))
        place = self.constant(v.span)
        if isinstance(v.args[1].type, T.Array):
            return f"q_take({xs}, {i}, {place})"
        return f"({xs}[{i}] if -1 < {i} < q_len({xs}) else q_outside({xs}, {i}, {place}))"

    def _op_concat(self, v: ir.Op) -> str:
        xs, ys = (self.forced(a) for a in v.args)
        return f"({xs} + {ys})"

    def _op_slice(self, v: ir.Op) -> str:
        xs, lo, hi = (self.forced(a) for a in v.args)
        return f"q_slice({xs}, {lo}, {hi}, {self.constant(v.span)})"

    def _op_columns(self, v: ir.Op) -> str:
        xs, i = (self.whole(a) for a in v.args)
        return f"q_columns({xs}, {i}, {self.constant(v.span)})"

    def _op_columns_slice(self, v: ir.Op) -> str:
        xs, lo, hi = (self.whole(a) for a in v.args)
        return f"q_columns_slice({xs}, {lo}, {hi}, {self.constant(v.span)})"

    def _op_zip(self, v: ir.Op) -> str:
        return self.zipped(v, "q_zip")

    def zipped(self, v: ir.Op, name: str) -> str:
        return f"{name}({self.constant(v.span)}, {', '.join(self.forced(a) for a in v.args)})"

    def _checked(self, v: ir.Op) -> str:
        return f"q_{v.op}({self.whole(v.args[0])}, {self.constant(v.span)})"

    _op_checked_int = _op_checked_bool = _checked

    def _in_line(self, v: ir.Op) -> str:
        """A cast whose test of a single number is written out."""
        if isinstance(v.type, T.Array):
            return self._checked(v)
        x = self.as_atom(self.forced(v.args[0]))
        legal = f"0 <= {x} <= 1" if v.op == "checked_prob" else f"{x} >= 0"
        return f"({x} if {legal} else q_{v.op}({x}, {self.constant(v.span)}))"

    _op_checked_nat = _op_checked_pos = _op_checked_prob = _in_line

    def _op_matmul(self, v: ir.Op) -> str:
        a, b = (self.whole(x) for x in v.args)
        return f"q_matmul({a}, {b}, {T.rank(v.args[0].type)}, {T.rank(v.args[1].type)})"

    def _op_expectation(self, v: ir.Op) -> str:
        d, f = (self.whole(x) for x in v.args)
        return f"q_expectation({d}, q_callable(s, {f}), {self.constant(v.span)})"

    def _op_checkpoint(self, v: ir.Op) -> str:
        return "0"

    def _op_ode(self, v: ir.Op) -> str:
        rhs, *rest = (self.whole(a) for a in v.args)
        return f"q_{v.op}(q_callable(s, {rhs}), {', '.join(rest)})"

    _op_ode_stiff = _op_ode


def thunk(c: ir.Comp) -> ir.Thunk:
    """A computation as a measure."""
    return ir.Thunk(T.Measure(c.type), c, span=c.span)
