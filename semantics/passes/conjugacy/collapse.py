"""One conjugate site of a block integrated out, and drawn where everything else is known.

By Bayes' theorem prior times likelihood is evidence times posterior, at any value of the site: so

    x ~ prior; rest(x)    is    score prior(x*) rest(x*) / posterior(x*); x ~ posterior

for one x*, whatever it is (Chib, Marginal likelihood from the Gibbs output, JASA 90, 1995). We take
the posterior's mean, where nothing cancels. The observations stay as they are, at x*; what the site
is used for besides comes after its draw:

    x ~ normal(m, s)                  stats = …                      # of the observations
    let z = x + 1                     x* = posterior mean
    observe y ~ normal(x, 2)    =>    observe x* ~ normal(m, s)
    return {x, z}                     score -log posterior(x*)
                                      observe y ~ normal(x*, 2)
                                      x ~ posterior
                                      let z = x + 1
                                      return {x, z}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import bind, returned
from ppl.semantics.ir_map import block, map_children
from ppl.semantics.ir_names import Fresh, freshen
from ppl.semantics.passes.conjugacy.backwards import backwards, begun, states
from ppl.semantics.passes.conjugacy.build import as_type, op
from ppl.semantics.passes.conjugacy.chains import Chain, Filter
from ppl.semantics.passes.conjugacy.families import STATISTICS, minus_log_density
from ppl.semantics.passes.conjugacy.halves import scored_only, unscored
from ppl.semantics.passes.conjugacy.joint import joint_posterior, minus_joint_density
from ppl.semantics.passes.conjugacy.linear import WHOLE, Broken, Form, Linear
from ppl.semantics.passes.conjugacy.sites import Args, Site
from ppl.semantics.passes.conjugacy.statistics import Collector, totals
from ppl.semantics.passes.conjugacy.uses import NOTHING, Path, Uses, draws, uses


@dataclass(frozen=True)
class Reversed:
    """late: the paths of what is drawn when everything else is known. value: whether the block's
    result depends on it. touched: the statements that the site has to do with. observed: whether
    any score depends on it."""

    block: ir.Comp
    late: frozenset[Path]
    value: bool
    touched: tuple[ir.Comp, ...]
    observed: bool


def collapse(
    c: ir.Block, at: int, site: Site, path: Path, late: Set[Path], fresh: Fresh
) -> Reversed:
    """The block, which runs at a path, with the site that its binding `at` draws integrated out.
    `late` are the paths of draws that no score depends on.

    Contract `Measure`. Raises Broken: a use of the site is not conjugate.
    """
    c, own = ending(c, fresh), c.binds[at]
    names = sorted_by_use(c.binds[at + 1 :], c.result, frozenset((own.name,)), path, late, fresh)
    out = [*c.binds[:at], *names.clean]
    hyper = site.hyper(fresh, out)
    reading = ir.Block(T.UNIT, (*names.pure, *names.observing), returned(ir.Lit(T.UNIT, None)))
    reading = unkept(reading)
    forms = _not_known(names, path)
    begin = len(out)
    try:
        posterior = _by_element(site, hyper, reading, forms, fresh, out)
        here, run = site.family.mean(posterior), site.drawn(posterior, fresh)
        less = minus_log_density(site.family, posterior, as_type(here, site.type))
    except Broken:
        if site.joint is None:
            raise
        del out[begin:]
        posterior = joint_posterior(site, hyper, reading, forms, fresh, out)
        assert site.size is not None
        here, less = posterior[0], minus_joint_density(posterior, site.size)
        law = op("multi_normal_prec", *posterior)
        run = site.joint(ir.Run(T.Array(T.REAL), law, span=site.span), fresh)
    star = bind(out, site.name, returned(as_type(here, site.type)))
    dist = op(site.family.prior, *hyper)
    step = site.path[-1] if site.path else site.name
    bind(out, fresh.name("_"), ir.Observe(T.UNIT, dist, star, step, span=site.span))
    if isinstance(less.type, T.Array):
        less = op("sum", less)
    bind(out, fresh.name("_"), ir.Score(T.UNIT, as_type(less, T.REAL), span=site.span))
    out += [ir.Bind(b.name, unkept(b.comp)) for b in names.pure]
    again = {b.name for b in names.late}
    for b in names.observing:
        out.append(ir.Bind(b.name, unkept(b.comp)) if b.name in again else b)
    drawn = bind(out, fresh.name(site.name), run)
    return put_later(out, own.comp, names, {site.name: drawn.name}, {site.path}, c, path, fresh)


def _not_known(names: Sorted, path: Path) -> dict[str, Form]:
    """What is known only after the draw: not for observations to depend on."""
    known, out = {b.name for b in names.pure}, {}
    for b in names.late:
        if b.name not in known:
            drawn_at = "".join(f", `{'/'.join(p)}`" for p in draws(b.comp, path))
            why = f"what is drawn from it{drawn_at} is scored"
            out[b.name] = Broken(why, b.comp.span)
    return out


def _by_element(
    site: Site,
    hyper: Args,
    reading: ir.Block,
    forms: dict[str, Form],
    fresh: Fresh,
    binds: list[ir.Bind],
) -> Args:
    """The posterior's hyperparameters, of each element of the site by itself. Raises Broken."""
    mean = as_type(site.family.mean(hyper), site.type)
    reference = bind(binds, fresh.name(site.name), returned(mean))
    form = Linear("itself", at=None if site.size is None else WHOLE)
    copy = freshen(reading, fresh, {site.name: reference.name})
    parts = Collector(site.family, fresh).comp(copy, {**forms, reference.name: form}, binds)
    sums = totals(parts, STATISTICS[site.family.prior], site.size, fresh, binds)
    return tuple(
        bind(binds, fresh.name("posterior"), returned(v))
        for v in site.family.posterior(hyper, sums)
    )


