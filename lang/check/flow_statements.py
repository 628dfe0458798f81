"""Which numbers flow where in statements, and in the blocks they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.graph import A, Seen, leaf
from ppl.lang.check.statements import baseline

if TYPE_CHECKING:
    from ppl.lang.check.flows import Flows


def block(flows: Flows, block: s.Block) -> A:
    effectful = block in flows.facts.measure_blocks or block in flows.body.unit_blocks
    last = len(block.statements) - 1
    result = A("unit")
    for i, st in enumerate(block.statements):
        if type(st) is s.ExprStmt:
            a = flows.expr(st.expr)
            if i == last:
                result = a.args[0] if effectful else a
        elif type(st) is s.Return:
            result = flows.expr(st.value)
        else:
            _statement(flows, st)
    return flows.measure(result) if effectful else result


def _statement(flows: Flows, st: s.Statement) -> None:
    match st:
        case s.Draw(pattern=pattern, expr=e):
            a = flows.expr(e).args[0]
            for value in baseline(st):
                flows.expr(value)
            flows.bind(pattern, a)
        case s.Let(pattern=pattern, type=type_, expr=e):
            a = flows.expr(e)
            if type_ is not None:
                wanted = flows.graph.of_type(flows.facts.annotations[type_], {}, flows.shape(e))
                flows.flow(a, wanted, "the declared type of this variable", e)
                a = wanted
            flows.bind(pattern, a)
        case s.Observe(value=value, dist=dist):
            v, d = flows.expr(value), flows.expr(dist)
            wanted = flows.graph.constant(atoms.DIST, True)
            why = "what is observed must have a density: it"
            flows.graph.link(d.var, wanted, why, dist, False)
            x, y = leaf(v), leaf(d.args[0])
            if x.head == "num" and y.head == "num":
                flows.graph.seen.append(Seen(x.var, y.var, value))
        case s.Factor(value=value) | s.Condition(value=value):
            flows.expr(value)
        case s.ParamStmt(type=type_, init=init):
            wanted = flows.graph.of_type(flows.facts.annotations[type_], {}, flows.shape(st))
            flows.flow(flows.expr(init), wanted, "the initial value", init)
            flows.types[st] = wanted
            flows.locals[flows.facts.binders[st]] = wanted
        case _:
            pass
