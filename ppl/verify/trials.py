"""Subjects as independent trials: what a sampler, kernel or resampler does from a key.

Where the program's law is known, by enumeration, what is found is compared with it. Where it is
not, there is a second stream: runs forward, each with its weight, or exact draws from the posterior
by rejection. Both need a bound on the weights of the program; it is never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import MachineKey
from ppl.verify.contracts import (
    Approximates,
    Contract,
    Posterior,
)
from ppl.verify.moves import PILOT, moves, unbounded
from ppl.verify.runnable import Atom, Law, Runnable
from ppl.verify.sequential import Decision, Plan, Undecided, decide, seed_of
from ppl.verify.statistics import (
    Known,
    Mean,
    Statistic,
    by_value,
    learned,
    most,
    numbers_of,
)
from ppl.verify.steps import Steps
from ppl.verify.subjects import (
    Compiled,
    Kernel,
    Pair,
    Resampler,
    Sampler,
    Sequential,
    Subject,
    atom_of,
    comparable,
    logarithm,
    weighted,
)
from ppl.verify.tapes import Budget


@dataclass(frozen=True)
class Trials:
    """run: a trial from its seed. statistics: of what it gives. notes: what they do not see."""

    run: Callable[[int], Any]
    statistics: tuple[Statistic, ...]
    notes: tuple[str, ...] = ()


def by_trials(
    subject: Subject,
    model: Runnable,
    contract: Contract,
    law: Law | None,
    plan: Plan,
    *,
    bound: float | None = None,
    steps: int = 1,
) -> tuple[Decision, Trials]:
    """Decide by trials. law: the program's, if it can be enumerated; bound: on weights.

    Raises:
        Undecided: no trials can tell.
        DiagnosticError: E742, E743, the subject does not keep to its protocol.
    """
    if isinstance(contract, Approximates):
        raise Undecided("a distance is measured by enumeration alone")
    seed = seed_of(model.source, model.target.values, _code(subject), contract)
    make = _Maker(model, contract, law, seed_of(seed, "pilot"), bound, steps)
    trials = make.trials(subject)
    return decide(trials.run, trials.statistics, plan, seed), trials


def _code(subject: Subject) -> list[Any]:
    return [type(subject).__name__, *vars(subject).values()]


@dataclass(frozen=True)
class _Maker:
    model: Runnable
    contract: Contract
    law: Law | None
    pilot: int
    bound: float | None
    steps: int

    def trials(self, subject: Subject) -> Trials:
        match subject:
            case Sampler():
                return self.samples(lambda omega: subject.run(self.model, omega))
            case Sequential():
                steps = Steps(subject, self.model, {}, Budget(0))
                return self.samples(steps.whole)  # pyright: ignore[reportArgumentType]
            case Compiled() if self.law is not None:
                from ppl.verify.compiled_trials import weights_by_atom  # imports JAX

                return self.weighted(weights_by_atom(subject.run, self.model, self.law))
            case Resampler():
                return self.resampled(subject)
            case Kernel():
                found, run = moves(
                    subject,
                    self.model,
                    self.contract,
                    self.law,
                    self.bound or 1.0,
                    self.steps,
                    self.pilot,
                )
                return Trials(run, found, () if self.law else ("differences within a cell",))
            case Pair() if self.law is not None:
                return self.pair(subject)
        kind = type(subject).__name__
        if isinstance(subject, (Compiled, Pair)):
            raise Undecided(f"trials of a `{kind}` need a program whose law can be enumerated")
        raise Undecided(f"a `{kind}` makes no random choices, and no trials can be made of it")

    def pilots(self, run: Callable[[int], Any], n: int = PILOT) -> list[Any]:
        return [run(seed_of(self.pilot, i)) for i in range(n)]

    # ------------------------------------------------------------------------------ weighted values

    def samples(self, run: Callable[[Any], Any]) -> Trials:
        def mine(seed: int) -> dict[Atom, float]:
            out: dict[Atom, float] = {}
            for value, w in weighted(run(MachineKey(seed))):
                atom = atom_of(value)
                out[atom] = out.get(atom, 0.0) + math.exp(w)
            return out

        return self.weighted(mine)

    def weighted(self, mine: Callable[[int], Any]) -> Trials:
        """mine: from a seed to weights by atom."""
        seen = self.pilots(mine)
        whole = {a.sites is not None for made in seen for a in made}
        if self.law is not None:
            return self._against_law(self.law, mine, seen, whole != {False})
        return self._against_forward(mine, seen)

    def _against_law(
        self, law: Law, mine: Callable[[int], Any], seen: Sequence[Any], whole: bool
    ) -> Trials:
        masses = law.masses if whole else _results(law.masses)
        cells, p = by_value(masses)
        top = max(e.log_weight for e in law.executions.values())
        high = math.exp(top) if self.bound is None else self.bound
        high *= 1 + 1e-9  # rounding
        names = range(len(cells.labels))

        def masses_of(made: Mapping[Atom, float]) -> Any:
            row = np.zeros(len(cells.labels))
            for atom, w in made.items():
                row[cells.of(atom if whole else Atom(None, atom.result))] += w
            return row

        def run(seed: int) -> Any:
            return masses_of(mine(seed))

        if isinstance(self.contract, Posterior):
            total = float(np.mean([masses_of(m).sum() for m in seen])) or 1.0
            found: list[Statistic] = [
                Mean(
                    cells.labels[k], 0.0, -high * p[k], high * (1 - p[k]),
                    lambda row, k=k: row[k] - p[k] * row.sum(), total, "excess",
                )
                for k in names
            ]  # fmt: skip
        else:
            z = law.evidence
            found = [
                Mean(cells.labels[k], z * p[k], 0.0, high, lambda row, k=k: row[k], z)
                for k in names
            ]
            found.append(Mean("the total", z, 0.0, high, lambda row: row.sum(), z))
        notes = () if whole else ("traces: the subject gives results alone",)
        return Trials(run, tuple(found), notes)

    def _against_forward(self, mine: Callable[[int], Any], seen: Sequence[Any]) -> Trials:
        """A run forward beside each trial: E[W(A)] = E[V(A)] for every A, or, normalised,
        E[W(A) V] = E[W V(A)], where W and V are the weights of the two."""
        high = self._bound()
        forward = self._forward

        def numbers(atom: Atom) -> dict[str, float]:
            return numbers_of({"": atom.result, **dict(atom.sites or ())})

        pilot = [numbers(a) for a, w in self.pilots(forward) if w > 0]
        both = {k for made in seen for a in made for k in numbers(a)}
        cells = {
            k: learned([x[k] for x in pilot if k in x], k or "result")
            for k in most(pilot)
            if k in both
        }
        if not cells:
            raise Undecided("the program gives no numbers to compare")

        def run(seed: int) -> tuple[Any, Any]:
            atom, v = forward(seed_of(seed, "forward"))
            return [(numbers(a), w) for a, w in mine(seed).items()], [(numbers(atom), v)]

        ratio = isinstance(self.contract, Posterior)
        size = high * high if ratio else high

        def read(k: str, c: int) -> Callable[[Any], float]:
            def inside(side: Any) -> float:
                return sum(w for x, w in side if k in x and cells[k].of(x[k]) == c)

            def difference(trial: Any) -> float:
                left, right = trial
                a, b = inside(left), inside(right)
                if ratio:
                    return a * sum(w for _, w in right) - b * sum(w for _, w in left)
                return a - b

            return difference

        found = [
            Mean(label, 0.0, -size, size, read(k, c), 1.0, "excess")
            for k, division in cells.items()
            for c, label in enumerate(division.labels)
        ]
        if not ratio:
            found.append(
                Mean(
                    "the total", 0.0, -size, size,
                    lambda t: sum(w for _, w in t[0]) - sum(w for _, w in t[1]), 1.0, "excess",
                )
            )  # fmt: skip
        return Trials(run, tuple(found), ("differences within a cell",))

    def _forward(self, seed: int) -> tuple[Atom, float]:
        execution = self.model.run(MachineKey(seed))
        w = math.exp(execution.log_weight) if execution.alive else 0.0
        if w > self._bound() * (1 + 1e-9):
            raise unbounded(w, self._bound())
        return atom_of(execution), w

    def _bound(self) -> float:
        return 1.0 if self.bound is None else self.bound

    # ------------------------------------------------------------------ populations, distributions

    def resampled(self, subject: Resampler) -> Trials:
        if self.law is None:
            raise Undecided("a resampler is tried on the traces of a program, which must be finite")
        n = subject.particles
        masses = np.zeros(min(n, len(self.law.masses)))
        for i, mass in enumerate(self.law.masses.values()):
            masses[i % len(masses)] += mass
        logs = np.log(masses).tolist()

        def run(seed: int) -> Any:
            ancestors, new = subject.run(list(logs), MachineKey(seed))
            row = np.zeros(len(masses))
            np.add.at(row, np.asarray(ancestors, int), np.exp(np.asarray(new, float)))
            return row

        total = float(masses.sum())
        found = [
            Mean(f"particle {k}", m, 0.0, total * (1 + 1e-9), lambda row, k=k: row[k], total)
            for k, m in enumerate(masses)
        ]
        return Trials(run, tuple(found))

    def pair(self, subject: Pair) -> Trials:
        """The atoms are those of the pilot and of the program."""
        assert self.law is not None
        values = self.pilots(lambda seed: subject.sample(self.model, MachineKey(seed)))
        values += [e.result for e in self.law.executions.values()]
        points = {comparable(x): x for x in values}
        logs = {k: subject.log_density(self.model, x) for k, x in points.items()}
        masses: dict[Hashable, float] = {
            k: math.exp(logarithm(v, f"the log density at {k}")) for k, v in logs.items()
        }
        cells, p = by_value(masses)
        rest = 1 - sum(masses.values())
        if rest < -1e-9:
            raise fail("E742", f"the densities of {len(masses)} values sum to {1 - rest:.6g}",
                       hint="a density sums to 1 at most")  # fmt: skip
        scale = sum(masses.values())
        p = (*(x * scale for x in p[:-1]), p[-1] * scale + max(rest, 0.0))
        return Trials(
            lambda seed: comparable(subject.sample(self.model, MachineKey(seed))),
            (Known("result", cells.labels, p, cells.of),),
        )


def _results(masses: Mapping[Any, float]) -> dict[Hashable, float]:
    out: dict[Hashable, float] = {}
    for atom, mass in masses.items():
        key = Atom(None, atom.result)
        out[key] = out.get(key, 0.0) + mass
    return out
