"""The Density representation: a measure held as a differentiable log density on free coordinates.

A site of the program is a random choice with support S. Its *position* is an array of real numbers
without constraint, which the program maps onto S while it runs (so a support may depend on other
sites). A `Density` means the trace measure of its program: `log_density` is the log density of the
positions with respect to Lebesgue measure, log |Jacobian| of the maps included, data conditioned
on, finite discrete sites summed out. The measure need not be normalised; its mass is the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import Span, fail, suggest

Position = Mapping[str, Any]


@dataclass(frozen=True)
class SiteInfo:
    """A continuous site.

    `shape` is the event's shape in the program, plates and time steps leading;
    `unconstrained_shape` that of its position (a simplex of k has k - 1 free numbers).
    """

    path: str
    shape: tuple[int, ...]
    unconstrained_shape: tuple[int, ...]
    span: Span | None = None
    family: str = ""


@dataclass(frozen=True)
class Density:
    """A compiled program as a density; equal when `key` is, so that caches can be keyed by it.

    Functions are pure and may be traced, differentiated (`log_density`) and `vmap`ped over
    positions. `data` is a pytree and an *argument*, so that new data of the same shapes runs the
    same compiled code.
    """

    key: Hashable
    """Identity of the compiled program: program, shapes, dtypes."""
    sites: tuple[SiteInfo, ...] = field(compare=False)
    """In the order they are run; a position has exactly these paths."""
    log_density: Callable[[Any, Position], Any] = field(compare=False)
    """(data, position) to a scalar, log |Jacobian| included."""
    constrain: Callable[[Any, Position, Any], dict[str, Any]] = field(compare=False)
    """(data, position, key) to the named values of the program: sites, kept values, `result`.
    The key is used for discrete sites that were summed out, drawn given the position."""
    log_density_no_jacobian: Callable[[Any, Position], Any] | None = field(
        default=None, compare=False
    )
    """The same density with respect to the program's own coordinates; its mode is what
    statisticians call the posterior mode."""
    explain: Callable[[Any, Position], dict[str, Any]] | None = field(default=None, compare=False)
    """(data, position) to the scalar contribution of each site and observation, for messages."""
    faults: Callable[[Any, Position], Any] | None = field(default=None, compare=False)
    """(data, position) to what goes wrong there (indices out of range and the like)."""
    tempered: Callable[[Any, Position, Any], Any] | None = field(default=None, compare=False)
    """(data, position, t) to the log density of the prior times the t-th power of the likelihood
    (for every value of what is summed out, which is then summed): the prior's at t = 0, that of
    the measure at t = 1."""
    starts: Callable[[Any, Any, int], tuple[Any, Position, Any]] | None = field(
        default=None, compare=False
    )
    """(data, source of randomness, n) to the source, n positions (leading axis) and their log
    weights (n,), properly weighted for the prior; raises E801 if that cannot be drawn."""
    summed: bool = field(default=False, compare=False)
    """Whether there are finite sites, which are summed out: if not, `tempered` is affine in t."""

    @property
    def size(self) -> int:
        """The number of free coordinates."""
        return sum(prod(s.unconstrained_shape) for s in self.sites)

    def checked(self, position: Any) -> Position:
        """The position, if it has exactly the sites, each of its shape.

        Raises:
            DiagnosticError: E802, it has not.
        """
        if not isinstance(position, Mapping):
            kind = type(position).__name__
            message = f"a position has an array for each site, by its name, and is no {kind}"
            raise fail("E802", message, hint=f"the sites are {self._names()}")
        sites = {s.path: s for s in self.sites}
        for name in position:
            if name not in sites:
                hint = suggest(str(name), sites) or f"the sites are {self._names()}"
                raise fail("E802", f"the density has no free site `{name}`", hint=hint)
        for path, site in sites.items():
            if path not in position:
                raise fail("E802", f"no value is given for `{path}`", span=site.span)
            shape = np.shape(position[path])
            if shape != site.unconstrained_shape:
                message = f"the value for `{path}` is of shape {shape}, and must be of "
                raise fail("E802", message + str(site.unconstrained_shape), span=site.span)
        return position

    def _names(self) -> str:
        return ", ".join(f"`{s.path}`" for s in self.sites) or "none"

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """Vectors (…, size) as positions with the same leading axes; NumPy or JAX arrays."""
        return unflatten({s.path: s.unconstrained_shape for s in self.sites}, vector)

    def flatten(self, position: Position) -> Any:
        """Positions with leading axes as vectors (…, size), the sites in order."""
        import jax.numpy as jnp

        parts = []
        for site in self.sites:
            part = jnp.asarray(position[site.path])
            lead = part.shape[: part.ndim - len(site.unconstrained_shape)]
            parts.append(part.reshape((*lead, prod(site.unconstrained_shape))))
        return jnp.concatenate(parts, axis=-1)

    def site_of(self, coordinate: int) -> SiteInfo:
        """The site that a coordinate of a flat vector belongs to."""
        for site in self.sites:
            coordinate -= prod(site.unconstrained_shape)
            if coordinate < 0:
                return site
        raise IndexError("beyond the last coordinate")


def unflatten(shapes: Mapping[str, tuple[int, ...]], vector: Any) -> dict[str, Any]:
    """Vectors (…, size) as arrays of these shapes, in their order, with the same leading axes."""
    out, start = {}, 0
    for path, shape in shapes.items():
        stop = start + prod(shape)
        out[path] = vector[..., start:stop].reshape((*vector.shape[:-1], *shape))
        start = stop
    return out
