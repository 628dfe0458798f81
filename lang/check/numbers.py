"""The second phase: kinds and ranges of all numbers, checked casts, and what is wrong with them.

From each entry the summaries are solved; then the instances that it reaches are settled from the
top down, each at the atoms it is really used at, and their bounds are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ppl.lang import syntax as s
from ppl.lang.check import atoms
from ppl.lang.check.causes import LINES, causes, turned
from ppl.lang.check.graph import Apply, Check, leaf, to_type
from ppl.lang.check.infer import Body
from ppl.lang.check.report import quote
from ppl.lang.check.result import InstanceKey
from ppl.lang.check.scope import Local
from ppl.lang.check.summaries import Compiled, Summaries
from ppl.semantics import types as ty
from ppl.semantics.diagnostics import Diagnostic, Note

_HINTS = {
    atoms.POS: "to make it positive: `exp(x)`, `softplus(x)`, `abs(x)`; `x as pos` checks when run",
    atoms.PROB: "to bring it into [0, 1]: `sigmoid(x)`; `x as prob` checks when run",
    atoms.NAT: "to make it a whole number: `floor(x)` or `round(x)`; `x as nat` checks when run",
    atoms.INT: "to make it a whole number: `floor(x)` or `round(x)`; `x as int` checks when run",
}


_EFFECTS = (
    "a block or a function with effects has no density: `normalize(m, exact)` has, "
    "or draw from it with `~`"
)
_IMAGE = "observe each in a branch of its own, or draw with `~`, which has no need of a density"

_WHOLE = "draw with `~`, which has no need of a density; what only draws takes `measure[real]`"


@dataclass(eq=False)
class Settled:
    """A body at the atoms it is used at."""

    key: InstanceKey
    compiled: Compiled
    values: list[int]
    #: node of each reference -> instance
    calls: dict[s.Node, InstanceKey] = field(default_factory=dict)
    casts: dict[s.Node, str] = field(default_factory=dict)


@dataclass(eq=False)
class _Job:
    """An instance to settle, and the use that asks for it (None for an entry)."""

    body: Body
    ins: tuple[int, ...]
    outs: tuple[int, ...] | None
    site: tuple[Settled, int] | None


class Numbers:
    def __init__(self, variance: dict[str, tuple[int, ...]], report: Callable[[Diagnostic], None]):
        self.report = report
        self.summaries = Summaries(variance)
        self.settled: dict[InstanceKey, Settled] = {}
        self._by_use: dict[tuple[Body, tuple[int, ...], tuple[int, ...]], InstanceKey] = {}

    def entry(self, body: Body) -> InstanceKey:
        """Settle a body that is called from outside, and all it reaches."""
        new: list[tuple[Settled, _Job]] = []
        try:
            key = self._solve(body, new)
            if not self.summaries.twice and any([_turns(settled) for settled, _ in new]):
                self.summaries.twice = True
                for settled, _ in new:
                    self.settled.pop(settled.key, None)
                self._by_use = {k: v for k, v in self._by_use.items() if v in self.settled}
                new.clear()
                key = self._solve(body, new)
        finally:  # what was found before an error is worth telling
            for settled, job in new:
                self._check(settled, job)
        return key

    def _solve(self, body: Body, new: list[tuple[Settled, _Job]]) -> InstanceKey:
        """`entry`, unchecked; `new`: what had not been settled before."""
        c = self.summaries.of(body)
        first = self._settle(_Job(body, (0,) * len(c.flows.ins), None, None), new)
        work = [first]
        while work:
            caller = work.pop()
            for i, use in enumerate(caller.compiled.flows.graph.uses):
                ins = tuple([caller.values[v] for v in use.ins])
                outs = tuple([caller.values[v] for v in use.outs])
                known = self._by_use.get((use.target, ins, outs))
                if known is None:
                    inner = self._settle(_Job(use.target, ins, outs, (caller, i)), new)
                    known = self._by_use[use.target, ins, outs] = inner.key
                    if not inner.calls:
                        work.append(inner)
                caller.calls[use.node] = known
        return first.key

    # ---------------------------------------------------------------------- one instance

    def _settle(self, job: _Job, new: list[tuple[Settled, _Job]]) -> Settled:
        c = self.summaries.of(job.body)
        flows, g = c.flows, c.flows.graph
        values = self.summaries.start(c)
        seeds = list(g.fixed)
        for vars_, given in ((flows.ins, job.ins), (flows.outs, job.outs or ())):
            for var, x in zip(vars_, given, strict=False):
                values[var] |= x
                seeds.append(var)
        #: what the caller takes of what flows out
        taken = dict(zip(flows.outs, job.outs or (), strict=False))
        n = len(g.applies)
        pending = [i for i, a in enumerate(g.applies) if not a.ins]
        pending += [i for i, u in enumerate(g.uses, n) if not u.ins]
        self.summaries.drive(self.summaries.grow(c, values, seeds, pending))
        for var in g.empty:
            if values[var] == 0:  # nothing is there: the least type, so that any other is above
                values[var] = atoms.BIT
                self.summaries.drive(self.summaries.grow(c, values, [var], []))
        for var in range(len(values)):
            if values[var] == 0:
                values[var] = _largest(self.summaries, c, values, var, taken)
                self.summaries.drive(self.summaries.grow(c, values, [var], []))
        if self.summaries.twice:
            self.summaries.drive(self.summaries.measures(c, values))
        whole = to_type(flows.interface, values.__getitem__)
        assert isinstance(whole, ty.Fun)
        key = InstanceKey(job.body.item.name, _declared(job.body, whole), whole.result)
        known = self.settled.get(key)
        if known is not None and known.compiled is c:
            return known
        settled = self.settled[key] = Settled(key, c, values)
        new.append((settled, job))
        return settled

    def _check(self, at: Settled, job: _Job) -> None:
        g, values = at.compiled.flows.graph, at.values
        for check in g.checks:
            self._bound(at, job, check, g.fixed[check.bound])
        for turn in g.turns:
            if g.fixed.get(turn.dst) == values[turn.src] == atoms.DIST and turn.changes(values):
                text = f"{turn.why} must be a distribution of real numbers"
                text += f", and `{quote(turn.node)}` draws whole ones"
                self._emit(at, job, turn.src, 0, turn.node, "E406", text, _WHOLE)
        for a in g.applies:
            self._arguments(at, job, a)
        for node, var, target in at.compiled.flows.conversions:
            if not atoms.below(values[var], target):
                at.casts[node] = f"checked_{atoms.number(target).name}"
        for node in at.compiled.flows.body.bool_casts:
            at.casts[node] = "checked_bool"
        for seen in g.seen:
            self._observed(at, job, seen.value, seen.drawn, seen.node)

    def _bound(self, at: Settled, job: _Job, check: Check, bound: int) -> None:
        value = at.values[check.src]
        if atoms.below(value, bound):
            return
        g = at.compiled.flows.graph
        if g.is_measure[check.src]:
            self._too_large(at, job, check.src, bound, check.node, check.why)
            return
        cast = atoms.cast(value, bound) if check.castable else None
        if cast is not None:
            at.casts[check.node] = cast
            return
        self._too_large(at, job, check.src, bound, check.node, check.why)

    def _arguments(self, at: Settled, job: _Job, a: Apply) -> None:
        ins = tuple([at.values[v] for v in a.ins])
        chosen = atoms.choose(a.row, ins)
        for i, (value, bound) in enumerate(zip(ins, chosen.ins, strict=False)):
            if atoms.below(value, bound):
                continue
            node = a.nodes[i] if i < len(a.nodes) else None
            cast = atoms.cast(value, bound)
            if cast is not None and node is not None and _stands_at(at, node, a.ins[i]):
                at.casts[node] = cast
            else:
                why = _label(at.compiled.flows.body, a, i)
                self._too_large(at, job, a.ins[i], bound, node or a.node, why)

    def _too_large(
        self, at: Settled, job: _Job, var: int, bound: int, node: s.Node, why: str
    ) -> None:
        value = at.values[var]
        if _is_measure(at, var):
            text = f"{why} must be a distribution, and `{quote(node)}` is only a measure"
            self._emit(at, job, var, value & ~bound, node, "E406", text, _EFFECTS)
            return
        code = "E402" if value & ~bound & atoms.IS_REAL else "E401"
        text = f"{why} must be {atoms.name(bound)}, and `{quote(node)}` is {atoms.name(value)}"
        if value & ~bound & atoms.NEGATIVE and bound in (atoms.POS, atoms.PROB):
            text += ", which may be negative"
        self._emit(at, job, var, value & ~bound, node, code, text, _HINTS.get(bound))

    def _observed(self, at: Settled, job: _Job, var: int, drawn: int, node: s.Expr) -> None:
        value, wanted = at.values[var], at.values[drawn]
        if atoms.below(value, wanted):
            return
        of, draws = atoms.name(value), atoms.name(wanted)
        if value & ~wanted & atoms.IS_REAL:
            text = f"`{quote(node)}` is {of}, and the distribution draws {draws}"
            hint = "a real number has probability 0 here: declare the data `nat` or `int`"
            self._emit(at, job, var, atoms.IS_REAL, node, "E403", text, hint)
        elif value & ~wanted:
            text = f"`{quote(node)}` is {of}, which is wider than what is drawn here: {draws}"
            meaning = at.compiled.flows.body.facts.meaning.get(node)
            given = isinstance(meaning, Local) and meaning.role == "data"
            whole = quote(node) if isinstance(node, s.Name) else f"({quote(node)})"
            remedy = f"declare the data `{draws}`" if given else f"`{whole} as {draws}` checks it"
            hint = f"values outside have weight 0; {remedy}"
            self._emit(at, job, var, value & ~wanted, node, "W401", text, hint)

    def _emit(
        self,
        at: Settled,
        job: _Job,
        var: int,
        bits: int,
        node: s.Node,
        code: str,
        text: str,
        hint: str | None,
    ) -> None:
        """Report at the place itself, or at the call whose argument is to blame."""
        notes, end = causes(at.compiled, at.values, var, bits, node)
        flows = at.compiled.flows
        if job.site is None or end not in flows.ins:
            inside, image = self._inside(at, end)
            hint = _IMAGE if image else hint
            self.report(Diagnostic(code, text, node.span, tuple([*notes, *inside][:LINES]), hint))
            return
        caller, i = job.site
        use = caller.compiled.flows.graph.uses[i]
        call = _call_of(caller, use.node)
        inner = Note(f"in `{use.name}`, as it is used here: {text}", node.span)
        outer, end = causes(
            caller.compiled, caller.values, use.ins[flows.ins.index(end)], bits, use.node
        )
        inside, image = self._inside(caller, end)
        notes, hint = [inner, *outer, *inside][:LINES], _IMAGE if image else hint
        self.report(Diagnostic(code, text, call.span, tuple(notes), hint))

    def _inside(self, at: Settled, var: int) -> tuple[list[Note], bool]:
        """Of a measure: how it came about in the functions that gave it, and whether it is the
        image of one."""
        met: list[tuple[Settled, int]] = []
        while (at, var) not in met and not turned(at.compiled, at.values, var):
            met.append((at, var))
            for use in at.compiled.flows.graph.uses if _is_measure(at, var) else ():
                if var in use.outs:
                    at = self.settled[at.calls[use.node]]
                    start = at.compiled.flows.outs[use.outs.index(var)]
                    item = at.compiled.flows.body.item
                    notes, var = causes(at.compiled, at.values, start, atoms.IS_REAL, item)
                    if turned(at.compiled, at.values, var):
                        return notes, True
                    break
        return [], turned(at.compiled, at.values, var) is not None


def _turns(at: Settled) -> bool:
    """Whether something that counts as a distribution is the image of one."""
    g, values = at.compiled.flows.graph, at.values
    return any(
        [
            values[t.dst] == atoms.DIST and t.dst not in g.fixed and t.changes(values)
            for t in g.turns
        ]
    )


def _is_measure(at: Settled, var: int) -> bool:
    return at.compiled.flows.graph.is_measure[var]


def _stands_at(at: Settled, node: s.Node, var: int) -> bool:
    """Only a number, or an array of numbers, can be cast where it stands."""
    return leaf(at.compiled.flows.types[node]).var == var


def _label(body: Body, a: Apply, i: int) -> str:
    """How an argument of a primitive is called in messages."""
    node, part = a.node, a.nodes[i] if i < len(a.nodes) else None
    match node:
        case s.Binary(op=op):
            return f"the {'left' if part is node.left else 'right'} of `{op}`"
        case s.Unary(op=op):
            return f"the operand of `{op}`"
        case s.Call() if part in body.arguments[node]:
            return f"argument {body.arguments[node].index(part) + 1} of `{quote(node.fn)}`"
        case _:
            return f"argument {i + 1} of `{a.row}`"


def _declared(body: Body, whole: ty.Fun) -> tuple[ty.Type, ...]:
    """A model's parameters keep their declared types, with `?`."""
    item = body.item
    if not isinstance(item, s.Function) or item.kind != "model":
        return whole.params
    return tuple([body.facts.annotations[p.type] for p in item.params if p.type is not None])


