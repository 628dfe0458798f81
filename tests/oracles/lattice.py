"""Slices on lattices: what they draw uniformly has finitely many values there, so that tapes
enumerate it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from ppl.semantics import distributions as D
from ppl.semantics.distributions.pieces import Pieces

#: of an interval, in points of the lattice
WIDTH = 2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OnLattice:
    """A tape on which the uniform draws of slices take values on a lattice, and normal ones are given;
    `levels` are the log densities of all states, less that of the present one: where the level makes
    a difference."""

    tape: Any
    levels: Any
    lattice: Any
    noise: Any

    def draw(self, path: Any, law: Any, shape: Any, *, where: Any = None) -> tuple[Any, Any]:
        match path[-1]:
            case "ellipse":
                return self, self.noise
            case "level":
                edges = jnp.exp(jnp.minimum(self.levels, 0.0))
                tape, u = self.tape.draw(path, Pieces(1, lambda: edges[None]), (1,))
                return replace(self, tape=tape), u[0]
            case "place":  # so that the ends lie between points of the lattice
                tape, i = self.tape.draw(path, D.make("discrete_uniform", (0, WIDTH - 1)), ())
                return replace(self, tape=tape), (i + 0.5) / WIDTH
            case "shrink" | "angle":
                lower, upper = law.support.lower, law.support.upper
                inside = (self.lattice > lower + 1e-9) & (self.lattice < upper - 1e-9)
                order = jnp.argsort(~inside)  # a tape tries the first option first
                even = D.make("categorical", (inside[order] / inside.sum(),))
                tape, i = self.tape.draw(path, even, ())
                return replace(self, tape=tape), self.lattice[order][i]
        tape, value = self.tape.draw(path, law, shape)
        return replace(self, tape=tape), value

    def enter(self, t: Any) -> OnLattice:
        return replace(self, tape=self.tape.enter(t))

    def leave(self, inner: OnLattice) -> OnLattice:
        return replace(self, tape=self.tape.leave(inner.tape))
