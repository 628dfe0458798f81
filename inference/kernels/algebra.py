"""The algebra of Markov kernels: which moves a chain makes, said once for both engines.

    from ppl import kernels
    kernels.random_walk(scale=0.3).on("mu", "sigma").then(kernels.gibbs().on("z")).repeat(5)

A kernel is a description, immutable data. The basic kernels leave a program's posterior invariant,
and so does everything that is made of them: `then` runs one after the other, `mixture` chooses one
at random (by fixed probabilities), `repeat` runs one several times, `on` lets one move only the
named sites, given the others. A mixture of reversible kernels is reversible; a sequence need not
be. Tierney, "Markov chains for exploring posterior distributions" (1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A Markov kernel on the traces of a program."""

    def __post_init__(self) -> None:
        check_types(self)

    def on(self, *sites: str) -> On:
        """This kernel, moving only these sites (by their names) given all others."""
        return On(kernel=self, sites=sites)

    def then(self, other: Kernel) -> Then:
        """This kernel, and then the other."""
        return Then(first=self, second=other)

    def repeat(self, times: int) -> Repeat:
        """This kernel several times."""
        return Repeat(kernel=self, times=times)


# ------------------------------------------------------------------------------------ combinators


@dataclass(frozen=True, kw_only=True)
class On(Kernel):
    """`kernel` on the named sites alone."""

    kernel: Kernel
    sites: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_kernel(self.kernel)
        if not self.sites:
            raise fail("E811", "a kernel moves at least one site, and `on` was given none")
        for name in self.sites:
            if not isinstance(name, str):
                raise fail("E811", f"a site is named by a text, and not by {name!r}")


@dataclass(frozen=True, kw_only=True)
class Then(Kernel):
    """`first`, and then `second`."""

    first: Kernel
    second: Kernel

    def __post_init__(self) -> None:
        _check_kernel(self.first)
        _check_kernel(self.second)


@dataclass(frozen=True, kw_only=True)
class Repeat(Kernel):
    """`kernel`, `times` times."""

    kernel: Kernel
    times: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kernel(self.kernel)
        if self.times < 1:
            raise fail("E811", f"times = {self.times}: it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Mixture(Kernel):
    """One of `parts`, chosen with probabilities in proportion to `weights`."""

    parts: tuple[Kernel, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            _check_kernel(part)
        if len(self.weights) != len(self.parts) or not self.parts:
            raise fail(
                "E811",
                f"a mixture of {len(self.parts)} kernels has {len(self.weights)} weights",
                hint="give at least one kernel, and one weight for each",
            )
        if not all(w > 0 for w in self.weights):
            raise fail("E811", f"weights = {self.weights}: they must be positive")


def mixture(*parts: Kernel, weights: tuple[float, ...] | None = None) -> Mixture:
    """One of the kernels, chosen at random at every step; with equal probabilities if no weights
    are given."""
    even = (1.0,) * len(parts)
    return Mixture(parts=parts, weights=even if weights is None else tuple(weights))


def _check_kernel(kernel: Any) -> None:
    if not isinstance(kernel, Kernel):
        raise fail(
            "E811",
            f"{kernel!r} is not a kernel",
            hint="make one with `ppl.kernels`, as `ppl.kernels.random_walk()`",
        )
