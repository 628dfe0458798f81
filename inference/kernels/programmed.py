"""Kernels that a user writes: proposals that are programs, and involutions.

The machine runs them on traces of any structure, XLA where every run draws the same sites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ppl.inference.kernels.algebra import Kernel
from ppl.inference.kernels.machine.names import unknown
from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis.binders import binders
from ppl.semantics.diagnostics import fail

#: values by name, as results show them
Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Proposal(Kernel):
    """Metropolis-Hastings by a program: `model` draws new values for the sites that its own sites
    are named as.

    Its parameters get present values of the trace: `old_x` that of `x`, and a record those that its
    fields name, as in `model q(now: {x: real}) { x ~ normal(now.x, 0.5) }`. Others are given in
    `data`.
    """

    name: ClassVar[str] = "proposal"
    model: Any
    data: Values = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check_model("proposal", self.model)

    def __str__(self) -> str:
        return f"proposal({self.model.name})"


@dataclass(frozen=True, kw_only=True)
class Involution(Kernel):
    """Reversible jump: `move(values, auxiliary)` gives the values of another trace, and the
    auxiliary values with which it would come back.

    `auxiliary` is a model that draws the auxiliary values, its parameters as of `Proposal`.
    `log_jacobian(values, auxiliary)` is the log of the absolute determinant of the derivative of
    the continuous values; without it, it is worked out by finite differences.
    """

    name: ClassVar[str] = "involution"
    move: Callable[[dict[str, Any], dict[str, Any]], tuple[Values, Values]]
    auxiliary: Any = None
    data: Values = field(default_factory=dict, compare=False)
    log_jacobian: Callable[[dict[str, Any], dict[str, Any]], float] | None = None

    def __post_init__(self) -> None:
        if not callable(self.move):
            raise fail("E811", f"move = {self.move!r}: it must be a function")
        if self.auxiliary is not None:
            check_model("involution", self.auxiliary)

    def __str__(self) -> str:
        return f"involution({getattr(self.move, '__name__', 'move')})"


def proposal(model: Any, **data: Any) -> Proposal:
    """A kernel that proposes by a model."""
    return Proposal(model=model, data=data)


def involution(
    move: Callable[[dict[str, Any], dict[str, Any]], tuple[Values, Values]],
    auxiliary: Any = None,
    *,
    log_jacobian: Callable[[dict[str, Any], dict[str, Any]], float] | None = None,
    **data: Any,
) -> Involution:
    """A kernel that jumps by an involution of values and auxiliary values."""
    return Involution(move=move, auxiliary=auxiliary, data=data, log_jacobian=log_jacobian)


def values_asked(model: Any, data: Values, program: ir.Program) -> dict[str, str | tuple[str, ...]]:
    """Which values of a program's traces the parameters of a model get, beside those in `data`:
    `old_x`, or `x`, that of `x`; one that is a record those that its fields name.

    Raises:
        DiagnosticError: E855, no value of the program has such a name; E601, there is no parameter
            of a name in `data`.
    """
    params, known = model.program.entry.params, binders(program)
    for name in data:
        if name not in {p.name for p in params}:
            raise fail("E601", f"`{model.name}` has no parameter `{name}`")
    wanted: dict[str, str | tuple[str, ...]] = {}
    for p in params:
        if p.name in data:
            continue
        if isinstance(p.type, T.Record):
            wanted[p.name] = tuple(name for name, _ in p.type.fields)
        else:
            wanted[p.name] = p.name if p.name in known else p.name.removeprefix("old_")
    for name in names_asked(wanted):
        if name not in known:
            raise unknown(name, known, ())
    return wanted


def names_asked(wanted: Mapping[str, str | tuple[str, ...]]) -> list[str]:
    """Of all these values."""
    return [n for w in wanted.values() for n in ((w,) if isinstance(w, str) else w)]


def check_model(kernel: str, model: Any) -> None:
    """Raise E817 for what is no model."""
    if not (hasattr(model, "machine") and hasattr(model, "parameters")):
        raise fail(
            "E817",
            f"`{kernel}` needs a model, not {type(model).__name__}",
            hint='compile one: ppl.compile("model q(old_x: real) { x ~ normal(old_x, 0.5) }").q',
        )
