"""Where a chain or an optimiser starts: a point of finite log density and gradient.

Candidates are uniform on (-r, r) in every free coordinate, r = 2 at first and then shrinking (the
origin is where most maps to constrained values are tame), and then draws from the prior; or draws
from the prior alone. When none will do, `explain_failure` says which site or observation is at
fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import keys
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import DiagnosticError, Note, fail
from ppl.semantics.mixed import MixedDensity
from ppl.semantics.omega import Key
from ppl.semantics.xla.faults import raise_faults

ATTEMPTS = 100
"""Candidates tried from a source before giving up."""
RADIUS = 2.0
"""Half-width of the first candidates, as in Stan."""


class Point(NamedTuple):
    """A flat position (size,), its log density, and the gradient of that (size,)."""

    z: Any
    log_density: Any
    gradient: Any


def point_at(density: Density, data: Any, z: Any) -> Point:
    """The point at a flat position."""
    value, gradient = jax.value_and_grad(lambda v: density.log_density(data, density.unflatten(v)))(
        z
    )
    return Point(z, value, gradient)


def is_usable(point: Point) -> Any:
    """Whether a gradient method can leave the point: density and gradient are finite."""
    return jnp.isfinite(point.log_density) & jnp.all(jnp.isfinite(point.gradient))


def find_point(density: Density, data: Any, key: Any) -> tuple[Point, Any]:
    """The first usable candidate, and whether there was one. Traced and `vmap`ped over keys.

    A quarter of the attempts keep the full radius; after that it shrinks geometrically to 1/1000.
    """

    def candidate(i: Any, key: Any) -> Any:
        late = jnp.maximum(i - ATTEMPTS // 4, 0) / (ATTEMPTS - 1 - ATTEMPTS // 4)
        return jax.random.uniform(key, (density.size,), minval=-1, maxval=1) * (RADIUS * 1e-3**late)

    return _first_usable(density, data, key, candidate)


def find_point_from_prior(density: Density, data: Any, key: Any) -> tuple[Point, Any]:
    """Like `find_point`, candidates drawn from the prior. Raises E801 if that cannot be drawn."""
    starts = density.starts
    if starts is None:
        raise fail("E801", "the density is of no program, which could be run forward")

    def candidate(i: Any, key: Any) -> Any:
        _, position, _ = starts(data, Key(key), 1)
        return density.flatten(position)[0]

    return _first_usable(density, data, key, candidate)


def _first_usable(
    density: Density, data: Any, key: Any, candidate: Callable[[Any, Any], Any]
) -> tuple[Point, Any]:
    zeros = jnp.zeros(density.size)
    start = Point(zeros, jnp.full((), -jnp.inf), zeros)

    def body(carry: tuple[Any, Point]) -> tuple[Any, Point]:
        i, _ = carry
        z = candidate(i, jax.random.fold_in(key, i)).astype(zeros.dtype)
        return i + 1, jax.tree.map(
            lambda new, old: new.astype(old.dtype), point_at(density, data, z), start
        )

    _, found = jax.lax.while_loop(
        lambda c: (c[0] < ATTEMPTS) & ~is_usable(c[1]), body, (jnp.zeros((), jnp.int32), start)
    )
    return found, is_usable(found)


# -- why there is none ---------------------------------------------------------------------------

_PROBES = 64


@lru_cache(maxsize=16)
def _probe(density: Density) -> Callable[..., Any]:
    def run(data: Any, words: Any) -> tuple[Any, Any, Any, Any]:
        key = keys.wrap(words)
        near, far = (
            jax.random.uniform(
                jax.random.fold_in(key, i), (_PROBES, density.size), minval=-radius, maxval=radius
            )
            for i, radius in enumerate((RADIUS, 50.0))
        )
        points = jax.vmap(lambda z: point_at(density, data, z))(near)

        def moved(mask: Any) -> Any:  # only one site's coordinates go far
            return jax.vmap(lambda z: density.log_density(data, density.unflatten(z)))(
                jnp.where(mask, far, near)
            )

        others = jax.vmap(moved)(jnp.asarray(_site_masks(density)))
        terms = {}
        if density.explain is not None:
            explain = density.explain
            terms = jax.vmap(lambda z: explain(data, density.unflatten(z)))(near)
        return points.log_density, points.gradient, others, terms

    return jax.jit(run)


def _site_masks(density: Density) -> np.ndarray:
    owner = [density.site_of(i).path for i in range(density.size)]
    return np.array([[path == s.path for path in owner] for s in density.sites])


def explain_failure(density: Density, data: Any, words: Any) -> DiagnosticError:
    """Why no usable point was found, from probes around the origin, as an error to raise.

    At fault is, in this order: a site or observation whose own contribution is never finite; a site
    with a gradient that is not finite where the density is; a site that alone, moved far, makes
    the density finite. What goes wrong with the program at the origin comes before all of these.
    """
    if isinstance(density, MixedDensity):
        density = _at_some_choices(density, data, words)
    if density.faults is not None:
        origin = density.unflatten(np.zeros(density.size))
        raise_faults(jax.jit(density.faults)(data, origin))  # compiled: data are not known there
    value, gradient, moved, terms = jax.device_get(_probe(density)(data, words))
    finite = np.isfinite(value)
    spans = {s.path: s.span for s in density.sites}
    blamed: list[str] = []
    notes: list[Note] = []

    def blame(name: str, why: str) -> None:
        blamed.append(name)
        notes.append(Note(why, spans.get(name)))

    for name, term in terms.items():
        term = np.asarray(term).reshape(_PROBES, -1).sum(-1)
        if not np.isfinite(term).any():
            blame(
                name, f"the log density of `{name}` is {_kinds(term)} at all {_PROBES} points tried"
            )
    if not blamed and finite.any():
        for site, mask in zip(density.sites, _site_masks(density), strict=True):
            wrong = ~np.isfinite(gradient[:, mask]).all(-1) & finite
            if wrong.any():
                share = f"{wrong.sum()} of {finite.sum()}"
                blame(
                    site.path,
                    f"the gradient with respect to `{site.path}` is not finite at "
                    f"{share} points where the log density is",
                )
    if not blamed and not finite.any():
        for site, values in zip(density.sites, moved, strict=True):
            if np.isfinite(values).any():
                blame(
                    site.path,
                    f"the log density becomes finite when only `{site.path}` is moved "
                    "far from its start",
                )
    if not finite.any():
        notes.append(Note(f"the log density is {_kinds(value)} at all {_PROBES} points tried"))
    if not blamed:
        names = ", ".join(f"`{s.path}`" for s in density.sites)
        notes.append(Note(f"no single site explains it; the sites are {names}"))
    where = ", ".join(f"`{b}`" for b in blamed) or "the whole program"
    return fail(
        "E810",
        f"found no starting point of finite log density and gradient: {where} is at fault",
        span=next((spans[b] for b in blamed if spans.get(b)), None),
        notes=notes,
        hint="check that the data lie in the support of what they are observed from, "
        "or give a starting point",
    )


def _at_some_choices(density: MixedDensity, data: Any, words: Any) -> Density:
    """A density with its discrete coordinates fixed, at a draw given the origin."""
    if density.size == 0:
        raise fail(
            "E810",
            f"each of {ATTEMPTS} draws of the discrete choices has density zero: a chain has "
            "nowhere to start",
            hint="check that the data lie in the support of what they are observed from",
        )
    assert density.explain is not None and density.faults is not None
    origin = density.unflatten(jnp.zeros(density.size))
    _, choices = density.begin(data, origin, Key(keys.wrap(words)))
    log_density, explain, faults = density.log_density, density.explain, density.faults
    return Density(
        (density.key, np.asarray(words).tobytes()),
        density.sites,
        lambda data, position: log_density(data, {**position, **choices}),
        density.constrain,
        explain=lambda data, position: explain(data, {**position, **choices}),
        faults=lambda data, position: faults(data, {**position, **choices}),
    )


def _kinds(values: np.ndarray) -> str:
    found = [
        word
        for word, mask in (
            ("-inf", values == -np.inf),
            ("+inf", values == np.inf),
            ("not a number", np.isnan(values)),
        )
        if mask.any()
    ]
    return " or ".join(found)
