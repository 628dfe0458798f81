"""Moves by an involution of values and auxiliary values, where every run draws the same sites.

The function takes the values x of all sites, and auxiliary values u, to values x' and to the
auxiliary values u' with which it would come back. Law: `Reversible(posterior)`, accepting with

    min(1,  π(z') q(u' | x') / (π(z) q(u | x)) · |det ∂(z', u') / ∂(z, u)|),

z being the free coordinates of continuous sites, π their density and q that of the program that
draws the auxiliary values. The derivative is JAX's. A point from which the function does not come
back is left where it is, which keeps the law: it would not be come back to either.

Green (1995); Cusumano-Towner, Lew and Mansinghka (2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ppl.inference.kernels.programmed import Involution
from ppl.inference.kernels.xla.move import (
    Move,
    Path,
    Point,
    Step,
    Target,
    metropolis,
    nothing_tuned,
    rate_of,
    real,
)
from ppl.inference.kernels.xla.proposing import Helper, drawn, shown, unfit_if_untraceable
from ppl.semantics import keys
from ppl.semantics.diagnostics import fail
from ppl.semantics.mixed import InValues, MixedDensity
from ppl.semantics.omega import Key, path_hash

#: how far, relative to its size, a value may be from where it was when it comes back
BACK = 1e-6

Arrays = dict[str, Any]


class Jump:
    """The function on the sites of a density.

    Raises:
        DiagnosticError: E867, it loses values, or takes them to others; E879, JAX cannot trace it,
            or sites are not drawn by every run.
    """

    def __init__(self, kernel: Involution, density: MixedDensity, helper: Helper | None):
        assert density.in_values is not None
        self.kernel, self.helper = kernel, helper
        self.values: InValues = density.in_values
        self.sites = frozenset(s.path for s in (*density.sites, *density.discrete))
        self.values.form(lambda d, position: self.values.placed(d, position, self.sites))

        def once(d: Any, position: Any) -> Any:
            now = self.values.named(d, position)
            u = {} if helper is None else helper.draw(now, Key(keys.key(0)))[1]
            return self.apply(drawn(now, self.sites), dict(u))

        unfit_if_untraceable(lambda: self.values.form(once))

    def apply(self, x: Arrays, u: Arrays) -> tuple[Arrays, Arrays]:
        """The function itself, which gives arrays of the shapes and kinds that it takes."""
        out = self.kernel.move(dict(x), dict(u))
        if not (
            isinstance(out, tuple) and len(out) == 2 and all(isinstance(o, Mapping) for o in out)
        ):
            raise self.wrong("it does not give values and auxiliary values by their names")
        return self._like(x, out[0], "a value"), self._like(u, out[1], "an auxiliary value")

    def _like(self, before: Arrays, after: Mapping[str, Any], what: str) -> Arrays:
        for name in before.keys() ^ after.keys():
            verb = "loses" if name in before else "adds"
            raise self.wrong(f"it {verb} {what}, `{name}`")
        out = {}
        for name, old in before.items():
            new = jnp.asarray(after[name])
            if new.shape != old.shape:
                raise self.wrong(f"it takes `{name}` from {shown(old.shape)} to {shown(new.shape)}")
            out[name] = jnp.asarray(new, old.dtype)
        return out

    def wrong(self, what: str) -> Exception:
        return fail(
            "E867",
            f"`{self.kernel}`: {what}",
            hint="values are of all sites, by their names; apply the function twice by hand",
        )


def involution(path: Path, jump: Jump) -> Move:
    """Moves all sites of its density."""
    label, in_values, helper = path[-1], jump.values, jump.helper

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        density, data = target.density, target.data
        now = in_values.named(data, target.position(point.z, point.k))
        u: Mapping[str, Any] = {}
        there = 0.0
        if helper is not None:
            inner = omega.enter(path_hash(path) >> 1)  # it draws at paths of its own
            inner, u, there = helper.draw(now, inner)
            omega = omega.leave(inner)
        floats, others = _parted(u)
        flat, unravel = ravel_pytree(floats)
        both = jnp.concatenate([point.z, jnp.asarray(flat, point.z.dtype)])

        def moved(both: Any, k: Any, others: Arrays) -> tuple[Any, tuple[Any, Arrays]]:
            z, rest = both[: density.size], both[density.size :]
            position = target.position(z, k)
            x = drawn(in_values.named(data, position), jump.sites)
            new, back = jump.apply(x, {**unravel(jnp.asarray(rest, flat.dtype)), **others})
            position, _ = in_values.placed(data, position, jump.sites, new)
            free = density.flatten(position) if density.sites else z
            floats, others = _parted(back)
            end = jnp.concatenate([free, jnp.asarray(ravel_pytree(floats)[0], free.dtype)])
            return end, (density.flatten_discrete(position), others)

        end, (k, left) = moved(both, point.k, others)
        slope = jax.jacfwd(lambda b: moved(b, point.k, others)[0])(both)
        again, (k_again, left_again) = moved(end, k, left)
        same = jnp.all(jnp.abs(again - both) <= BACK * jnp.maximum(1.0, jnp.abs(both)))
        same &= jnp.all(k_again == point.k)
        for name, v in others.items():
            same &= jnp.all(left_again[name] == v)
        proposed = target.point(end[: density.size], k)
        log_ratio = proposed.log_density - point.log_density - there + jnp.linalg.slogdet(slope)[1]
        if helper is not None:
            back = {**unravel(jnp.asarray(end[density.size :], flat.dtype)), **left}
            new = in_values.named(data, target.position(proposed.z, k))
            log_ratio += helper.log_density(new, back)
        log_ratio = jnp.where(same, log_ratio, -jnp.inf)
        omega, point, _, accepted = metropolis(point, proposed, log_ratio, omega, path)
        return Step(point, tuned, omega, {rate_of(label): real(accepted)})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def _parted(values: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
    """Those of continuous values, and the others."""

    def part(want: bool) -> Arrays:
        return {
            name: v
            for name, v in values.items()
            if jnp.issubdtype(jnp.asarray(v).dtype, jnp.floating) is want
        }

    return part(True), part(False)
