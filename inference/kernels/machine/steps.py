"""The algebra of kernels on traces of the machine: every description as what one step does.

A step is made for one chain, and may learn from it in warm-up. What each basic kernel tried, and
how often the trace changed, is counted by the kernel and the site's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ppl.inference.choices import CATEGORICAL, INDEX, KERNEL, SITE
from ppl.inference.kernels.algebra import Kernel, Mixture, On, Repeat, Then
from ppl.inference.kernels.basic import Gibbs, Prior, RandomWalk
from ppl.inference.kernels.machine.conditional import Sweep
from ppl.inference.kernels.machine.coordinates import Thin, lines
from ppl.inference.kernels.machine.gibbs import options, sweep
from ppl.inference.kernels.machine.involution import Jump
from ppl.inference.kernels.machine.marginal import Marginal
from ppl.inference.kernels.machine.program import Program, Rest, Selection
from ppl.inference.kernels.machine.proposing import Helper, propose
from ppl.inference.kernels.machine.single_site import revise_all, revise_one
from ppl.inference.kernels.machine.traces import Trace, Turns
from ppl.inference.kernels.machine.walk import Tuning, continuous, walk, walk_whole
from ppl.inference.kernels.particle import ParticleGibbs, ParticleMarginal
from ppl.inference.kernels.programmed import Involution, Proposal
from ppl.inference.resample import Resample
from ppl.semantics.diagnostics import fail

#: of one move, by whether it changed the trace: there are as many of them as draws
ONE = (1, 0), (1, 1)


@dataclass(slots=True)
class Tally:
    """How often moves were tried, and how often the trace changed, by the kernel's text and the
    moved site's name ("" if it moves several). `learning`: whether this is warm-up."""

    learning: bool = False
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def note(self, move: tuple[str, str], tried: int, changed: int) -> None:
        both = self.counts.get(move)
        if both is not None:
            tried, changed = both[0] + tried, both[1] + changed
        self.counts[move] = ONE[changed] if tried == 1 else (tried, changed)


@dataclass(frozen=True)
class Learnt:
    """What the steps of one chain remember from one to the next: objects, and their fields."""

    parts: list[tuple[Any, tuple[str, ...]]] = field(default_factory=list)

    @property
    def known(self) -> list[list[Any]]:
        return [[getattr(part, name) for name in names] for part, names in self.parts]

    def restore(self, known: Sequence[Sequence[Any]]) -> None:
        """Remember what the steps of the same kernel did."""
        for (part, names), values in zip(self.parts, known, strict=True):
            for name, value in zip(names, values, strict=True):
                setattr(part, name, value)


#: (trace, sources of randomness, counts) -> the next trace
Step = Callable[[Trace, Turns, Tally], Trace]


def step_of(
    kernel: Kernel,
    program: Program,
    choose: Selection | None = None,
    *,
    learnt: Learnt | None = None,
) -> Step:
    """One chain's steps of a kernel, on the sites that `choose` gives. What they remember is
    listed in `learnt`.

    Raises:
        DiagnosticError: E855, a name that no site has; E712, a kernel that runs on XLA only.
    """
    choose = Selection(program) if choose is None else choose
    learnt = Learnt() if learnt is None else learnt
    match kernel:
        case On(kernel=inner, sites=sites):
            return step_of(inner, program, choose.within(sites), learnt=learnt)
        case Then(first=first, second=second):
            one, two = (step_of(k, program, choose, learnt=learnt) for k in (first, second))
            return lambda trace, turns, tally: two(one(trace, turns, tally), turns, tally)
        case Repeat(kernel=inner, times=times):
            return _repeated(step_of(inner, program, choose, learnt=learnt), times)
        case Mixture(parts=parts, weights=weights):
            steps = [step_of(part, program, choose, learnt=learnt) for part in parts]
            return _mixed(steps, weights)
        case Prior(block=block):
            return (_all if block else _one)(str(kernel), program, choose)
        case Gibbs():
            return _gibbs(str(kernel), program, choose)
        case ParticleGibbs():
            return _particles(kernel, program, choose)
        case ParticleMarginal():
            return _marginal(kernel, program, choose, learnt)
        case Proposal():
            return _proposing(kernel, program, choose)
        case Involution():
            return _jumping(kernel, program, choose)
        case RandomWalk():
            return _walk(kernel, program, choose, learnt)
    raise fail(
        "E712",
        f"the kernel `{kernel}` runs on XLA, and this program runs on the machine",
        hint="on the machine there are prior, gibbs, random_walk, pgibbs, proposal and involution",
    )


def _repeated(step: Step, times: int) -> Step:
    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        for _ in range(times):
            trace = step(trace, turns, tally)
        return trace

    return run


def _mixed(steps: list[Step], weights: tuple[float, ...]) -> Step:
    total = math.fsum(weights)
    p = tuple(w / total for w in weights)

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        return steps[turns.next().draw(KERNEL, CATEGORICAL, (p,))](trace, turns, tally)

    return run


def _one(text: str, program: Program, choose: Selection) -> Step:
    told = _told(text, choose)
    which = None if choose.everything else choose
    moves: dict[int, tuple[str, str]] = {}

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        sites, source = trace.sites if which is None else which(trace), turns.next()
        if not sites:
            tally.note((told, ""), 0, 0)
            return trace
        k = source.draw(SITE, INDEX, (len(sites),))
        chosen = next(islice(sites, k, None))
        place = k if which is None else None
        after = revise_one(program.run, trace, chosen, source, place, which)
        move = moves.get(chosen)
        if move is None:
            move = moves[chosen] = text, program.name(chosen, trace)
        tally.note(move, 1, after is not trace and _changed(trace, after, (chosen,)))
        return after

    return run


