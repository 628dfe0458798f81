"""A benchmark problem as our compiled density."""

from __future__ import annotations

from typing import Any

from benchmarks.problems import Problem
from ppl.semantics.density import Density


def density_of(problem: Problem) -> tuple[Density, Any]:
    """The density of the problem's model, and its data as the density takes them."""
    import ppl

    target = getattr(ppl.load(str(problem.source)), problem.name)(**problem.data)
    return target.density, target.data
