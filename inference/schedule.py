"""How long chains run, where they begin, how they share the machine, and how they tell of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ppl.semantics.diagnostics import fail

Progress = Callable[[int, int, dict[str, Any]], None]
"""Called with steps done, steps in all (chains times warm-up and sampling), and how it goes:
`phase`, `divergences` so far. Calls are serialised, though they may come from worker threads."""

Mode = Literal["auto", "loop", "vectorised", "devices"]
"""How chains share the machine.

`loop`: one chain a program, as many threads as cores. `vectorised`: one program steps all chains
together, each step as slow as the slowest chain's. `devices`: vectorised over the chains of each
JAX device. `auto`: see `choose_mode`."""

Init = Literal["uniform", "prior"]
"""Where a chain looks for its start: uniformly about the origin of the free coordinates, or among
draws from the prior, which is better where far from it the density is hard to compute or rugged
(differential equations)."""


@dataclass(frozen=True)
class Schedule:
    """How long and how many: steps of warm-up, draws kept, chains, steps per kept draw."""

    warmup: int = 1000
    draws: int = 1000
    chains: int = 4
    thin: int = 1

    def __post_init__(self) -> None:
        for name, least in (("warmup", 0), ("draws", 1), ("chains", 1), ("thin", 1)):
            value = getattr(self, name)
            if value < least:
                raise fail("E811", f"{name} = {value}: it must be at least {least}")
