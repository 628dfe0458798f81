"""What a run threads through (`State`), and what it only reads (`Scope`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ppl.semantics import ir
from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.xla.axes import Arr, Axes, Axis, elementwise, spread, union
from ppl.semantics.xla.values import Dist, RValue, map_leaves

Path = tuple[str, ...]
Env = Mapping[str, RValue]


def path_name(path: Path) -> str:
    return "/".join(path) or "result"


@partial(jax.tree_util.register_dataclass, data_fields=["score"], meta_fields=["pending"])
@dataclass(frozen=True)
class Factor:
    """A log-score: one factor of the measure for every element of the `pending` plates.

    Those are closed plates in which an enumeration axis of the score was born; the product over
    them waits until that axis is summed out. `pending` is empty when nothing is enumerated.
    """

    score: Arr
    pending: Axes = ()

    @property
    def summed(self) -> Axes:
        """The enumeration axes it mentions."""
        return tuple(a for a in self.score.axes if a.enumerated)


@dataclass(frozen=True)
class State:
    """Threaded through a run; every update is a new one.

    scores: factors still to be multiplied together. Each counts once for every combination of the
        plates open in the region that the state belongs to, whether or not it varies.
    sites: the value of every random choice, by path; inside a loop, for one iteration.
    kept: the value of every name bound by `~`, by path.
    observed: the log-probability of every observation, by name (or, when predicting, its draw).
    """

    omega: Any = None
    scores: tuple[Factor, ...] = ()
    sites: Mapping[str, RValue] = field(default_factory=dict)
    kept: Mapping[str, RValue] = field(default_factory=dict)
    observed: Mapping[str, RValue] = field(default_factory=dict)
    extra: Any = None  # what a site rule threads (its own pytree)
    faults: tuple[Any, ...] = ()  # at the end of a run: what went wrong

    def scored(self, score: Arr, pending: Axes = ()) -> State:
        """Multiply the measure by exp(score)."""
        new = Factor(score, pending)
        for i, old in enumerate(self.scores):
            if (old.score.axes, old.pending) == (score.axes, pending):
                new = Factor(Arr(old.score.data + score.data, score.axes), pending)
                return replace(self, scores=(*self.scores[:i], new, *self.scores[i + 1 :]))
        return replace(self, scores=(*self.scores, new))

    def with_site(self, path: Path, value: RValue, span: Span | None) -> State:
        name = path_name(path)
        if name in self.sites:
            raise fail(
                "E505",
                f"two random choices have the same name `{name}`",
                span=span,
                hint="bind the draws to different names with `~`",
            )
        return replace(self, sites={**self.sites, name: value})

    def keeping(self, path: Path, value: RValue) -> State:
        return replace(self, kept={**self.kept, path_name(path): value})

    def observing(self, name: str, score: RValue) -> State:
        if name in self.observed:  # an observation inside a function that is called twice
            k = 2
            while f"{name}#{k}" in self.observed:
                k += 1
            name = f"{name}#{k}"
        return replace(self, observed={**self.observed, name: score})


@dataclass(frozen=True)
class Site:
    """A random choice about to be made."""

    path: Path
    dist: Dist
    span: Span | None

    @property
    def name(self) -> str:
        return path_name(self.path)


class SiteRule(Protocol):
    """What running a distribution means: draw it, take its value from a trace, sum it out, …"""

    def __call__(self, site: Site, scope: Scope, state: State) -> tuple[RValue, State]: ...


@dataclass(frozen=True)
class Scope:
    """Read by a run.

    axes: the open independent axes (particles, plates): what a draw varies along.
    mask: the lanes that are alive (None: all).
    given: values supplied from outside by path, already opened along the enclosing loops.
    fixed: the paths whose values are set from outside (`fixed.Fixed`), values being in `given`.
    record: which of State's tables to fill; what is not asked for costs nothing. `elements` stands
        for `observed` with a log-probability for each independent element of an observed array.
    """

    program: ir.Program
    site: SiteRule
    path: Path = ()
    axes: Axes = ()
    mask: Arr | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    record: frozenset[str] = frozenset(("sites", "kept", "observed"))
    #: observations are made instead of scored, by the rule for the value that was seen
    predict: Callable[[RValue], SiteRule] | None = None
    smooth: bool = False  # the run will be differentiated: guard values captured by branches
    nan_is_nothing: bool = False  # a score that is no number is no mass to whoever reads scores
    faults: list[Any] | None = None  # collects `faults.Fault`s of this region, if wanted
    tails: Mapping[Any, Any] = field(default_factory=dict)  # what `recursion.tails` found
    rooms: Mapping[Path, int] = field(default_factory=dict)  # steps to record, by unbounded loop
    limit: int = 1_000_000  # steps after which an unbounded loop is given up
    temperature: Any = None  # the power that likelihoods are raised to; None: 1
    outline: dict[str, ir.At] | None = None  # collects the binders that are met, if wanted
    depth: int = 0  # of calls, to stop runaway recursion

    def at(self, step: str) -> Scope:
        return replace(self, path=(*self.path, step))

    def under(self, mask: Arr) -> Scope:
        """The scope of the lanes where `mask` holds too."""
        if self.mask is not None:
            mask = elementwise(jnp.logical_and, self.mask, mask)
        return replace(self, mask=mask)

    def along(self, axis: Axis) -> Scope:
        return replace(self, axes=union(self.axes, (axis,)))

    def fresh_plate(self, name: str, size: int) -> Axis:
        order = 1 + max((a.order for a in self.axes), default=0)
        return Axis(max(order, 1), name, size)

    def owns(self, name: str) -> bool:
        """Whether a path belongs to what runs at this scope's path."""
        here = "/".join(self.path)
        return not here or name == here or name.startswith(here + "/")


def masked(scope: Scope, score: Arr, otherwise: float = 0.0) -> Arr:
    """The score in live lanes, else `otherwise`."""
    if scope.mask is None:
        return score
    return elementwise(lambda m, s: jnp.where(m, s, otherwise), scope.mask, score)


def tempered(scope: Scope, score: Arr) -> Arr:
    """What an observation scores at the scope's temperature t: the logarithm of its density's t-th
    power, 0 to the power of 0 being 1. The derivative in t is the score, or 0 where that is -inf.
    """
    t = scope.temperature
    if t is None:
        return score

    def power(s: Any) -> Any:
        possible = s > -jnp.inf
        return jnp.where(possible, t * jnp.where(possible, s, 0.0), jnp.where(t > 0, s, 0.0))

    return elementwise(power, score)


def missing_where_dead(result: RValue, scope: Scope) -> RValue:
    """What results show: numbers of lanes that did not run are missing (nan)."""
    if scope.mask is None:
        return result
    mask = scope.mask
    real = jnp.result_type(float)
    return map_leaves(
        lambda a: elementwise(lambda m, x: jnp.where(m, jnp.asarray(x, real), jnp.nan), mask, a),
        result,
    )


def total(scores: Iterable[Arr], axes: Axes) -> Arr:
    """The product of all scores, varying along exactly `axes` (all plates are closed)."""
    out = Arr(jnp.zeros((), jnp.result_type(float)))
    for s in scores:
        out = elementwise(jnp.add, out, s)
    return spread(out, axes)