def _all(text: str, program: Program, choose: Selection) -> Step:
    text = _told(text, choose)

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        sites, source = choose(trace), turns.next()
        if not sites:
            tally.note((text, ""), 0, 0)
            return trace
        after = revise_all(program.run, trace, sites, source)
        tally.note((text, ""), 1, _changed(trace, after, sites))
        return after

    return run


def _changed(before: Trace, after: Trace, sites: Collection[int]) -> bool:
    """Whether some of the redrawn sites, and with them perhaps others, came out differently."""
    if after is before:
        return False
    old, new = before.sites, after.sites
    for k in sites:
        if k not in new or new[k].value != old[k].value:
            return True
    return False


def _gibbs(text: str, program: Program, choose: Selection) -> Step:
    text = _told(text, choose)
    checked: set[int] = set()

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        if not choose.everything:
            for site in choose(trace):
                if site not in checked and options(trace.sites[site]) is None:
                    raise _not_finite(program, site, trace)
                checked.add(site)
        after, tried, changed = sweep(program.run, trace, choose, turns)
        tally.note((text, ""), tried, changed)
        return after

    return run


def _particles(kernel: ParticleGibbs, program: Program, choose: Selection) -> Step:
    text = _told(str(kernel), choose)
    sweep = Sweep(program, choose, kernel.particles, kernel.ancestor_sampling, kernel.threshold)

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        after, changed = sweep(trace, turns)
        tally.note((text, ""), 1, changed)
        return after

    return run


def _marginal(
    kernel: ParticleMarginal, program: Program, choose: Selection, learnt: Learnt
) -> Step:
    if len(choose.groups) != 1:
        raise fail(
            "E811",
            "`pmmh` moves the parameters that are named, and draws all other choices",
            hint='name them once: kernels.pmmh().on("sigma")',
        )
    text, names = _told(str(kernel), choose), [a.text for a in choose.groups[0]]
    sweep = Sweep(program, Rest(program, names), kernel.particles, False, kernel.threshold)
    policy = Resample(kernel.scheme, kernel.threshold, sweep.due)
    step = Marginal(sweep, choose, Tuning(math.log(kernel.scale)), policy)
    step.correlation = kernel.correlation
    learnt.parts.append((step, ("tuning", "last", "numbers", "_latest")))
    checked: set[int] = set()

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        for site in choose(trace):
            if site not in checked:
                _check_walks(program, site, trace, "pmmh")
                checked.add(site)
        after = step(trace, turns, learns=kernel.adapt and tally.learning)
        tally.note((text, ""), 1, after is not trace)
        return after

    return run


def _proposing(kernel: Proposal, program: Program, choose: Selection) -> Step:
    text, helper = str(kernel), Helper(kernel.model, kernel.data, program)
    _check_unrestricted(text, choose)

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        after = propose(program, helper, trace, turns)
        tally.note((text, ""), 1, after is not trace)
        return after

    return run


def _jumping(kernel: Involution, program: Program, choose: Selection) -> Step:
    text, jump = str(kernel), Jump.of(kernel, program)
    _check_unrestricted(text, choose)

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        after = jump(trace, turns)
        tally.note((text, ""), 1, after is not trace)
        return after

    return run


def _check_unrestricted(text: str, choose: Selection) -> None:
    if not choose.everything:
        raise fail(
            "E811",
            f"`{text}` says itself which sites it moves, and `on({choose.text})` was asked of it",
            hint="leave `on` out",
        )


def _walk(kernel: RandomWalk, program: Program, choose: Selection, learnt: Learnt) -> Step:
    text, tuning = _told(str(kernel), choose), Tuning(math.log(kernel.scale))
    learnt.parts.append((tuning, ("log_scale", "steps", "spreads")))
    checked: set[int] = set()

    def run(trace: Trace, turns: Turns, tally: Tally) -> Trace:
        for site in choose(trace):
            if site not in checked:
                _check_walks(program, site, trace)
                checked.add(site)
        learns = kernel.adapt and tally.learning
        first = walk(program.run, trace, choose, tuning, turns.next(), learns=learns)
        walked = int(any(continuous(trace.sites[k]) for k in choose(trace)))
        after, tried, changed = walk_whole(program.run, first, choose, kernel.scale, turns)
        tally.note((text, ""), walked + tried, (first is not trace) + changed)
        return after

    return run


def _told(text: str, choose: Selection) -> str:
    return text if choose.everything else f"{text}.on({choose.text})"


def _not_finite(program: Program, site: int, trace: Trace) -> Exception:
    name, family = program.name(site, trace), trace.sites[site].family.name
    return fail(
        "E819",
        f"`gibbs` cannot move `{name}`: `{family}` has infinitely many values, or too many",
        hint=f'name the sites of few values: kernels.gibbs().on("…"), and move `{name}` by another '
        "kernel",
    )


def _check_walks(program: Program, site: int, trace: Trace, kernel: str = "random_walk") -> None:
    """Raise E819 for a site that a random walk would never move."""
    try:
        lines(trace.sites[site])
    except Thin:
        name, family = program.name(site, trace), trace.sites[site].family.name
        raise fail(
            "E819",
            f"`{kernel}` cannot move `{name}`: the numbers of a `{family}` do not move alone",
            hint=f'move it by kernels.prior().on("{name}"), and name the other sites',
        ) from None
