"""What can be checked: transformers as plain functions that draw all their randomness from Ω.

    Sampler      f(model, omega) -> weighted values
    Kernel       k(model, state, omega) -> state
    Resampler    r(log_weights, omega) -> (ancestors, log_weights)
    Sequential   begin(model) -> particles, step(particles, omega, t) -> particles
    Compiled     c(model, omega) -> runs, in JAX
    Enumeration  e(model) -> weighted values
    Pair         sample(model, omega) -> value, log_density(model, value) -> log density
    Rewrite      p(program of the IR) -> program

`model` is a `Runnable`. *Weighted values* are one (value, log weight), a list of them, an execution
(with its own log weight), or whatever has `runs` and a `population`. Values that are executions
are compared by their whole traces, other values with the law of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.semantics import ir
from ppl.semantics.diagnostics import fail
from ppl.semantics.machine import Execution
from ppl.verify.contracts import (
    Approximates,
    Contract,
    Enumerates,
    Invariant,
    Measure,
    Posterior,
    ProperlyWeighted,
    Reversible,
    SameDensity,
)
from ppl.verify.runnable import Atom, canonical, trace_of


@dataclass(frozen=True)
class Sampler:
    """run(model, omega) -> weighted values."""

    run: Callable[[Any, Any], Any]
    takes = (Measure, ProperlyWeighted, Posterior, Approximates)


@dataclass(frozen=True)
class Kernel:
    """run(model, state, omega) -> state, the same one if it does not move.

    A state is an execution, or has one as its `execution`. States are made by
    `begin(model, omega)`, a run forward; without it they are executions as `model.replay` gives
    them, whose log weights are joint log densities.
    """

    run: Callable[[Any, Any, Any], Any]
    begin: Callable[[Any, Any], Any] | None = None
    takes = (Invariant, Reversible)


@dataclass(frozen=True)
class Resampler:
    """run(log_weights, omega) -> (ancestors, log_weights).

    It is tried on populations of at most `particles`: the program's traces, if there are more,
    are put together round and round.
    """

    run: Callable[[Any, Any], Any]
    particles: int = 4
    takes = (Measure, ProperlyWeighted, Posterior, Approximates)

    def __post_init__(self) -> None:
        if self.particles < 1:
            raise fail("E746", f"particles = {self.particles}: there must be at least 1")


@dataclass(frozen=True)
class Sequential:
    """begin(model) -> particles; step(particles, omega, t) -> particles, until no run waits.

    Particles have `runs` (suspended or ended) and a `population`. It means what its whole run
    as a sampler would; equal particles are put together after each step, so that far more can be
    enumerated.
    """

    begin: Callable[[Any], Any]
    step: Callable[[Any, Any, int], Any]
    takes = (Measure, ProperlyWeighted, Posterior, Approximates)


@dataclass(frozen=True)
class Compiled:
    """run(model, omega) -> `ppl.verify.compiled.Runs`, in JAX: it is traced and compiled.

    `model` is `ppl.verify.compiled.Lanes`; the code draws by
    `omega, x = omega.draw(path, distribution, shape, where=mask)`.
    """

    run: Callable[[Any, Any], Any]
    takes = (Measure, ProperlyWeighted, Posterior, Approximates)


@dataclass(frozen=True)
class Enumeration:
    """run(model) -> weighted values, or a mapping from values to masses."""

    run: Callable[[Any], Any]
    takes = (Enumerates, Measure, Posterior)


@dataclass(frozen=True)
class Pair:
    """sample(model, omega) -> value; log_density(model, value) -> its log probability."""

    sample: Callable[[Any, Any], Any]
    log_density: Callable[[Any, Any], float]
    takes = (SameDensity,)


@dataclass(frozen=True)
class Rewrite:
    """run(program) -> program, of the IR: a pass. Names bound by `~` and results are compared."""

    run: Callable[[ir.Program], ir.Program]
    takes = (Measure, Posterior, Approximates)


class Numeric:
    """What is about no finite law, and checks itself: see `ppl.verify.numeric`."""

    takes: tuple[type, ...] = ()

    def verdict(self, program: Any, contract: Contract) -> Any:
        raise NotImplementedError


Subject = Sampler | Kernel | Resampler | Sequential | Compiled | Enumeration | Pair | Rewrite

#: logarithms beyond it are of no float
_LARGEST = 709.0

_KINDS = (Sampler, Kernel, Resampler, Sequential, Compiled, Enumeration, Pair, Rewrite)


def subject_of(subject: Any, contract: Contract) -> Subject | Numeric:
    """A plain function as what the contract is about: a kernel, an enumeration, or a sampler; a
    pass of `ppl.semantics.passes` as a rewrite.

    Raises:
        DiagnosticError: E744, the contract is not one of such subjects.
    """
    if isinstance(contract, type):
        name = contract.__name__
        raise fail("E744", f"`{name}` is a kind of contract", hint=f"make one: `{name}(…)`")
    if not isinstance(subject, (*_KINDS, Numeric)):
        subject = _guess(subject, contract)
    if not isinstance(contract, subject.takes):
        kind = type(subject).__name__
        known = ", ".join(f"`{c.__name__}`" for c in subject.takes)
        raise fail(
            "E744",
            f"`{type(contract).__name__}` is no contract of a `{kind}`",
            hint=f"those of a `{kind}` are {known}",
        )
    return subject


def _guess(subject: Any, contract: Contract) -> Subject:
    if hasattr(subject, "run") and hasattr(subject, "contract"):
        return Rewrite(subject.run)
    if isinstance(subject, tuple) and len(subject) == 2 and isinstance(contract, SameDensity):
        return Pair(*subject)
    if not callable(subject):
        raise fail(
            "E744",
            f"a {type(subject).__name__} is nothing that can be checked",
            hint="give a function, or one of the kinds of `ppl.verify.subjects`",
        )
    if isinstance(contract, (Invariant, Reversible)):
        return Kernel(subject)
    if isinstance(contract, Enumerates):
        return Enumeration(subject)
    return Sampler(subject)


def weighted(out: Any) -> list[tuple[Any, float]]:
    """Weighted values, in whatever form they come; those of weight zero left out. Raises E742."""
    if isinstance(out, Execution):
        pairs: Iterable[Any] = [(out, out.log_weight)]
    elif hasattr(out, "runs") and hasattr(out, "population"):
        pairs = zip(out.runs, list(out.population.log_weights), strict=True)
    elif isinstance(out, Mapping):
        if not all(_number(m) and 0 <= m < math.inf for m in out.values()):
            raise wrong(f"it gave {out!r}", "masses are nonnegative numbers")
        pairs = [(v, math.log(m) if m > 0 else -math.inf) for v, m in out.items()]
    elif isinstance(out, tuple) and len(out) == 2 and _number(out[1]):
        pairs = [out]
    elif isinstance(out, (list, tuple)) and all(
        isinstance(x, tuple) and len(x) == 2 and _number(x[1]) for x in out
    ):
        pairs = out
    else:
        raise wrong(f"it gave {out!r}", "give (value, log weight), a list of them, or an execution")
    found = [(value, logarithm(w, "a log weight")) for value, w in pairs]
    return [(value, w) for value, w in found if w > -math.inf]


def logarithm(x: Any, what: str) -> float:
    """The logarithm of a mass that a float can hold. Raises E742."""
    if not _number(x):
        raise wrong(f"{what} is {x!r}", "give a number")
    x = float(x)
    if not x <= _LARGEST:
        hint = "is infinity minus infinity in it?" if math.isnan(x) else "is it a logarithm?"
        raise wrong(f"{what} is {x}", hint)
    return x


def _number(x: Any) -> bool:
    return isinstance(x, (int, float)) or getattr(x, "shape", None) == ()


def atom_of(value: Any) -> Atom:
    """What a value is compared by. Raises E742 for a run that has not ended."""
    if isinstance(value, Execution):
        return trace_of(value)
    if hasattr(value, "resume"):
        raise wrong("a run has not ended", "resume it until it is an execution")
    return Atom(None, comparable(value))


def comparable(value: Any) -> Hashable:
    """What a result is compared by. Raises E742 for what cannot be."""
    found = canonical(value)
    try:
        hash(found)
    except TypeError:
        hint = "give numbers, texts, and arrays, tuples or records of them"
        raise wrong(f"it gave {value!r}, which cannot be compared", hint) from None
    return found


def particles_of(out: Any) -> Any:
    """The particles that a step gave. Raises E742."""
    if not (hasattr(out, "runs") and hasattr(out, "population")):
        raise wrong(f"it gave {out!r}", "particles have `runs` and a `population`")
    return out


def execution_of(state: Any) -> Execution:
    """The execution of a kernel's state. Raises E742."""
    found = state if isinstance(state, Execution) else getattr(state, "execution", None)
    if not isinstance(found, Execution):
        raise wrong(f"a state is {state!r}", "a state is an execution, or has one as `execution`")
    return found


def state_of(state: Any) -> Hashable:
    """What a kernel's state is compared by."""
    execution = execution_of(state)
    return trace_of(execution) if execution.alive else Atom(None, "a state of weight zero")


def wrong(what: str, hint: str) -> Exception:
    """The subject did not keep to its protocol."""
    return fail("E742", f"the subject did not do what its kind says: {what}", hint=hint)
