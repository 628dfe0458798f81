"""What the machine needs of a distribution: a density, a sampler, and its values if finitely many.

Arguments are those of the row in the table of primitives. Illegal ones, and points outside the
support, have log density -infinity; a draw at illegal arguments ends the run, which has weight 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ppl.semantics.diagnostics import fail
from ppl.semantics.machine.omega import GAMMA, HALF, SCALE, mix
from ppl.semantics.machine.paths import MASK
from ppl.semantics.machine.state import Dead

NEVER = -math.inf

#: values of one draw with their probabilities, positive and summing to 1
Options = Sequence[tuple[Any, Any]]

#: values of one draw beyond which it is not enumerated
MAX_VALUES = 10_000


@dataclass(frozen=True, eq=False)
class Family:
    """A row.

    density: log density at a point inside the support, at legal arguments (may raise
        ArithmeticError or ValueError at poles, which have no mass).
    draw: (u, z, *args) -> value: u is uniform in (0, 1), z seeds a `Generator` of more numbers.
    legal: whether arguments are legal. inside: whether a point is in the support.
    values: the options, where finite. log_cdf, log_sf, quantile: on the line, as in
        `distributions.law`: quantile takes log p and log (1 - p).
    """

    name: str
    density: Callable[..., float]
    draw: Callable[..., Any] | None
    legal: Callable[..., bool]
    inside: Callable[..., bool]
    values: Callable[..., Options] | None = None
    log_cdf: Callable[..., float] | None = None
    log_sf: Callable[..., float] | None = None
    quantile: Callable[..., Any] | None = None
    discrete: bool = False
    #: `sample` in one function, for the families that are drawn most often
    quick: Callable[..., Any] | None = None
    #: `log_prob` likewise
    quick_log_prob: Callable[..., float] | None = None

    def __post_init__(self) -> None:
        if self.quick is not None:
            object.__setattr__(self, "sample", self.quick)
        if self.quick_log_prob is not None:
            object.__setattr__(self, "log_prob", self.quick_log_prob)

    def log_prob(self, x: Any, *args: Any) -> float:
        """The log density at `x`, which may be anything of its type."""
        try:
            if self.legal(*args) and self.inside(x, *args):
                out = self.density(x, *args)
                return out if out < math.inf else NEVER
        except (ArithmeticError, ValueError):
            pass
        return NEVER

    def sample(self, u: float, z: int, *args: Any) -> Any:
        """A draw."""
        if self.draw is None:
            raise fail(
                "E801",
                f"`{self.name}` has a density but no sampler: it is no probability distribution",
                hint="use a method that needs only the density, such as nuts, or a proper prior",
            )
        try:
            if self.legal(*args):
                return self.draw(u, z, *args)
        except (ArithmeticError, ValueError):
            pass
        raise Dead

    def support(self, *args: Any) -> Options:
        """Every value of positive probability, once. Raises E807 if there are infinitely many."""
        if self.values is None:
            raise fail(
                "E807",
                f"`{self.name}` does not have finitely many values, so it cannot be enumerated",
                hint="use importance or smc",
            )
        if not self.legal(*args):
            raise Dead
        return [(v, p) for v, p in self.values(*args) if p > 0]


def child(z: int, i: int) -> tuple[float, int]:
    """u and z for element i of a draw of several."""
    z = mix((z + (i + 1) * GAMMA) & MASK)
    return z * SCALE + HALF, mix(z ^ GAMMA)


def too_many(count: Any) -> Exception:
    return fail(
        "E807",
        f"a draw has {count} values, too many to list",
        hint="use importance or smc",
    )


# ------------------------------------------------------------------------- common legality


def always(*_: Any) -> bool:
    return True


def finite(x: Any) -> bool:
    return -math.inf < x < math.inf


def positive(x: Any) -> bool:
    return 0 < x < math.inf


def nonnegative(x: Any) -> bool:
    return 0 <= x < math.inf


def probability(p: Any) -> bool:
    return 0 <= p <= 1


def whole(x: Any) -> bool:
    return type(x) is int or (finite(x) and x == math.floor(x))
