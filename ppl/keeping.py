"""Running chains by programs that are kept for later processes (see `ppl.kept`)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache, lru_cache
from typing import Any

import jax
import numpy as np

from ppl.executions import whole_run
from ppl.inference import executables
from ppl.inference.initialise import explain_failure
from ppl.inference.kernels.flat import Kernel, step_programs
from ppl.inference.recover import BLOCK, compiled
from ppl.inference.sampling import blank_record, choose_mode, lanes_of
from ppl.kept import Form, Kept, NoStart, kept_for, planned, refuse, run_kept
from ppl.posterior import Posterior
from ppl.semantics.density import Density
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.jax_compat import frozen, without_cache
from ppl.semantics.keys import seed_words
from ppl.semantics.precision import Precision, default_precision, precision
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.outputs import Host
from ppl.semantics.xla.program import particles
from ppl.semantics.xla.state import SiteRule
from ppl.target import Target


def infer_keeping(
    method: Any,
    target: Target,
    density: Density,
    kernel: Kernel,
    seed: int,
    progress: bool,
    free: SiteRule,
) -> Posterior | None:
    """The posterior of chains of a kernel, whose programs are kept when it is there; None if they
    cannot be kept.

    Raises:
        DiagnosticError: E810, a chain finds no point to start from.
    """
    scope: Precision = method.precision or default_precision()
    place = kept_for(method, target, scope)
    data, words, plan = jax.device_put(target.data), seed_words(seed), method.schedule
    if place is None or not _same(place[1], jax.tree.leaves(data)):
        return None
    before = executables.read(place[0])
    if before is not None and not before[1]:
        return None
    mode = choose_mode(density.size, data, plan, method.mode)
    steps, lane = step_programs(density, kernel, mode), lanes_of(mode, plan.chains)[0]
    prior, begin = _named(steps.start_from_prior), (data, words, lane)
    start = prior if method.init == "prior" else _named(steps.start)
    state, row, _ = start.eval_shape(*begin)
    record = blank_record(row, axis=int(mode != "loop"))
    given: dict[str, tuple[Any, tuple[Any, ...]]] = {"start": (start, begin)}
    given["advance"] = _named(steps.advance), (data, state, record, 0, 0, 1)
    form = Form(
        mode=mode,
        chains=np.size(lane),
        coordinates={s.path: list(s.unconstrained_shape) for s in density.sites},
        data=len(place[1]),
        state=len(jax.tree.leaves(state)),
        row={name: (list(x.shape), x.dtype.str) for name, x in row.items()},
        full=BLOCK,
    )
    block = min(BLOCK, plan.chains * plan.draws)
    again = _named(compiled(target.bound, block, whole_run, free))
    at = data, density.unflatten(np.zeros((block, density.size), record["z"].dtype)), seed, 0
    try:
        form = replace(form, block=block, **_outputs(again.eval_shape(*at), target, block, scope))
        given["recover"] = again, at
    except ValueError:  # those who do not know it will run the program again
        pass

    def make(f: Any, arguments: tuple[Any, ...]) -> Any:
        with precision(scope), without_cache():
            return f.lower(*arguments).compile()

    programs: dict[str, Any] = {}

    def from_prior(*begin: Any) -> Any:
        with suppress(DiagnosticError):  # one that cannot be drawn
            programs["prior"] = make(prior, begin)
            return programs["prior"](*begin)
        return None, None, False

    @cache
    def made() -> Kept:
        with ThreadPoolExecutor() as pool:
            making = {k: pool.submit(make, *v) for k, v in given.items()}
        programs.update((k, program.result()) for k, program in making.items())
        return Kept(form, prior=from_prior, **programs)

    try:
        posterior = run_kept(made, data, method, target, seed, progress, scope)
    except NoStart:
        raise explain_failure(density, data, words) from None
    about = json.loads(json.dumps(asdict(form)))
    if before is None or before[0] != about or programs.keys() - before[1].keys():
        try:
            executables.write(place[0], about, {k: frozen(p) for k, p in programs.items()})
        except ValueError:
            refuse(place[0])
    return posterior


@lru_cache(maxsize=256)
def _named(jitted: Any) -> Any:
    """A program under a name that none in JAX's cache has: what comes from there is whole when it
    runs, and not when it is written again."""

    def kept(*arguments: Any) -> Any:
        return jitted.__wrapped__(*arguments)

    return jax.jit(kept)


def _same(ours: list[np.ndarray], theirs: list[Any]) -> bool:
    """Whether the arrays that we take for a target's data are those."""
    pairs = list(zip(ours, map(np.asarray, theirs), strict=False))
    return len(ours) == len(theirs) and all(
        (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes()) for a, b in pairs
    )


def _outputs(tree: Any, target: Target, block: int, scope: Precision) -> dict[str, Any]:
    """What a run gives (see `whole_run`), by the numbers of its leaves.

    Raises:
        ValueError: there are functions, or steps of a loop without a bound.
    """
    leaves, form = jax.tree.flatten(tree)
    values, result, faults = jax.tree.unflatten(form, range(len(leaves)))
    if not all(isinstance(v, Arr) for v in values.values()):
        raise ValueError("steps of a loop without a bound")
    host = Host(target.program, particles(block), lambda leaf: leaf, scope)
    return {
        "outputs": len(leaves),
        "draws": {name: v.data for name, v in values.items()},
        "result": planned(host.to_python(result)),
        "faults": [f.bad.data for f in faults],
    }