def collapse_chain(
    c: ir.Block, at: int, chain: Chain, path: Path, late: Set[Path], fresh: Fresh
) -> Reversed:
    """The block with the states of the loop that its binding `at` runs integrated out.

    Contract `Measure`. Raises Broken: the loop is not linear and Gaussian in them.
    """
    c, own, taken = ending(c, fresh), c.binds[at], {at, *(s.place for s in chain.starts)}
    first = min(taken)
    rest = [b for i, b in enumerate(c.binds) if i > first and i not in taken]
    names = sorted_by_use(
        rest, c.result, frozenset(c.binds[i].name for i in taken), path, late, fresh
    )
    if names.observing:
        raise Broken("it is scored outside its loop", names.observing[0].comp.span)
    before = {b.name for b in c.binds[:at]}
    out = [*c.binds[:first], *(b for b in names.clean if b.name in before)]
    way = Filter(chain, fresh)
    filtered = way.run(out)
    out += [b for b in names.clean if b.name not in before]
    back = bind(out, fresh.name("backwards"), backwards(way, filtered, fresh))
    begins = {
        s.item: bind(out, fresh.name(s.site.name), begun(way, s, back, fresh)) for s in chain.starts
    }
    drawn = bind(out, fresh.name(own.name), states(way, filtered, back, way.begin(begins), fresh))
    renamed = {s.site.name: begins[s.item].name for s in chain.starts} | {own.name: drawn.name}
    paths = {chain.path, *(s.site.path for s in chain.starts)}
    found = put_later(out, own.comp, names, renamed, paths, c, path, fresh)
    touched = (*found.touched, *(c.binds[s.place].comp for s in chain.starts))
    return replace(found, observed=way.observed, touched=touched)


@dataclass(frozen=True)
class Sorted:
    """What stands after a site in its block: what does not depend on it; what is computed from it
    alone; what scores it; what is drawn or computed from it, for later; the block's result."""

    clean: list[ir.Bind]
    pure: list[ir.Bind]
    observing: list[ir.Bind]
    late: list[ir.Bind]
    ends: Uses


