"""Subjects of several sizes: the largest whose paths can all be run is the one that is checked.

check(Largest(lambda n: Sampler(partial(my_filter, particles=n)), (2, 3, 4)), program, contract)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ppl.verify.runnable import Runnable
from ppl.verify.steps import Steps
from ppl.verify.subjects import Sequential
from ppl.verify.tapes import Budget, estimate


@dataclass(frozen=True)
class Largest:
    """make(n) -> subject, for one of the sizes: numbers of particles, or steps of a kernel.

    Paths are planned: a few runs tell about how many there are, and sizes of more than the limit
    are left out. The report says which size was checked.
    """

    make: Callable[[int], Any]
    sizes: tuple[int, ...] = (2, 3)


def planned(subject: Any, model: Runnable) -> float:
    """About how many paths a subject that goes in steps has, were equal populations not put
    together; 0 for others, whose enumeration begins with an estimate."""
    if not isinstance(subject, Sequential):
        return 0.0
    return estimate(Steps(subject, model, {}, Budget(1)).whole, {})
