"""Least fixed points: what each body gives, as a function of what it is given.

A body's graph is evaluated at atoms for its inputs; calls look up the summaries of their callees,
memoised by inputs. Recursive calls start from bottom and are repeated until nothing grows; the
lattice is finite and all functions are monotone. Calls are a stack of our own, not Python's.

What loses its density because whole numbers that it draws become real (`Turn`) is no monotone
function of these numbers, which may become real later. So there are two rounds: numbers first, then
measures given the numbers. Few programs need the second.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from ppl.lang.check import atoms
from ppl.lang.check.flows import Flows
from ppl.lang.check.graph import Graph
from ppl.lang.check.infer import Body

#: a body, its inputs, and whether it is the second round
Key = tuple[Body, tuple[int, ...], bool]
#: a request for a summary; the answer is sent back
Request = Generator[Key, tuple[int, ...], tuple[int, ...]]


@dataclass(slots=True)
class _State:
    outs: tuple[int, ...]
    final: bool = False


@dataclass(slots=True)
class _Frame:
    key: Key
    run: Request
    #: the lowest frame whose unfinished summary was used
    low: int
    #: unfinished summaries below this frame
    members: list[Key] = field(default_factory=list)
    #: whether any of these summaries has grown in this round
    grew: bool = False
    #: whether its own unfinished summary was used
    looped: bool = False


@dataclass(eq=False, slots=True)
class Compiled:
    """A graph with, for each variable, where its value goes."""

    flows: Flows
    targets: list[list[int]]
    #: where its kind goes: see `Graph.kinds`
    kinds: dict[int, list[int]]
    #: what has to be computed again when a variable grows: n < len(applies) or a use after that
    readers: list[list[int]]


def compile_graph(flows: Flows) -> Compiled:
    g = flows.graph
    n = len(g.is_measure)
    targets: list[list[int]] = [[] for _ in range(n)]
    readers: list[list[int]] = [[] for _ in range(n)]
    for e in g.edges:
        targets[e.src].append(e.dst)
    kinds: dict[int, list[int]] = {}
    for a, b in g.kinds:
        kinds.setdefault(a, []).append(b)
    for i, a in enumerate(g.applies):
        for v in a.ins:
            readers[v].append(i)
    for i, u in enumerate(g.uses, len(g.applies)):
        for v in u.ins:
            readers[v].append(i)
    return Compiled(flows, targets, kinds, readers)


class Summaries:
    def __init__(self, variance: dict[str, tuple[int, ...]]):
        self.variance = variance
        self.compiled: dict[Body, Compiled] = {}
        self.memo: dict[Key, _State] = {}
        #: whether there is a second round
        self.twice = False

    def of(self, body: Body) -> Compiled:
        """The graph of a body, built when first asked for."""
        c = self.compiled.get(body)
        if c is None:
            c = self.compiled[body] = compile_graph(Flows(body, self.variance))
        return c

    # ------------------------------------------------------------------------- one body

    def start(self, c: Compiled) -> list[int]:
        """Values before anything has flowed: constants only."""
        g = c.flows.graph
        values = [0] * len(g.is_measure)
        for var, value in g.fixed.items():
            values[var] = value
        return values

    def grow(
        self,
        c: Compiled,
        values: list[int],
        seeds: list[int],
        pending: Iterable[int],
        second: bool = False,
    ) -> Generator[Key, tuple[int, ...], None]:
        """Propagate from `seeds` and `pending` computations to the least fixed point above."""
        g, targets, readers, kinds = c.flows.graph, c.targets, c.readers, c.kinds
        applies, uses = g.applies, g.uses
        n = len(applies)
        work, todo = list(seeds), dict.fromkeys(pending)
        #: calls with an argument that nothing has reached: perhaps it is only not known yet
        held: dict[int, None] = {}
        hold = True
        while True:
            while work:
                v = work.pop()
                x = values[v]
                for w in targets[v]:
                    if values[w] | x != values[w]:
                        values[w] |= x
                        work.append(w)
                for w in kinds.get(v, ()):
                    if values[w] | x & atoms.KIND != values[w]:
                        values[w] |= x & atoms.KIND
                        work.append(w)
                for r in readers[v]:
                    todo[r] = None
            if todo:
                r = todo.popitem()[0]
                if r < n:
                    a = applies[r]
                    result = atoms.result(a.row, tuple([values[v] for v in a.ins]))
                    outs = a.outs
                else:
                    u = uses[r - n]
                    ins = tuple([values[v] for v in u.ins])
                    if hold and 0 in ins:
                        held[r] = None
                        continue
                    result = yield (u.target, ins, second)
                    outs = u.outs
                for w, x in zip(outs, result, strict=True):
                    if values[w] | x != values[w]:
                        values[w] |= x
                        work.append(w)
            elif held:
                hold, todo, held = False, held, {}
            else:
                return

    def measures(self, c: Compiled, values: list[int]) -> Generator[Key, tuple[int, ...], None]:
        """The second round, above the least fixed point for numbers: images are only measures."""
        g, raised = c.flows.graph, []
        for turn in g.turns:
            if turn.dst not in g.fixed and turn.changes(values):
                values[turn.dst] = atoms.MEASURE
                raised.append(turn.dst)
        n = len(g.applies)
        yield from self.grow(c, values, raised, range(n, n + len(g.uses)), second=True)

    def _evaluate(self, key: Key) -> Request:
        body, ins, second = key
        c = self.of(body)
        values = self.start(c)
        seeds = list(c.flows.graph.fixed)
        for var, x in zip(c.flows.ins, ins, strict=True):
            values[var] |= x
            seeds.append(var)
        yield from self.grow(c, values, seeds, _independent(c.flows.graph))
        if second:
            yield from self.measures(c, values)
        return tuple([values[v] for v in c.flows.outs])

    # ----------------------------------------------------------------------- all bodies

    def drive(self, root: Generator[Key, tuple[int, ...], None]) -> None:
        """Run a computation that asks for summaries."""
        try:
            key = next(root)
            while True:
                key = root.send(self.summary(key))
        except StopIteration:
            return

    def summary(self, key: Key) -> tuple[int, ...]:
        """What a body gives at some inputs."""
        state = self.memo.get(key)
        if state is not None and state.final:
            return state.outs
        frames: list[_Frame] = []
        at: dict[Key, int] = {}
        self._push(frames, at, key)
        answer: tuple[int, ...] | None = None
        while frames:
            top = frames[-1]
            try:
                wanted = top.run.send(answer)  # type: ignore[arg-type]
            except StopIteration as stop:
                answer = self._finish(frames, at, stop.value)
                continue
            state = self.memo.get(wanted)
            if state is not None and state.final:
                answer = state.outs
            elif wanted in at:
                top.low = min(top.low, at[wanted])
                frames[at[wanted]].looped = True
                answer = self.memo[wanted].outs
            else:
                self._push(frames, at, wanted)
                answer = None
        return self.memo[key].outs

    def _push(self, frames: list[_Frame], at: dict[Key, int], key: Key) -> None:
        if key not in self.memo:
            c = self.of(key[0])
            self.memo[key] = _State((0,) * len(c.flows.outs))
        at[key] = len(frames)
        frames.append(_Frame(key, self._evaluate(key), len(frames)))

    def _finish(
        self, frames: list[_Frame], at: dict[Key, int], outs: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """A body is done: settle its cycle, or go round once more."""
        top, state = frames[-1], self.memo[frames[-1].key]
        joined = tuple([a | b for a, b in zip(state.outs, outs, strict=True)])
        top.grew = top.grew or joined != state.outs
        state.outs = joined
        depth = len(frames) - 1
        if top.low == depth and top.grew and top.looped:
            top.grew = top.looped = False
            top.members.clear()
            top.run = self._evaluate(top.key)
            return None
        frames.pop()
        del at[top.key]
        if top.low == depth:
            state.final = True
            for k in top.members:
                self.memo[k].final = True
        else:
            below = frames[-1]
            below.low = min(below.low, top.low)
            below.members += [top.key, *top.members]
            below.grew = below.grew or top.grew
        return joined


def _independent(g: Graph) -> list[int]:
    """Computations without inputs have to be started by hand."""
    n = len(g.applies)
    return [i for i, a in enumerate(g.applies) if not a.ins] + [
        i for i, u in enumerate(g.uses, n) if not u.ins
    ]
