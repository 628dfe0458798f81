"""Settings of the methods that both engines have.

They stand apart from what runs them on XLA, which imports JAX: the machine needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Settings: how many weighted draws, from the prior.

    With `rounds`, from a proposal that is fitted in so many rounds to as many draws in all: a
    mixture of `components` Student t laws in free coordinates (see `adaptive_importance`).
    """

    particles: int = 10_000
    rounds: int = 0
    components: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        for name, least in (("particles", 1), ("rounds", 0), ("components", 1)):
            if getattr(self, name) < least:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least {least}")
        if self.particles < 10 * self.rounds * self.components:
            raise fail(
                "E811",
                f"particles = {self.particles}: they are too few to fit a proposal in "
                f"{self.rounds} rounds",
                hint="use at least ten for each component in each round",
            )


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Settings: the largest number of paths to run one by one, and the number of joint draws
    when there are more."""

    paths: int = 100_000
    draws: int = 4_000

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("paths", "draws"):
            if getattr(self, name) < 1:
                raise fail("E811", f"{name} = {getattr(self, name)}: it must be at least 1")
