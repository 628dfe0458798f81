"""Blocks: statements in order, pure or run."""

from __future__ import annotations

from ppl.lang import syntax as s
from ppl.lang.elaborate import steps
from ppl.lang.elaborate.context import measured
from ppl.lang.elaborate.expressions import Expressions
from ppl.lang.elaborate.origins import Origin, observation_name, trace
from ppl.lang.elaborate.scope import Frame, Local, Scope
from ppl.semantics import ir
from ppl.semantics.types import REAL, UNIT


class Blocks(Expressions):
    def origin(self, e: s.Expr, scope: Scope) -> Origin:
        return trace(e, scope.names, self.instance.primitive)

    # ------------------------------------------------------------------------------- pure blocks

    def pure_block(self, e: s.Block, scope: Scope) -> ir.Comp:
        """Its bindings go into the block around it; its names end with it."""
        inner = scope.nested()
        if not e.statements:
            return self.unit(e)
        for st in e.statements[:-1]:
            self.let(st, inner)
        match e.statements[-1]:
            case s.ExprStmt(expr=last):
                return self.pure(last, inner)
            case st:
                self.let(st, inner)
                return self.unit(e)

    def let(self, st: s.Statement, scope: Scope) -> None:
        match st:
            case s.Let(pattern=pattern, expr=e):
                origin = self.origin(e, scope)
                comp = self.fit_result(self.pure(e, scope), self.type(pattern))
                if isinstance(pattern, s.PName):
                    v: ir.Value = scope.emit(self.namer.fresh(pattern.name), comp)
                elif isinstance(comp, ir.Return) and isinstance(comp.value, ir.Var):
                    v = comp.value
                else:
                    v = scope.emit(self.namer.fresh("_"), comp)
                self.bind(pattern, v, scope, origin)
            case _:
                raise AssertionError(f"{type(st).__name__} in a pure block")

    def unit(self, node: s.Node) -> ir.Return:
        return ir.Return(UNIT, ir.Lit(UNIT, None, span=node.span), span=node.span)

    # ---------------------------------------------------------------------------- measure blocks

    def run_block(self, e: s.Block, scope: Scope, *, tail: bool) -> ir.Comp:
        """The block run in the scope's frame. A block that ends in an effect returns ()."""
        inner = scope.inner()
        result: ir.Comp | None = None
        for i, st in enumerate(e.statements):
            last = i == len(e.statements) - 1
            result = self.statement(st, inner, tail=tail and last, last=last)
        return inner.close(result or self.unit(e))

    def statement(self, st: s.Statement, scope: Scope, *, tail: bool, last: bool) -> ir.Comp | None:
        """Emit a statement; the last may be the block's result instead."""
        match st:
            case s.Draw():
                self.draw(st, scope)
                return None
            case s.Return(value=e):
                return self.pure(e, scope)
            case s.ExprStmt(expr=e):
                comp = self.run(e, scope, tail=tail)
            case s.Observe():
                comp = self.observe(st, scope)
            case s.Factor(value=e):
                comp = self.score(self.value(e, scope), st, scope)
            case s.Condition(value=e):
                condition = ir.Op(REAL, "score_if", (self.value(e, scope),), span=st.span)
                comp = self.score(condition, st, scope)
            case s.Checkpoint():
                comp = self.score(ir.Op(REAL, "checkpoint", (), span=st.span), st, scope)
            case _:
                self.let(st, scope)
                return None
        if last:
            return comp
        scope.emit(self.namer.fresh("_"), comp)
        return None

    def score(self, v: ir.Value, st: s.Statement, scope: Scope) -> ir.Comp:
        scope.frame.used = True
        return ir.Score(UNIT, v, span=st.span)

    def observe(self, st: s.Observe, scope: Scope) -> ir.Comp:
        name = observation_name(st.value, self.origin(st.value, scope))
        value, dist = self.value(st.value, scope), self.value(st.dist, scope)
        scope.frame.used = True
        value = self.fit(value, measured(dist.type), scope)
        return ir.Observe(UNIT, dist, value, self.observations.next(name), span=st.span)

    def draw(self, st: s.Draw, scope: Scope) -> None:
        pattern = st.pattern
        if isinstance(pattern, s.PName):
            frame = scope.frame
            step = frame.step(pattern.name)
            run = self.run(st.expr, self.under(scope), tail=True, bound=True)
            run = self.fit_result(run, self.type(pattern))
            kept = ir.At(run.type, step, run, keep=True, span=st.span)
            v = scope.emit(self.namer.fresh(pattern.name), kept)
            scope.define(pattern.name, Local(v))
            return
        run = self.run(st.expr, scope, tail=False)
        run = self.fit_result(run, self.type(pattern))
        v = scope.emit(self.namer.fresh("_"), run)
        self.keep(pattern, v, scope)

    def keep(self, pattern: s.Pattern, v: ir.Value, scope: Scope) -> None:
        """The names of a pattern that something was drawn into are kept, each by its own step."""
        if not isinstance(pattern, s.PName):
            inner = scope.nested()
            self.bind_kept(pattern, v, inner, scope)
            scope.names = inner.names

    def bind_kept(self, pattern: s.Pattern, v: ir.Value, inner: Scope, scope: Scope) -> None:
        match pattern:
            case s.PName(name=name):
                kept = steps.at(scope.frame, name, self.returned(v, pattern.span), keep=True)
                inner.define(name, Local(scope.emit(self.namer.fresh(name), kept)))
            case s.PTuple(items=items):
                for i, item in enumerate(items):
                    part = ir.Proj(v.type.items[i], v, i, span=item.span)  # type: ignore[attr-defined]
                    self.bind_kept(item, part, inner, scope)
            case s.PRecord(fields=fields):
                for name, item in fields:
                    t = v.type.get(name)  # type: ignore[attr-defined]
                    self.bind_kept(item, ir.Get(t, v, name, span=item.span), inner, scope)
            case s.PCons():
                for field, item in self.fields(pattern, v, scope):
                    self.bind_kept(item, field, inner, scope)

    def under(self, scope: Scope) -> Scope:
        """The same block, one step down the path."""
        return Scope(scope.names, Frame(), scope.binds)
