"""An array of normal sites whose elements meet in observations: a joint normal law, in matrices.

The coefficients of a regression, `observe y ~ normal(X @ beta, s)`. What is observed, less its mean
and over its scale, is affine in the sites; so its value with one of them raised by 1, less that
with none, is how it depends on that one. (Lindley & Smith, Bayes estimates for the linear model,
JRSS B 34(1), 1972.)
"""

from __future__ import annotations

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import array_of, bind, each, returned
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh, freshen
from ppl.semantics.passes.conjugacy.build import ONE, ZERO, as_type, minus, op, over, plus
from ppl.semantics.passes.conjugacy.linear import Broken, Form, Linear
from ppl.semantics.passes.conjugacy.sites import Args, Site
from ppl.semantics.passes.conjugacy.statistics import Collector


def joint_posterior(
    site: Site,
    hyper: Args,
    reading: ir.Block,
    forms: dict[str, Form],
    fresh: Fresh,
    binds: list[ir.Bind],
) -> Args:
    """The mean and the precision matrix of the sites given what `reading` observes of them.
    Raises Broken."""
    mean, scale = (as_type(h, T.Array(T.REAL)) for h in hyper)
    reference = bind(binds, fresh.name(site.name), returned(mean))
    copy = freshen(reading, fresh, {site.name: reference.name})
    Collector(site.family, fresh).comp(copy, {**forms, reference.name: Linear("itself")}, [])
    residuals = _rows(reading, fresh)
    none = bind(binds, fresh.name("at"), freshen(residuals, fresh, {site.name: reference.name}))
    row = ir.Param(fresh.name("raised"), T.Array(T.BIT))
    raised = ir.Bind(site.name, returned(op("add", reference, ir.Var(row.type, row.name))))
    with_one = block([raised], residuals)
    inside = list(with_one.binds) if isinstance(with_one, ir.Block) else []
    last = with_one.result if isinstance(with_one, ir.Block) else with_one
    rows = bind(inside, fresh.name("row"), last)
    less = returned(op("sub", none, rows))
    assert site.size is not None
    matrix = freshen(each(row, op("identity", site.size), block(inside, less)), fresh)
    slopes = bind(binds, fresh.name("slopes"), matrix)
    own = op("diag", over(ONE, op("square", scale)))
    information = op("matmul", slopes, op("transpose", slopes))
    precision = bind(binds, fresh.name("precision"), returned(op("add", own, information)))
    moved = op("solve", precision, op("matmul", slopes, none))
    return bind(binds, fresh.name("mean"), returned(op("add", reference, moved))), precision


def _rows(c: ir.Comp, fresh: Fresh) -> ir.Comp:
    """What is observed under normals, less the mean and over the scale, as one array."""
    match c:
        case ir.Observe(dist=ir.Op(op="normal" | "lognormal" as name, args=(mean, sd)), value=v):
            seen = op("log", v) if name == "lognormal" else v
            gap = over(minus(seen, mean), sd)
            if T.rank(gap.type) > 1:
                return returned(op("flatten", gap))
            if T.rank(gap.type) == 1:
                return returned(gap)
            return returned(ir.MakeArray(T.Array(gap.type), (gap,)))
        case ir.At(body=body):
            return _rows(body, fresh)
        case ir.For(param=param, over=xs, body=body, guard=None):
            made: list[ir.Bind] = []
            rows = bind(made, fresh.name("rows"), each(param, xs, _rows(body, fresh)))
            return block(made, returned(op("flatten", rows)))
        case ir.Block(binds=binds, result=result):
            inside: list[ir.Bind] = []
            parts: list[ir.Value] = []
            for b in (*binds, ir.Bind(fresh.name("last"), result)):
                comp = _rows(b.comp, fresh) if b.comp.effectful else b.comp
                inside.append(ir.Bind(b.name, comp))
                if b.comp.effectful:
                    parts.append(ir.Var(comp.type, b.name))
            total: ir.Value = parts[0] if parts else op("zeros", ZERO)
            for p in parts[1:]:
                total = op("concat", total, p)
            return block(inside, returned(as_type(total, array_of(T.REAL, 1))))
        case _:
            raise Broken("its elements meet in observations of another form", c.span)


def minus_joint_density(posterior: Args, size: ir.Value) -> ir.Value:
    """Less the log density of the joint law at its own mean."""
    half = op("mul", size, ir.Lit(T.PROB, 0.9189385332046727))
    return minus(half, over(op("log_det", posterior[1]), plus(ONE, ONE)))
