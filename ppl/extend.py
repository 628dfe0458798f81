"""`posterior.extend`: filters that go on when more data arrive.

The particles of `smc` stand where the loop over the data ended. With more rows they go on from
there, in as many steps as there are rows; what follows the loop is computed again. Law:
`ProperlyWeighted` for the model on all of the data, as if it had been run on them from the
beginning: with the same random numbers, since what is drawn depends on the seed, the path and the
step alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.machine import posterior_of_runs
from ppl.posterior import Posterior
from ppl.replicas import joined
from ppl.run_particles import Waiting
from ppl.semantics.diagnostics import fail, suggest
from ppl.semantics.passes.resumable import Resumable, resumable
from ppl.target import Target


def extend(posterior: Posterior, rows: Mapping[str, Any], *, progress: bool = True) -> Posterior:
    """The posterior of the data so far and of `rows`, by parameter, which the model's loop goes on
    with.

    Raises:
        DiagnosticError: E874, the model cannot go on with more of such data; E875, the posterior
            has no particles that could; E601 to E606, as for the model's data.
    """
    target = posterior.target
    if target is None:
        raise _no_particles(posterior, "it was read from a file")
    loop = resumable(target.model.program)
    longer, more = _with_rows(target, loop, rows)
    standing = posterior.standing
    if isinstance(standing, tuple):  # replicas
        return joined([extend(one, rows, progress=progress) for one in standing])
    if standing is None:
        none = posterior.method == "smc" and _length(target.values[loop.rows[0]]) == 0
        why = "on the machine a filter begins with at least one row" if none else ""
        raise _no_particles(posterior, why)
    if isinstance(standing, Waiting):
        if longer.holes:
            raise _incomplete(longer, "on the machine a filter goes on with complete data")
        runs = standing.go_on(longer.sampler, progress=progress)
        return posterior_of_runs(standing.method, longer, runs, seed=standing.seed)
    from ppl.populations import extended  # imports JAX
    from ppl.semantics.precision import precision

    before, steps = (_length(t.values[loop.rows[0]]) for t in (target, more))
    with precision():
        waiting = standing(before)
    guide = waiting.guide and with_rows_alone(waiting.guide, rows)
    return extended(waiting, longer, more, steps, guide)


def with_rows_alone(guide: Target, rows: Mapping[str, Any]) -> Target:
    """A guide on new rows of what its loop goes over."""
    names = resumable(guide.sampler.program).rows
    for name in names:
        if name not in rows:
            raise fail(
                "E874",
                f"the guide `{guide.name}` goes over `{name}`, of which there are no new rows",
                hint="name what it goes over as the model does",
            )
    more = guide.model.on({**guide.values, **{name: rows[name] for name in names}})
    return replace(more, settings=guide.settings).sampler


def _no_particles(posterior: Posterior, why: str) -> Exception:
    method = posterior.method or "hand"
    return fail(
        "E875",
        f"this posterior, by `{method}`, has no particles that could go on"
        + (f": {why}" if why else ""),
        hint="infer with ppl.smc(…), without trajectories, and extend that; a guide goes on if it "
        "loops beside the model, on XLA",
    )


def _with_rows(target: Target, loop: Resumable, rows: Mapping[str, Any]) -> tuple[Target, Target]:
    """The target on all data, and on the new rows alone."""
    model, names = target.model, ", ".join(f"`{n}`" for n in loop.rows)
    for name in rows:
        if name not in loop.rows:
            raise fail(
                "E874",
                f"`{model.name}` cannot go on with more of `{name}`: its loop goes over {names}",
                span=loop.loop.span,
                hint=suggest(name, loop.rows) or f"give rows of {names}, and of nothing else",
            )
    if missing := [n for n in loop.rows if n not in rows]:
        raise fail(
            "E874",
            f"`{model.name}` goes over {names} together, and no rows of `{missing[0]}` are given",
            span=loop.loop.span,
            hint="give as many rows of each",
        )
    more = model.on({**target.values, **rows})
    lengths = {name: _length(more.values[name]) for name in loop.rows}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} of `{name}`" for name, n in lengths.items())
        raise fail(
            "E874",
            f"`{model.name}` goes over {names} together, and is given rows of unequal number: "
            f"{shown}",
            span=loop.loop.span,
            hint="give as many rows of each",
        )
    inside = "/".join(loop.path)
    for s in target.settings:
        if s.path == inside or s.path.startswith(inside + "/"):
            raise fail(
                "E874",
                f"`{s.path}` was set in the loop, for its steps so far",
                hint="set it for all data, and infer again",
            )
    whole = {name: _joined(target.values[name], more.values[name]) for name in loop.rows}
    longer = model.on({**target.values, **whole})
    kept = {"settings": target.settings, "warnings": target.warnings}
    longer, more = replace(longer, **kept), replace(more, **kept)
    if longer.holes:
        _check_forms(target, longer, more)
    return longer, more


def _check_forms(target: Target, *others: Target) -> None:
    """Raise E874 if programs that draw what is missing here and there carry other things."""
    parts = resumable(target.sampler.program)
    for other in others:
        new = resumable(other.sampler.program)
        same = new.loop.carry.type == parts.loop.carry.type and set(new.live) <= set(parts.live)
        if not same:
            raise _incomplete(other, "its loop carries what is drawn for them to where it is read")


def _incomplete(target: Target, why: str) -> Exception:
    return fail(
        "E874",
        f"values of `{target.holes[0].leaf.name}` are missing, and {why}",
        hint="infer again with all data",
    )


def _length(values: Any) -> int:
    """Of an array, as `ppl.data` holds it: of products by columns."""
    while isinstance(values, (Mapping, tuple)):
        values = next(iter(values.values() if isinstance(values, Mapping) else values))
    return len(values)


def _joined(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping):
        return {k: _joined(a[k], b[k]) for k in a}
    if isinstance(a, tuple):
        return tuple(_joined(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ma.MaskedArray) or isinstance(b, np.ma.MaskedArray):
        return np.ma.concatenate([a, b])
    return np.concatenate([a, b])
