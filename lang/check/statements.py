"""Shapes of statements, and of the blocks they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ppl.lang import syntax as s
from ppl.lang.check import calls
from ppl.lang.check import terms as t
from ppl.lang.check.broadcast import Observed, Spread
from ppl.lang.check.patterns import bind_pattern
from ppl.lang.check.primitives import is_elementwise_distribution
from ppl.lang.check.report import Place
from ppl.lang.check.terms import BOOL, NUM, UNIT, Meta, Term

if TYPE_CHECKING:
    from ppl.lang.check.infer import Body


def block(body: Body, block: s.Block) -> Term:
    effectful = block in body.facts.measure_blocks
    last = len(block.statements) - 1
    result: Term = UNIT
    for i, st in enumerate(block.statements):
        if type(st) is s.ExprStmt:
            term = body.expr(st.expr)
            if not effectful:
                result = term
            elif i < last:
                why = "an expression that stands as a statement"
                body.solver.measured(term, Place(body, st), st.expr, why, "E508")
            else:
                why = "the end of a block with effects"
                if type(t.prune(term)) is Meta and _is_number_drawn_in(body, block, st.expr):
                    term = NUM  # whatever numbers its law takes, which is not known yet
                result = body.solver.measured(term, Place(body, st), st.expr, why, "E503")
        elif type(st) is s.Return:
            term = body.expr(st.value)
            if i == last:
                result = term
        else:
            _STATEMENTS[type(st)](body, st)
        body.solver.run_soon()
    return t.measure(result) if effectful else result


def _is_number_drawn_in(body: Body, block: s.Block, e: s.Expr) -> bool:
    """Whether an expression is a name that is drawn from a law of numbers in this block."""
    return isinstance(e, s.Name) and any(
        isinstance(st, s.Draw)
        and isinstance(st.pattern, s.PName)
        and st.pattern.name == e.name
        and isinstance(st.expr, s.Call)
        and is_elementwise_distribution(body, st.expr)
        for st in block.statements
    )


def _draw(body: Body, st: s.Draw) -> None:
    term = body.expr(st.expr)
    item = body.solver.measured(term, Place(body, st), st.expr, "the right of `~`", "E502")
    for value in baseline(st):
        body.equal(body.expr(value), NUM, value, "the value of a baseline")
    bind_pattern(body, st.pattern, item)


def _let(body: Body, st: s.Let) -> None:
    term = body.expr(st.expr)
    if st.type is not None:
        wanted = body.annotated(st.type)
        body.equal(term, wanted, st.expr, "the declared type of this variable")
        term = wanted
    bind_pattern(body, st.pattern, term)


def _observe(body: Body, st: s.Observe) -> None:
    value = body.expr(st.value)
    dist = st.dist
    if isinstance(dist, s.Call) and is_elementwise_distribution(body, dist):
        one, drawn = calls.call(body, dist), Meta()
        item = body.solver.measured(one, Place(body, st), dist, "the right of `~`", "E502")
        body.types[dist] = t.measure(drawn)
        body.solver.add(Spread(Place(body, st), item, value, drawn))
    else:
        term = body.expr(dist)
        drawn = body.solver.measured(term, Place(body, st), dist, "the right of `~`", "E502")
    body.solver.add(Observed(Place(body, st.value), value, drawn, st.value))


def _factor(body: Body, st: s.Factor) -> None:
    body.equal(body.expr(st.value), NUM, st.value, "what `factor` adds to the log weight")


def _condition(body: Body, st: s.Condition) -> None:
    body.equal(body.expr(st.value), BOOL, st.value, "what `condition` requires")


def _checkpoint(body: Body, st: s.Checkpoint) -> None:
    pass


def _param(body: Body, st: s.ParamStmt) -> None:
    wanted = body.annotated(st.type)
    body.equal(body.expr(st.init), wanted, st.init, f"the initial value of `{st.name}`")
    body.types[st] = wanted
    body.locals[body.facts.binders[st]] = wanted


def baseline(st: s.Draw) -> tuple[s.Expr, ...]:
    """The second argument of `by baseline(strategy, value)`."""
    return st.strategy.args[1:] if isinstance(st.strategy, s.Call) else ()


def tail(e: s.Expr) -> s.Expr:
    """The expression that gives a block its value, for a caret that points at it."""
    while isinstance(e, s.Block) and e.statements:
        last = e.statements[-1]
        if isinstance(last, s.ExprStmt):
            e = last.expr
        elif isinstance(last, s.Return):
            return last.value
        else:
            break
    return e


_STATEMENTS: dict[type, Callable[[Body, Any], None]] = {
    s.Draw: _draw,
    s.Let: _let,
    s.Observe: _observe,
    s.Factor: _factor,
    s.Condition: _condition,
    s.Checkpoint: _checkpoint,
    s.ParamStmt: _param,
}
