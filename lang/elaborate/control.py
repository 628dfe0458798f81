"""Branches and loops, as values and run in place."""

from __future__ import annotations

from ppl.lang import syntax as s
from ppl.lang.elaborate import steps
from ppl.lang.elaborate.blocks import Blocks
from ppl.lang.elaborate.context import item_type, measured
from ppl.lang.elaborate.matches import match
from ppl.lang.elaborate.scope import Frame, Scope
from ppl.semantics import ir
from ppl.semantics.types import BOOL, Array, Dist, Measure, Type


class Control(Blocks):
    # -------------------------------------------------------------------------------------- values

    def control(self, e: s.Expr, scope: Scope) -> ir.Comp:
        t = self.type(e)
        match e:
            case s.If(cond=cond, then=then, other=other):
                c = self.value(cond, scope)
                chosen = self.pure_arm(then, t, scope)
                if other is None:  # the measure that returns ()
                    nothing = ir.Thunk(t, self.unit(e), span=e.span)
                    return ir.If(t, c, chosen, self.returned(nothing), span=e.span)
                rest = self.pure_arm(other, t, scope)
                return ir.If(t, c, chosen, rest, span=e.span)
            case s.Match():
                return match(self, e, t, scope, lambda arm, inner, _: self.pure(arm.body, inner))
            case s.Comprehension(item=item, pattern=pattern, over=over, guard=guard):
                xs, origin = self.value(over, scope), self.origin(over, scope)
                inner, tested = scope.inner(Frame()), scope.inner(Frame())
                param = self.param(pattern, item_type(xs.type), inner, origin)
                test = None
                if guard is not None:
                    var = ir.Var(param.type, param.name, span=pattern.span)
                    self.bind(pattern, var, tested, origin)
                    test = tested.close(self.fit_result(self.pure(guard, tested), BOOL))
                body = inner.close(self.pure(item, inner))
                return ir.For(Array(body.type), param, xs, body, test, span=e.span)
            case _:
                raise AssertionError(type(e).__name__)

    def pure_arm(self, e: s.Expr, t: Type, scope: Scope) -> ir.Comp:
        inner = scope.inner()
        return inner.close(self.fit_result(self.pure(e, inner), t))

    # ------------------------------------------------------------------------------- run in place

    def run(self, e: s.Expr, scope: Scope, *, tail: bool, bound: bool = False) -> ir.Comp:
        """Run a measure. What it computes first is emitted into `scope`.

        With `tail` it is the last run of its frame; with `bound` its value has a binder, whose
        step is already taken.
        """
        match e:
            case s.Block() if e in self.instance.measure_blocks:
                return self.run_block(e, scope, tail=tail)
            case s.Block(statements=(*lets, s.ExprStmt(expr=last))):
                inner = scope.nested()
                for st in lets:
                    self.let(st, inner)
                return self.run(last, inner, tail=tail, bound=bound)
            case s.If(cond=cond, then=then, other=other):
                return self.run_if(e, cond, then, other, scope)
            case s.Match():
                return self.run_match(e, scope)
        op = None
        if isinstance(e, (s.For, s.Scan, s.Iterate)):
            run = self.loop(e, scope)
        else:
            measure = self.value(e, scope)
            run = ir.Run(measured(measure.type), measure, span=e.span)
            op = measure.op if isinstance(measure, ir.Op) else None
        if bound:
            scope.frame.used = True
            return run
        return steps.unbound(e, run, scope.frame, op, tail=tail)

    def run_arm(self, e: s.Expr | None, node: s.Node, scope: Scope) -> ir.Comp:
        """An arm in a frame of its own. A missing one returns ()."""
        if e is None:
            return self.unit(node)
        inner = scope.inner(Frame())
        if isinstance(self.type(e), (Measure, Dist)):
            return inner.close(self.run(e, inner, tail=True))
        return inner.close(self.pure(e, inner))

    def run_if(
        self, e: s.If, cond: s.Expr, then: s.Expr, other: s.Expr | None, scope: Scope
    ) -> ir.Comp:
        c = self.value(cond, scope)
        t = measured(self.type(e))
        arms = [self.fit_result(self.run_arm(arm, e, scope), t) for arm in (then, other)]
        if any(arm.effectful for arm in arms):
            frame = scope.frame
            arms = [steps.at(frame, n, a) for n, a in zip(("then", "else"), arms, strict=True)]
        return ir.If(t, c, *arms, span=e.span)

    def run_match(self, e: s.Match, scope: Scope) -> ir.Comp:
        t = measured(self.type(e))

        def body(arm: s.Arm, inner: Scope, step: str) -> ir.Comp:
            out = self.run_arm(arm.body, arm, inner)
            return steps.at(scope.frame, step, out) if out.effectful else out

        return match(self, e, t, scope, body)

    # --------------------------------------------------------------------------------------- loops

    def loop(self, e: s.Expr, scope: Scope) -> ir.Comp:
        match e:
            case s.For(pattern=pattern, over=over, body=body):
                xs, origin = self.value(over, scope), self.origin(over, scope)
                inner = scope.inner(Frame())
                param = self.param(pattern, item_type(xs.type), inner, origin)
                run = inner.close(self.run(body, inner, tail=True))
                run = self.fit_result(run, item_type(measured(self.type(e))))
                return ir.For(Array(run.type), param, xs, run, span=e.span)
            case s.Scan(keep=keep, carry=c, init=init, pattern=pattern, over=over, body=body):
                t = self.type(c)
                first = self.fit(self.value(init, scope), t, scope)
                xs, origin = self.value(over, scope), self.origin(over, scope)
                inner = scope.inner(Frame())
                param = self.param(pattern, item_type(xs.type), inner, origin)
                carry = self.param(c, t, inner)
                next_state = inner.close(self.fit_result(self.body(e, body, inner), t))
                out = Array(t) if keep == "all" else t
                return ir.Scan(out, carry, first, param, xs, next_state, keep, span=e.span)
            case s.Iterate(carry=c, init=init, until=until, limit=limit, body=body):
                t = self.type(c)
                first = self.fit(self.value(init, scope), t, scope)
                most = None if limit is None else self.value(limit, scope)
                inner, tested = scope.inner(Frame()), scope.inner(Frame())
                carry = self.param(c, t, inner)
                self.bind(c, ir.Var(t, carry.name, span=c.span), tested)
                test = tested.close(self.pure(until, tested))
                next_state = inner.close(self.fit_result(self.body(e, body, inner), t))
                return ir.Iterate(t, carry, first, test, next_state, most, span=e.span)
            case _:
                raise AssertionError(type(e).__name__)

    def body(self, loop: s.Expr, body: s.Block, scope: Scope) -> ir.Comp:
        """The body of a loop, which is run if the loop is a measure."""
        if self.is_measure(loop):
            return self.run(body, scope, tail=True)
        return self.pure(body, scope)
