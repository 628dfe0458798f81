"""Forms of the IR that evaluators share: a call and its run as one, conditions, walks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T


def run_body(c: ir.Comp) -> ir.Comp:
    """`run` of the measure that `c` computes, as one computation. `c` is pure, so nothing moves."""
    match c:
        case ir.Return(value=ir.Thunk(body=body)):
            return body
        case ir.Return(value=value):
            return ir.Run(item(value.type), value, span=c.span)
        case ir.Block(binds=binds, result=result):
            inner = run_body(result)
            return ir.Block(inner.type, binds, inner, span=c.span)
        case ir.If(cond=cond, then=then, other=other):
            return ir.If(item(c.type), cond, run_body(then), run_body(other), span=c.span)
        case ir.Match(subject=subject, arms=arms):
            inner = tuple(ir.Arm(a.constructor, a.params, run_body(a.body)) for a in arms)
            return ir.Match(item(c.type), subject, inner, span=c.span)
        case ir.Call(fn=ir.Global()):
            return RunCall(item(c.type), c, span=c.span)
        case _:
            name = f" run {id(c)}"
            var = ir.Var(c.type, name)
            return ir.Block(
                item(c.type),
                (ir.Bind(name, c),),
                ir.Run(item(c.type), var, span=c.span),
                span=c.span,
            )


def item(t: T.Type) -> T.Type:
    """What a measure is a measure on."""
    return t.item if isinstance(t, (T.Measure, T.Dist)) else t


@dataclass(frozen=True)
class RunCall(ir.Comp):
    """Run the measure that a call of a top-level function returns."""

    call: ir.Call

    @property
    def effectful(self) -> bool:  # type: ignore[override]
        return True

    @property
    def free(self) -> frozenset[str]:  # type: ignore[override]
        return self.call.free


def iid_loop(op: ir.Op) -> ir.For:
    """`iid(n, m)` of a measure that is no distribution, run: a loop."""
    n, measure = op.args
    over = ir.Op(T.Array(T.NAT), "range", (n,), span=op.span)
    body = ir.Run(item(measure.type), measure, span=op.span)
    param = ir.Param(f" element {id(op)}", T.NAT)
    return ir.For(T.Array(body.type), param, over, body, span=op.span)


def guarded_body(node: ir.For) -> ir.Comp:
    """The body of a comprehension with a condition: its value in a 1-tuple, or ()."""
    assert node.guard is not None
    kept, value = f" kept {id(node)}", f" value {id(node)}"
    some = ir.MakeTuple(T.Tuple((node.body.type,)), (ir.Var(node.body.type, value),))
    none = ir.MakeTuple(T.Tuple(()), ())
    then = ir.Block(
        some.type, (ir.Bind(value, node.body),), ir.Return(some.type, some), span=node.span
    )
    other = ir.Return(none.type, none, span=node.span)
    test = ir.If(some.type, ir.Var(T.BOOL, kept), then, other, span=node.span)
    return ir.Block(some.type, (ir.Bind(kept, node.guard),), test, span=node.span)


def walk(node: ir.Node) -> Iterator[ir.Node]:
    """The node and everything in it."""
    todo = [node]
    while todo:
        n = todo.pop()
        yield n
        todo.extend(ir.children(n.call) if isinstance(n, RunCall) else ir.children(n))


def fused_calls(program: ir.Program) -> frozenset[str]:
    """Variables bound to a call of a top-level function whose only use is to be run, in the same
    frame and not in a loop: the call and the run become one."""
    uses: Counter[str] = Counter()
    bound_at: dict[str, int] = {}
    run_at: dict[str, int] = {}
    regions = iter(range(1, 1 << 62))
    todo: list[tuple[ir.Node, int]] = [(f.body, next(regions)) for f in program.functions]
    while todo:
        node, region = todo.pop()
        match node:
            case ir.Var(name=name):
                uses[name] += 1
            case ir.Run(measure=ir.Var(name=name)):
                run_at[name] = region
            case ir.Block(binds=binds):
                for b in binds:
                    if isinstance(b.comp, ir.Call) and isinstance(b.comp.fn, ir.Global):
                        bound_at[b.name] = region
        new = isinstance(node, (ir.Lam, ir.Thunk, ir.For, ir.Scan, ir.Iterate))
        inner = next(regions) if new else region
        for child in ir.children(node):
            # what a loop goes over is evaluated outside it
            todo.append((child, inner if isinstance(child, ir.Comp) or not new else region))
    return frozenset(
        name for name, region in bound_at.items() if uses[name] == 1 and run_at.get(name) == region
    )
