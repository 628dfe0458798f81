"""Settings of the methods that both engines have.

They stand apart from what runs them on XLA, which imports JAX: the machine needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Settings: how many weighted draws."""

    particles: int = 10_000

    def __post_init__(self) -> None:
        check_types(self)
        if self.particles < 1:
            raise fail("E811", f"particles = {self.particles}: it must be at least 1")


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
