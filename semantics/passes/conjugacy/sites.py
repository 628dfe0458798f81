"""Sites of conjugate families in the text of a program: what they are and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Span
from ppl.semantics.holes import bind, each, part, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh, freshen
from ppl.semantics.passes.conjugacy.build import ONE, op
from ppl.semantics.passes.conjugacy.families import FAMILIES, Family
from ppl.semantics.passes.conjugacy.uses import Path

Args = tuple[ir.Value, ...]


@dataclass(frozen=True)
class Site:
    """A draw, or an array of independent ones, that is bound to `name`.

    joint: draws an array by the computation given, which runs at its path; None of other sites.
    hyper: gives the hyperparameters, each an array if the site is one, computed in bindings.
    drawn: the computation that draws it with other hyperparameters. size: of the array.
    """

    name: str
    type: T.Type
    family: Family
    path: Path
    hyper: Callable[[Fresh, list[ir.Bind]], Args]
    drawn: Callable[[Args, Fresh], ir.Comp]
    size: ir.Value | None
    span: Span | None
    joint: Callable[[ir.Comp, Fresh], ir.Comp] | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)


def read_site(b: ir.Bind, path: Path) -> Site | None:
    """The site that a binding in a block at a path draws, if its family has conjugates."""
    at, wrap = binders_around(b.comp)
    here = (*path, *(a.step for a in at))
    match b.comp if not at else at[-1].body:
        case ir.Run(measure=ir.Op() as dist):
            return _direct(b, dist, here, wrap)
        case ir.For(guard=None) as loop:
            return _plate(b, loop, here, wrap)
        case _:
            return None


Wrap = Callable[[ir.Comp], ir.Comp]


def binders_around(c: ir.Comp) -> tuple[list[ir.At], Wrap]:
    """The binders around a computation, and how to put them around another one."""
    at: list[ir.At] = []
    while isinstance(c, ir.At):
        at.append(c)
        c = c.body

    def wrap(inner: ir.Comp) -> ir.Comp:
        for a in reversed(at):
            inner = ir.At(inner.type, a.step, inner, a.keep, span=a.span)
        return inner

    return at, wrap


def _known(law: ir.Op) -> tuple[Family, Args] | None:
    """A law as one of a conjugate family: uniform on [0, 1] and exponential are, too."""
    match law:
        case ir.Op(op="uniform", args=(ir.Lit(value=lo), ir.Lit(value=hi))) if (lo, hi) == (0, 1):
            return FAMILIES["beta"], (ONE, ONE)
        case ir.Op(op="exponential", args=(rate,)):
            return FAMILIES["gamma"], (ONE, rate)
        case _:
            return (FAMILIES[law.op], law.args) if law.op in FAMILIES else None


def _run(name: str, args: Args, type: T.Type, span: Span | None) -> ir.Comp:
    return ir.Run(type, ir.Op(T.Dist(type), name, args, span=span), span=span)


def _direct(b: ir.Bind, dist: ir.Op, path: Path, wrap: Wrap) -> Site | None:
    """`x ~ family(…)`, `xs ~ iid(n, family(…))`, or a family with arrays as arguments."""
    t, law, size = b.comp.type, dist, None
    if dist.op == "iid" and isinstance(dist.args[1], ir.Op):
        size, law = dist.args[0], dist.args[1]
    found = _known(law)
    if found is None or T.rank(t) > 1:
        return None
    family, parameters = found
    arrays = [a for a in parameters if isinstance(a.type, T.Array)]
    if size is not None and arrays:
        return None
    vector = isinstance(t, T.Array) and family.prior != "dirichlet"
    if family.prior == "dirichlet":
        size = op("len", parameters[0])
    elif vector and size is None:
        if not arrays:  # a number's law, spread over an array by the checker
            return None
        size = op("len", arrays[0])

    def hyper(fresh: Fresh, binds: list[ir.Bind]) -> Args:
        wide = [
            op("repeat", a, size) if size is not None and not isinstance(a.type, T.Array) else a
            for a in parameters
        ]
        return tuple(bind(binds, fresh.name("prior"), returned(a)) for a in wide)

    def drawn(args: Args, fresh: Fresh) -> ir.Comp:
        return wrap(_run(family.prior, args, t, dist.span))

    joint = (lambda run, fresh: wrap(run)) if vector and family.prior == "normal" else None
    return Site(b.name, t, family, path, hyper, drawn, size, b.comp.span, joint)


def _plate(b: ir.Bind, loop: ir.For, path: Path, wrap: Wrap) -> Site | None:
    """`xs ~ for … { … family(…) }`, where what stands before the draw is computed."""
    before: tuple[ir.Bind, ...] = ()
    body: ir.Comp = loop.body
    name: str | None = None
    if isinstance(body, ir.Block):
        *first, last = body.binds
        before, name = tuple(first), last.name
        match body.result:
            case ir.Return(value=ir.Var(name=returns)) if returns == name:
                body = last.comp
            case _:
                return None
    at, inner = binders_around(body)
    run = body if not at else at[-1].body
    if any(x.comp.effectful for x in before) or not isinstance(run, ir.Run):
        return None
    dist = run.measure
    found = _known(dist) if isinstance(dist, ir.Op) else None
    if found is None or isinstance(run.type, T.Array):
        return None
    family, parameters = found
    size = op("len", loop.over)

    def hyper(fresh: Fresh, binds: list[ir.Bind]) -> Args:
        own = {loop.param.name, *(x.name for x in before)}

        def array(a: ir.Value) -> ir.Comp:
            if own.isdisjoint(a.free):
                return returned(op("repeat", a, size))
            return freshen(each(loop.param, loop.over, block(list(before), returned(a))), fresh)

        return tuple(bind(binds, fresh.name("prior"), array(a)) for a in parameters)

    def drawn(args: Args, fresh: Fresh) -> ir.Comp:
        over = zipped(args)
        row = ir.Param(fresh.name("row"), over.type.item)  # type: ignore[attr-defined]
        one = tuple(part(ir.Var(row.type, row.name), i) for i in range(len(args)))
        draw = inner(_run(family.prior, one, run.type, run.span))
        return wrap(each(row, over, draw))

    site_path = (*path, *(a.step for a in at))

    def joint(run: ir.Comp, fresh: Fresh) -> ir.Comp:
        binds: list[ir.Bind] = []
        for a in reversed(at):
            run = ir.At(run.type, a.step, run, span=a.span)
        all_of_it = bind(binds, fresh.name(b.name), run)
        one = ir.Param(fresh.name("element"), T.REAL)
        kept = inner(returned(ir.Var(T.REAL, one.name)))
        return wrap(block(binds, each(one, all_of_it, kept)))

    normal = joint if family.prior == "normal" else None
    return Site(b.name, b.comp.type, family, site_path, hyper, drawn, size, b.comp.span, normal)
