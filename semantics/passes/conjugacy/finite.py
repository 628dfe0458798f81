"""A finite choice of a block summed out, and drawn where everything else is known.

    z ~ categorical(p)                    table = [log p(z) + log density of what follows | z]
    observe y ~ normal(mu[z], 1)    =>    score logsumexp(table)
    return z                              z ~ categorical_logit(table)
                                          return z

What follows is scored for every value of the choice; that is all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.holes import bind, each, returned
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh, freshen
from ppl.semantics.passes.conjugacy.build import ONE, ZERO, as_type, op, plus
from ppl.semantics.passes.conjugacy.collapse import (
    Reversed,
    ending,
    put_later,
    sorted_by_use,
    unkept,
)
from ppl.semantics.passes.conjugacy.linear import Broken
from ppl.semantics.passes.conjugacy.sites import binders_around
from ppl.semantics.passes.conjugacy.uses import Path


@dataclass(frozen=True)
class Finite:
    """A choice: its variable, law, options, and how it is drawn by the logarithms of weights."""

    name: str
    path: Path
    law: ir.Op
    options: ir.Value
    drawn: Callable[[ir.Value], ir.Comp]
    span: Span | None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)


def read_finite(b: ir.Bind, path: Path) -> Finite | None:
    """The finite choice that a binding in a block at a path makes."""
    at, wrap = binders_around(b.comp)
    run = at[-1].body if at else b.comp
    match run:
        case ir.Run(type=t, measure=ir.Op(op="bernoulli" | "bernoulli_logit") as law) if (
            t == T.BOOL
        ):
            options: ir.Value = ir.MakeArray(
                T.Array(T.BOOL), (ir.Lit(T.BOOL, False), ir.Lit(T.BOOL, True))
            )
        case ir.Run(measure=ir.Op(op="categorical" | "categorical_logit") as law):
            options = op("range", op("len", law.args[0]))
        case _:
            return None

    def drawn(table: ir.Value) -> ir.Comp:
        if law.op.startswith("bernoulli"):
            odds = op("sub", op("index", table, ONE), op("index", table, ZERO))
            return wrap(ir.Run(T.BOOL, op("bernoulli_logit", odds), span=run.span))
        return wrap(ir.Run(run.type, op("categorical_logit", table), span=run.span))

    here = (*path, *(a.step for a in at))
    return Finite(b.name, here, law, options, drawn, b.comp.span)


def sum_out(
    c: ir.Block, at: int, site: Finite, path: Path, late: Set[Path], fresh: Fresh
) -> Reversed:
    """The block, which runs at a path, with the choice that its binding `at` makes summed out.

    Contract `Measure`. Raises Broken: what follows draws and scores together.
    """
    c, own = ending(c, fresh), c.binds[at]
    names = sorted_by_use(c.binds[at + 1 :], c.result, frozenset((own.name,)), path, late, fresh)
    known = {b.name for b in names.pure}
    drawn_later = {b.name for b in names.late if b.name not in known}
    for b in names.observing:
        if not drawn_later.isdisjoint(b.comp.free):
            raise Broken("what is drawn or scored by it is scored again", b.comp.span)
    out = [*c.binds[:at], *names.clean]
    option = ir.Param(site.name, site.options.type.item)  # type: ignore[attr-defined]
    inside: list[ir.Bind] = [ir.Bind(b.name, unkept(b.comp)) for b in names.pure]
    total: ir.Value = op("log_prob", site.law, ir.Var(option.type, option.name))
    for b in names.observing:
        total = plus(total, bind(inside, b.name, as_value(b.comp, fresh)))
    scored = each(option, site.options, block(inside, returned(as_type(total, T.REAL))))
    table = bind(out, fresh.name("table"), freshen(scored, fresh))
    mass = op("logsumexp", table)
    out.append(ir.Bind(fresh.name("_"), ir.Score(T.UNIT, mass, span=site.span)))
    drawn = bind(out, fresh.name(site.name), site.drawn(table))
    return put_later(out, own.comp, names, {site.name: drawn.name}, {site.path}, c, path, fresh)


def as_value(c: ir.Comp, fresh: Fresh) -> ir.Comp:
    """What a computation scores, as a pure computation. Raises Broken if it draws."""
    match c:
        case ir.Observe(dist=dist, value=value):
            return returned(op("log_prob", dist, value, type=T.REAL))
        case ir.Score(value=value):
            return returned(as_type(value, T.REAL))
        case ir.At(body=body):
            return as_value(body, fresh)
        case ir.Block(binds=binds, result=result):
            inside: list[ir.Bind] = []
            total: ir.Value = ZERO
            for b in binds:
                if b.comp.effectful:
                    total = plus(total, bind(inside, b.name, as_value(b.comp, fresh)))
                else:
                    inside.append(ir.Bind(b.name, unkept(b.comp)))
            last = bind(inside, fresh.name("last"), as_value(result, fresh))
            return block(inside, returned(as_type(plus(total, last), T.REAL)))
        case ir.If(cond=cond, then=then, other=other):
            return ir.If(T.REAL, cond, as_value(then, fresh), as_value(other, fresh))
        case ir.For(param=param, over=over, body=body, guard=None):
            inside = []
            scores = bind(inside, fresh.name("scores"), each(param, over, as_value(body, fresh)))
            return block(inside, returned(as_type(op("sum", scores), T.REAL)))
        case _ if not c.effectful:
            return returned(as_type(ZERO, T.REAL))
        case ir.Run():
            raise Broken("what follows it draws and scores together", c.span)
        case _:
            raise Broken("it is scored in a loop with a state, or in a computation", c.span)