def sorted_by_use(
    binds: Sequence[ir.Bind],
    result: ir.Comp,
    names: frozenset[str],
    path: Path,
    late: Set[Path],
    fresh: Fresh,
) -> Sorted:
    """The rest of a block, by what it does with these variables."""
    out = Sorted([], [], [], [], NOTHING)
    later: set[str] = set()  # what is not known before the draw, whatever the site's value is
    for b in binds:
        found = uses(b.comp, names)
        if found.scored is not None:
            if not (found.value or _keeps_values(b.comp)):
                out.observing.append(b)
                continue
            # its values are made again for later, without scores
            names |= {b.name}
            later.add(b.name)
            out.late.append(ir.Bind(b.name, unscored(b.comp, path, late)))
            out.observing.append(ir.Bind(b.name, scored_only(b.comp, path, late, fresh)))
        elif names.isdisjoint(b.comp.free):  # else it may keep inside what it does not return
            out.clean.append(b)
        else:
            names |= {b.name}
            out.late.append(b)
            if b.comp.effectful or not later.isdisjoint(b.comp.free):
                later.add(b.name)
            else:
                out.pure.append(b)
    for b in out.observing:
        for other in (*out.clean, *out.observing):
            if b.name in other.comp.free:
                raise Broken("it is observed in a statement whose value is used", other.comp.span)
    return replace(out, ends=uses(result, names))


def ending(c: ir.Block, fresh: Fresh) -> ir.Block:
    """The block with what it runs last as a statement of its own."""
    if not c.result.effectful:
        return c
    last = ir.Bind(fresh.name("last"), c.result)
    nothing = c.type == T.UNIT
    value: ir.Value = ir.Lit(T.UNIT, None) if nothing else ir.Var(c.type, last.name)
    return ir.Block(c.type, (*c.binds, last), returned(value), span=c.span)


def put_later(
    out: list[ir.Bind],
    own: ir.Comp,
    names: Sorted,
    renamed: dict[str, str],
    paths: set[Path],
    c: ir.Block,
    path: Path,
    fresh: Fresh,
) -> Reversed:
    """The block that runs `out`, then what is for later."""
    rest = freshen(block(names.late, c.result), fresh, renamed)
    paths |= {p for b in names.late for p in draws(b.comp, path)}
    if names.ends.value:
        paths |= set(draws(c.result, path))
    touched = (own, *(b.comp for b in (*names.observing, *names.late)))
    observed = bool(names.observing)
    return Reversed(block(out, rest), frozenset(paths), names.ends.value, touched, observed)


def _keeps_values(c: ir.Comp) -> bool:
    """Whether values that are computed, and may depend on anything, are kept by name."""
    if isinstance(c, ir.At) and c.keep and not c.effectful:
        return True
    return any(_keeps_values(n) for n in ir.children(c) if isinstance(n, ir.Comp))


def unkept(c: Any) -> Any:
    """A computation that keeps nothing by name."""
    c = map_children(c, unkept)
    return c.body if isinstance(c, ir.At) and c.keep else c


def found_in(c: ir.Comp, path: Path) -> Iterator[tuple[ir.Block, int, Path]]:
    """Every binding of the blocks that a computation at a path runs, the last ones first."""
    match c:
        case ir.Block(binds=binds, result=result):
            yield from found_in(result, path)
            for i in reversed(range(len(binds))):
                yield from found_in(binds[i].comp, path)
                yield c, i, path
        case ir.At(step=step, body=body):
            yield from found_in(body, (*path, step))
        case ir.For(body=body, guard=None) | ir.Scan(body=body):
            yield from found_in(body, path)
        case ir.If(then=then, other=other):
            yield from found_in(other, path)
            yield from found_in(then, path)
        case _:
            pass
