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

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ppl.inference.settings import check_types
from ppl.semantics.diagnostics import fail


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A Markov kernel on the traces of a program."""

    #: what a user calls a basic kernel
    name: ClassVar[str] = ""

    def __str__(self) -> str:
        """As it is written, without what is left at its default."""
        told = [
            f"{f.name}={v!r}" for f in fields(self) if (v := getattr(self, f.name)) != f.default
        ]
        return f"{self.name}({', '.join(told)})"

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
        check_kernel(self.kernel)
        if not self.sites:
            raise fail("E811", "a kernel moves at least one site, and `on` was given none")
        for name in self.sites:
            if not isinstance(name, str):
                raise fail("E811", f"a site is named by a text, and not by {name!r}")

    def __str__(self) -> str:
        return f"{self.kernel}.on({', '.join(map(repr, self.sites))})"


@dataclass(frozen=True, kw_only=True)
class Then(Kernel):
    """`first`, and then `second`."""

    first: Kernel
    second: Kernel

    def __post_init__(self) -> None:
        check_kernel(self.first)
        check_kernel(self.second)

    def __str__(self) -> str:
        return f"{self.first}.then({self.second})"


@dataclass(frozen=True, kw_only=True)
class Repeat(Kernel):
    """`kernel`, `times` times."""

    kernel: Kernel
    times: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernel(self.kernel)
        if self.times < 1:
            raise fail("E811", f"times = {self.times}: it must be at least 1")

    def __str__(self) -> str:
        return f"{self.kernel}.repeat({self.times})"


@dataclass(frozen=True, kw_only=True)
class Mixture(Kernel):
    """One of `parts`, chosen with probabilities in proportion to `weights`."""

    parts: tuple[Kernel, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            check_kernel(part)
        if len(self.weights) != len(self.parts) or not self.parts:
            raise fail(
                "E811",
                f"a mixture of {len(self.parts)} kernels has {len(self.weights)} weights",
                hint="give at least one kernel, and one weight for each",
            )
        if not all(w > 0 for w in self.weights):
            raise fail("E811", f"weights = {self.weights}: they must be positive")

    def __str__(self) -> str:
        even = len(set(self.weights)) == 1
        told = [*map(str, self.parts), *([] if even else [f"weights={self.weights}"])]
        return f"mixture({', '.join(told)})"


def mixture(*parts: Kernel, weights: tuple[float, ...] | None = None) -> Mixture:
    """One of the kernels, chosen at random at every step; with equal probabilities if no weights
    are given."""
    even = (1.0,) * len(parts)
    return Mixture(parts=parts, weights=even if weights is None else tuple(weights))


def parts_of(kernel: Kernel) -> tuple[Kernel, ...]:
    """The kernels that a combinator combines; none of a basic one."""
    match kernel:
        case On(kernel=inner) | Repeat(kernel=inner):
            return (inner,)
        case Then(first=first, second=second):
            return (first, second)
        case Mixture(parts=parts):
            return parts
    return ()


def basic_kernels(kernel: Kernel) -> Iterator[Kernel]:
    """The basic kernels in it, in order."""
    parts = parts_of(kernel)
    if not parts:
        yield kernel
    for part in parts:
        yield from basic_kernels(part)


def check_kernel(kernel: Any) -> None:
    """Raise E811 for what is no kernel."""
    if not isinstance(kernel, Kernel):
        raise fail(
            "E811",
            f"{kernel!r} is not a kernel",
            hint="make one with `ppl.kernels`, as `ppl.kernels.random_walk()`",
        )
