"""Sites that are conjugate given the rest, integrated out (Rao-Blackwellisation).

One site after the other, the last one first: the observations that are left after one is integrated
out are again of its parents, so that hierarchies of normals go level by level. The measure stays
the same, the sites' values included: each is drawn from its law given everything else, where that
is known (`conjugacy.collapse`). `late` names these draws. No score depends on them, so whoever
needs the density of the rest alone leaves them out, and makes them afterwards.

Casella & Robert, Rao-Blackwellisation of sampling schemes, Biometrika 83(1), 1996; Shachter,
Evaluating influence diagrams, Oper. Res. 34(6), 1986, for the reversal; Murray et al., Delayed
sampling and automatic Rao-Blackwellization of probabilistic programs, AISTATS 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, fail, suggest
from ppl.semantics.ir_map import block, size
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.chains import Chain, read_chains
from ppl.semantics.passes.conjugacy.collapse import collapse, collapse_chain, found_in
from ppl.semantics.passes.conjugacy.families import FAMILIES
from ppl.semantics.passes.conjugacy.finite import Finite, read_finite, sum_out
from ppl.semantics.passes.conjugacy.linear import Broken
from ppl.semantics.passes.conjugacy.sites import Site, read_site
from ppl.semantics.passes.conjugacy.uses import Path, draws, steps, uses
from ppl.semantics.passes.core import Pass
from ppl.semantics.passes.inline import inline
from ppl.semantics.passes.simplify import simplify

Candidate = Site | Chain | Finite

#: nodes that a program may grow by
BUDGET = 40_000


@dataclass(frozen=True)
class Collapsed:
    """A program without some sites' prior draws. sites: the paths of those integrated out. late:
    the names of the draws that nothing is scored by. kept: why other sites of the families are not
    conjugate, by path."""

    program: ir.Program
    sites: tuple[str, ...]
    late: frozenset[str]
    kept: tuple[tuple[str, Broken], ...]


def rao_blackwellized(
    program: ir.Program,
    names: Iterable[str] | None = None,
    *,
    fixed: Iterable[str] = (),
    late: Iterable[str] = (),
    finite: bool = False,
) -> Collapsed:
    """The program with the named sites integrated out, or all that can be. Contract `Measure`.

    `fixed` are paths whose values are set from outside: sites that have to do with them stay.
    `late` are draws that nothing is scored by already. With `finite`, finite choices are summed out
    instead of conjugate sites being integrated out.

    Raises:
        DiagnosticError: E880, there is no such site; E881, it is not conjugate given the rest.
    """
    wanted = None if names is None else tuple(dict.fromkeys(names))
    state = _State(simplify(inline(program)), _split(fixed), set(_split(late)), finite)
    while state.step(wanted):
        pass
    return state.done(wanted)


RAO_BLACKWELLIZE = Pass(
    "rao_blackwellize",
    "Measure",
    lambda program: rao_blackwellized(program).program,
    "integrate out sites that are conjugate given the rest",
)


MARGINALIZE = Pass(
    "marginalize",
    "Measure",
    lambda program: rao_blackwellized(program, finite=True).program,
    "sum out finite choices",
)


def _split(names: Iterable[str]) -> tuple[Path, ...]:
    return tuple(tuple(n.split("/")) for n in names)


class _State:
    def __init__(self, program: ir.Program, fixed: tuple[Path, ...], late: set[Path], finite: bool):
        self.program, self.fixed, self.finite = program, fixed, finite
        self.budget = BUDGET + sum(size(f.body) for f in program.functions)
        self.sites: list[str] = []
        self.late = late
        self.problems: dict[Path, Broken] = {}

    def main(self) -> ir.Comp | None:
        body = self.program.entry.body
        match body:
            case ir.Return(value=ir.Thunk(body=run)):
                return run
            case _:
                return None

    def step(self, wanted: tuple[str, ...] | None) -> bool:
        """Whether another site could be integrated out."""
        main = self.main()
        self.problems = {}
        if main is None:
            return False
        found = [
            (c, i, x, path)
            for c, i, path in found_in(main, ())
            for x in self.read(c, i, path)
            if self.late.isdisjoint(p := x.paths)
            if wanted is None or all(any(_is(q, w) for w in wanted) for q in p)
        ]
        for c, i, x, path in sorted(found, key=lambda x: _order(x[2])):
            try:
                taken = self.take(main, c, i, x, path, wanted is None)
            except Broken as error:
                for p in x.paths:
                    if p not in self.problems or isinstance(x, Site):
                        self.problems[p] = error
                continue
            if taken:
                return True
        return False

    def read(self, c: ir.Block, i: int, path: Path) -> Iterable[Candidate]:
        """The sites that a binding draws, in the ways in which they might be left out."""
        if self.finite:
            choice = read_finite(c.binds[i], path)
            return () if choice is None else [choice]
        site = read_site(c.binds[i], path)
        if site is None:
            return read_chains(c, i, path)
        return [site] if site.joint is None else [replace(site, joint=None), site]

    def take(
        self, main: ir.Comp, c: ir.Block, i: int, x: Candidate, path: Path, observed: bool
    ) -> bool:
        """Integrates sites out; with `observed`, none that no score depends on."""
        fresh = Fresh(self.program)
        match x:
            case Chain():
                done = collapse_chain(c, i, x, path, self.late, fresh)
            case Finite():
                done = sum_out(c, i, x, path, self.late, fresh)
            case Site():
                done = collapse(c, i, x, path, self.late, fresh)
        if observed and not done.observed:
            return False
        for touched in done.touched:
            for p in steps(touched, path):
                if any(_related(p, f) for f in self.fixed):
                    raise Broken("a value is set from outside that has to do with it", x.span)
        late = set(done.late)
        run, _ = _put(main, c, done.block, done.value, (), late)
        entry = self.program.entry
        thunk = replace(entry.body.value, body=run)  # type: ignore[attr-defined]
        changed = replace(entry, body=replace(entry.body, value=thunk))  # type: ignore[call-arg]
        functions = tuple(changed if f is entry else f for f in self.program.functions)
        after = simplify(replace(self.program, functions=functions))
        if sum(size(f.body) for f in after.functions) > self.budget:
            raise Broken("the program would grow too large", x.span)
        self.program = after
        self.late |= late
        self.sites += ["/".join(p) for p in x.paths]
        return True

    def done(self, wanted: tuple[str, ...] | None) -> Collapsed:
        for w in wanted or ():
            if not any(_is(tuple(s.split("/")), w) for s in self.sites):
                raise self.refused(w)
        return Collapsed(
            self.program,
            tuple(self.sites),
            frozenset("/".join(p) for p in self.late),
            tuple(("/".join(p), why) for p, why in self.problems.items()),
        )

    def refused_for(self, name: str, problem: Broken) -> DiagnosticError:
        return fail(
            "E881",
            f"`{name}` cannot be {'summed' if self.finite else 'integrated'} out: {problem.why}",
            span=problem.span,
            hint="leave it to the method, or integrate out what its observations are of first",
        )

    def refused(self, name: str) -> DiagnosticError:
        for path, problem in self.problems.items():
            if _is(path, name):
                return self.refused_for(name, problem)
        main = self.main()
        there = {} if main is None else dict(_drawn(main, ()))
        path = tuple(name.split("/"))
        if path in there:
            span = there[path]
            return self.refused_for(name, Broken(_why_no_family(self.finite), span))
        known = ["/".join(p) for p in there]
        return fail(
            "E880",
            f"there is no site `{name}` to {'sum' if self.finite else 'integrate'} out",
            hint=suggest(name, known) or f"there is {', '.join(f'`{k}`' for k in known[:8])}",
        )


def _order(x: Candidate) -> int:
    """Loops first, whose parameters can go next; then arrays whose elements are independent given
    the rest; then single numbers, which may be of all of these; then arrays as a whole."""
    if isinstance(x, Chain):
        return 0
    if isinstance(x, Finite) or x.size is None:
        return 2
    return 1 if x.joint is None else 3


def _why_no_family(finite: bool) -> str:
    if finite:
        return "it is no draw, bound by `~`, from a bernoulli or categorical distribution"
    return f"it is no draw, bound by `~`, from a conjugate family ({', '.join(FAMILIES)})"


def _is(site: Path, name: str) -> bool:
    """Whether a name means a site: its path, or that of a binder around it."""
    path = tuple(name.split("/"))
    return site[: len(path)] == path


def _related(a: Path, b: Path) -> bool:
    """Whether one path is a beginning of the other."""
    n = min(len(a), len(b))
    return a[:n] == b[:n]


def _drawn(c: ir.Comp, path: Path):
    match c:
        case ir.At(step=step, body=body):
            yield from _drawn(body, (*path, step))
        case ir.Run():
            yield path, c.span
        case _:
            for n in ir.children(c):
                if isinstance(n, ir.Comp):
                    yield from _drawn(n, path)


def _put(
    c: ir.Comp, old: ir.Block, new: ir.Comp, value: bool, path: Path, late: set[Path]
) -> tuple[ir.Comp, bool | None]:
    """The computation with a block inside replaced, and whether its result depends on the late
    draws (None: the block is not there). Raises Broken if something outside is scored by them."""
    if c is old:
        return new, value
    match c:
        case ir.Block(binds=binds, result=result):
            for i, b in enumerate(binds):
                inner, found = _put(b.comp, old, new, value, path, late)
                if found is None:
                    continue
                changed = (*binds[:i], ir.Bind(b.name, inner), *binds[i + 1 :])
                return (
                    block(list(changed), result),
                    found and _later(b.name, binds[i + 1 :], result, path, late),
                )
            inner, found = _put(result, old, new, value, path, late)
            return (c, None) if found is None else (block(list(binds), inner), found)
        case ir.At(step=step, body=body):
            inner, found = _put(body, old, new, value, (*path, step), late)
            return replace(c, body=inner), found
        case ir.For(body=body) | ir.Scan(body=body):
            inner, found = _put(body, old, new, value, path, late)
            if found and isinstance(c, ir.Scan):
                raise Broken("the state of a loop depends on it", c.span)
            return replace(c, body=inner), found
        case ir.If(then=then, other=other):
            one, found = _put(then, old, new, value, path, late)
            two, there = _put(other, old, new, value, path, late)
            return replace(c, then=one, other=two), there if found is None else found
        case _:
            return c, None


def _later(
    name: str, binds: tuple[ir.Bind, ...], result: ir.Comp, path: Path, late: set[Path]
) -> bool:
    """Whether a block's result depends on a variable; draws that do become late."""
    names = frozenset((name,))
    for b in (*binds, ir.Bind("", result)):
        found = uses(b.comp, names)
        if found.scored is not None:
            raise Broken("what is scored outside its block depends on it", found.scored.span)
        if found.value:
            late |= set(draws(b.comp, path))
            names |= {b.name}
    return "" in names


__all__ = ["MARGINALIZE", "RAO_BLACKWELLIZE", "Collapsed", "rao_blackwellized"]
