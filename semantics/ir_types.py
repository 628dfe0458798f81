"""The type of an IR node from the types of its parts: one rule a node.

The rules are local (parts are trusted), so that the printer can leave out what the reader derives,
and the verifier is one rule at each node.
"""

from __future__ import annotations

from collections.abc import Mapping

from ppl.semantics import ir
from ppl.semantics.op_types import TypeFault, op_type
from ppl.semantics.subtypes import join_all, seen
from ppl.semantics.types import (
    BIT,
    BOOL,
    INT,
    NAT,
    POS,
    PROB,
    REAL,
    TEXT,
    UNIT,
    Array,
    Dist,
    Fun,
    Measure,
    Record,
    Tuple,
    Type,
)


def derive(node: ir.Node, locals: Mapping[str, Type], functions: Mapping[str, Type]) -> Type | None:
    """The least type of a node given the types of its parts, variables and functions.

    None where the parts do not determine it (constructors of inductive types, empty arrays).
    Raises TypeFault if no type fits.
    """
    match node:
        case ir.Lit(value=value):
            return literal_type(value)
        case ir.Var(name=name):
            return seen(_look_up(name, locals, "variable"))
        case ir.Global(name=name):
            return _look_up(name, functions, "function")
        case ir.Lam(params=params, body=body):
            return Fun(tuple(p.type for p in params), body.type)
        case ir.Thunk(body=body):
            return Measure(body.type)
        case ir.Op(op=op, args=args):
            return op_type(op, tuple(a.type for a in args))
        case ir.MakeTuple(items=items):
            return Tuple(tuple(i.type for i in items))
        case ir.MakeRecord(names=names, items=items):
            if len(names) != len(items) or len(set(names)) != len(names):
                raise TypeFault(f"a record with fields {names} and {len(items)} values")
            return Record(tuple(zip(names, (i.type for i in items), strict=True)))
        case ir.MakeArray(items=items):
            return Array(_joined(items, "the elements of an array")) if items else None
        case ir.Proj(value=value, index=index):
            if not isinstance(value.type, Tuple) or not 0 <= index < len(value.type.items):
                raise TypeFault(f"component {index} of {value.type}")
            return value.type.items[index]
        case ir.Get(value=value, name=name):
            field = value.type.get(name) if isinstance(value.type, Record) else None
            if field is None:
                raise TypeFault(f"field `{name}` of {value.type}")
            return field
        case ir.Make():
            return None
        case ir.Return(value=value):
            return value.type
        case ir.Block(result=result):
            return result.type
        case ir.Call(fn=fn):
            if not isinstance(fn.type, Fun):
                raise TypeFault(f"a call of {fn.type}")
            return fn.type.result
        case ir.Run(measure=measure):
            if not isinstance(measure.type, (Measure, Dist)):
                raise TypeFault(f"a run of {measure.type}")
            return measure.type.item
        case ir.Observe() | ir.Score():
            return UNIT
        case ir.At(body=body):
            return body.type
        case ir.If(then=then, other=other):
            return _joined((then, other), "the arms of `if`")
        case ir.Match(arms=arms):
            return _joined(tuple(a.body for a in arms), "the arms of `match`") if arms else None
        case ir.For(body=body):
            return Array(body.type)
        case ir.Scan(carry=carry, keep=keep):
            return Array(carry.type) if keep == "all" else carry.type
        case ir.Iterate(carry=carry):
            return carry.type
        case _:
            raise TypeFault(f"unknown node {type(node).__name__}")


def literal_type(value: object) -> Type:
    """The least type of a constant."""
    match value:
        case None:
            return UNIT
        case bool():
            return BOOL
        case str():
            return TEXT
        case int():
            return BIT if value in (0, 1) else NAT if value >= 0 else INT
        case float():
            return PROB if 0 <= value <= 1 else POS if value >= 0 else REAL
        case _:
            raise TypeFault(f"no constant {value!r}")


def _look_up(name: str, types: Mapping[str, Type], what: str) -> Type:
    if name not in types:
        raise TypeFault(f"no {what} `{name}` in scope")
    return types[name]


def _joined(nodes: tuple[ir.Node, ...], what: str) -> Type:
    types = [n.type for n in nodes]
    joined = join_all(types)
    if joined is None:
        raise TypeFault(f"{what} have types {', '.join(map(str, types))}")
    return joined
