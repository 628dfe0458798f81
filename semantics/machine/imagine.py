"""Executions as they would have been under interventions, one by one.

An execution is replayed to see the law of every choice and observation (`Seen`), and then runs
again, each choice having the value that its noise gives under the law that it has there
(`Imagined`). See `semantics.xla.twin`, which does both at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.distributions.combinators import elements, sized_as
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.noise import NoMap, moved
from ppl.semantics.machine.omega import GAMMA, Generator, MachineKey, mix
from ppl.semantics.machine.paths import Named, Path, hash_of, path_of, spell, step_hash
from ppl.semantics.machine.state import Draw, State

#: family, arguments, value
Law = tuple[Family, tuple[Any, ...], Any]
Key = Any  # the hash of a site's path; for an observation, that of its block's, and its name


class Replayed:
    """A run of a trace: `laws` has what every choice and observation was drawn from, and its
    value. Scores count for nothing."""

    def __init__(self, trace: Mapping[Path, Any]):
        self._trace: dict[int, Any] = {}
        self.laws: dict[Key, Law] = {}
        for path, value in trace.items():
            self._with_elements(hash_of(path), value)

    def _with_elements(self, path: int, value: Any) -> None:
        """The value, and those of its elements, which are drawn one by one where some are set."""
        self._trace[path] = value
        if type(value) is tuple:
            for i, v in enumerate(value):
                self._with_elements(step_hash(path, (i,)), v)

    def begin(self, state: State) -> Draw:
        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            if path not in self._trace:
                raise fail(
                    "E725",
                    f"what is drawn inside `normalize` (here from `{family.name}`) is no site, so "
                    "that its counterfactuals are not determined",
                    hint="`normalize(m, exact)` is a distribution, whose noise is",
                )
            x = self._trace[path]
            self._met(path, family, args, x)
            return x

        return draw

    def _met(self, path: int, family: Family, args: tuple[Any, ...], x: Any) -> None:
        self.laws[path] = family, args, x
        for i, part in enumerate(elements(family, args) or ()):
            self._met(step_hash(path, (i,)), *part, x[i])

    def observed(
        self, state: State, path: Named, name: str, family: Any, args: tuple[Any, ...], x: Any
    ) -> float:
        self.laws[path[0], name] = family, sized_as(family, args, x), x
        return 0.0

    def mark(self) -> None:
        """A frame that is run again makes the same choices."""

    def restore(self, mark: Any) -> None:
        """Nothing to restore."""


class Imagined:
    """Choices with the noise that they had: `laws` is that of the replayed execution. Choices that
    were not made there come from `rest`. `made` has the observations, by path and name."""

    def __init__(self, laws: Mapping[Key, Law], names: Mapping[int, str], rest: MachineKey):
        self._laws, self._names, self._rest = laws, names, rest
        self.made: dict[tuple[Path, str], Any] = {}

    def begin(self, state: State) -> Draw:
        fresh = self._rest.begin(state)

        def draw(path: int, family: Any, args: tuple[Any, ...]) -> Any:
            name = self._names.get(path, "")
            return self._with_its_noise(path, path, name, family, args, fresh)

        return draw

    def _with_its_noise(
        self, key: Key, at: int, name: str, family: Any, args: tuple[Any, ...], fresh: Draw
    ) -> Any:
        law = self._laws.get(key)
        if law is None or law[0] is not family:
            return fresh(at, family, args)
        noise = Generator(mix(at ^ self._rest.stream ^ GAMMA))
        try:
            return moved(family, law[1], law[2], args, noise.uniform)
        except NoMap:
            raise fail(
                "E725",
                f"`{name}` differs between the worlds: `{family.name}` declares no noise map, so "
                "its counterfactuals are not determined",
                hint="write it as a deterministic function of distributions that have one",
            ) from None

    def observed(
        self, state: State, path: Named, name: str, family: Any, args: tuple[Any, ...], x: Any
    ) -> float:
        at = step_hash(path[0], f"predict {name}")
        fresh = self._rest.begin(state)
        args = sized_as(family, args, x)
        value = self._with_its_noise((path[0], name), at, name, family, args, fresh)
        self.made[path_of(path), name] = value
        return 0.0

    def mark(self) -> None:
        """A frame that is run again makes the same choices."""

    def restore(self, mark: Any) -> None:
        """Nothing to restore."""


def names_of(trace: Mapping[Path, Any]) -> dict[int, str]:
    """The names of the sites of a trace, by the hashes of their paths."""
    return {hash_of(path): spell(path) for path in trace}