def _call_of(at: Settled, node: s.Node) -> s.Node:
    """The call whose function is `node`, if it is called where it is mentioned."""
    for e in at.compiled.flows.types:
        if isinstance(e, s.Call) and e.fn is node:
            return e
    return node


def _largest(
    summaries: Summaries, c: Compiled, values: list[int], var: int, taken: Mapping[int, int]
) -> int:
    """What nothing reaches may be anything that its uses accept, here, in functions called, and in
    the caller."""
    bound, own = atoms.MEASURE if c.flows.graph.is_measure[var] else atoms.REAL, c
    met, todo = {(c, var)}, [(c, var)]
    while todo:
        c, v = todo.pop()
        g, n = c.flows.graph, len(c.flows.graph.applies)
        if c is own and taken.get(v):
            bound &= taken[v]
        for seen in g.seen if c is own else ():  # of others, the values are not known here
            if seen.value == v and values[seen.drawn]:
                bound &= values[seen.drawn]
        for check in g.checks:
            if check.src == v:
                bound &= g.fixed[check.bound]
        on = [(c, w) for w in c.targets[v]]
        for r in c.readers[v]:
            if r < n:
                a = g.applies[r]
                bound &= atoms.overloads(a.row)[-1].ins[a.ins.index(v)]
            else:
                use = g.uses[r - n]
                callee = summaries.of(use.target)
                on += [
                    (callee, x) for x, y in zip(callee.flows.ins, use.ins, strict=True) if y == v
                ]
        todo += [place for place in on if place not in met]
        met.update(on)
    return bound
