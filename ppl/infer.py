"""`ppl.infer`: a target and a method give a posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import singledispatch
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppl.cache import use_compilation_cache
from ppl.inference import chains
from ppl.inference.chains import Draws
from ppl.inference.exact import Exact, Factored, run_exact
from ppl.inference.hmc import Hmc, run_hmc
from ppl.inference.importance import Importance, run_importance
from ppl.inference.laplace import Laplace, run_laplace
from ppl.inference.map import Map, run_map
from ppl.inference.nuts import Nuts, run_nuts
from ppl.inference.recover import recover
from ppl.model import Target
from ppl.posterior import Interrupted, Posterior
from ppl.progress import progress_bar
from ppl.semantics.diagnostics import Diagnostic, fail, suggest
from ppl.semantics.precision import default_precision, precision
from ppl.semantics.xla.faults import raise_faults
from ppl.semantics.xla.outputs import Host, numeric_parts
from ppl.semantics.xla.program import CENTRED, particles
from ppl.semantics.xla.sites import Free
from ppl.semantics.xla.state import State
from ppl.semantics.xla.values import RValue

METHODS: dict[str, Callable[..., Any]] = {
    "nuts": Nuts,
    "hmc": Hmc,
    "importance": Importance,
    "exact": Exact,
    "map": Map,
    "laplace": Laplace,
}


def method_named(name: str, **settings: Any) -> Any:
    """The method of a name, with settings.

    Raises:
        DiagnosticError: E815 for an unknown method, E816 for an unknown setting.
    """
    if name not in METHODS:
        known = ", ".join(METHODS)
        raise fail(
            "E815", f"there is no method `{name}` (there is {known})", hint=suggest(name, METHODS)
        )
    make = METHODS[name]
    for key in settings:
        if key not in make.__dataclass_fields__:  # type: ignore[attr-defined]
            raise fail(
                "E816",
                f"`{name}` has no setting `{key}`",
                hint=suggest(key, make.__dataclass_fields__),  # type: ignore[attr-defined]
            )
    return make(**settings)


def infer(target: Target, method: Any = None, *, seed: int = 0, progress: bool = True) -> Posterior:
    """Infer the normalised law of a target.

    `method` is one of `ppl.nuts()`, `ppl.exact()`, …, or its name; NUTS by default. The same seed
    gives the same result. `progress` shows a bar on terminals.

    Raises:
        DiagnosticError: the method cannot treat the program (it names the site and what could),
            or found no point to start from.
        Interrupted: a KeyboardInterrupt (Ctrl-C) stopped it; its `posterior` has the draws so far.
    """
    if not isinstance(target, Target):
        raise fail(
            "E817",
            f"`infer` needs a model applied to its data, not {type(target).__name__}",
            hint="call the model first: infer(model(y=y), method)",
        )
    if method is None:
        method = Nuts()
    elif isinstance(method, str):
        method = method_named(method)
    use_compilation_cache()
    with precision(getattr(method, "precision", None)):
        return _infer(method, target, seed, progress)


@singledispatch
def _infer(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    raise fail(
        "E815",
        f"{method!r} is not an inference method",
        hint=f"use one of {', '.join(f'ppl.{m}()' for m in METHODS)}",
    )


def _about(method: Any, target: Target, seed: int) -> dict[str, Any]:
    settings = {k: v for k, v in asdict(method).items() if v is not None}
    return {
        "model": target.model.name,
        "method": type(method).__name__.lower(),
        "settings": settings,
        "seed": seed,
    }


# ------------------------------------------------------------------------------ gradient methods


@_infer.register(Nuts)
@_infer.register(Hmc)
def _chains(method: Any, target: Target, seed: int, progress: bool) -> Posterior:
    run = run_nuts if isinstance(method, Nuts) else run_hmc
    about = _about(method, target, seed)
    names = method.noncenter.split(",") if isinstance(method.noncenter, str) else method.noncenter
    free = Free(noncentred=frozenset(names))
    density = target.bound.density(target.data, free.noncentred) if names else target.density
    try:
        with progress_bar(None if progress else False, title="sampling") as report:
            draws = run(density, target.data, method, seed=seed, progress=report)
    except chains.Interrupted as stop:
        if stop.draws is None:
            raise Interrupted(None) from None
        posterior = _from_positions(target, stop.draws, free=free, **about)
        made = "{} x {}".format(*posterior.shape)
        remark = Diagnostic(
            "W896",
            f"stopped by the user with {made} of {method.chains} x {method.draws} draws",
        )
        raise Interrupted(replace(posterior, remarks=(*posterior.remarks, remark))) from None
    return _from_positions(target, draws, free=free, **about)


@_infer.register
def _map(method: Map, target: Target, seed: int, progress: bool) -> Posterior:
    mode = run_map(target.density, target.data, method, seed=seed)
    draws = Draws({k: v[None, None] for k, v in mode.position.items()}, {}, "map", 0.0)
    about = _about(method, target, seed)
    return _from_positions(target, draws, lp=mode.log_density, **about)


@_infer.register
def _laplace(method: Laplace, target: Target, seed: int, progress: bool) -> Posterior:
    fit = run_laplace(target.density, target.data, method, seed=seed)
    draws = Draws(fit.position, {}, "laplace", 0.0)
    about = _about(method, target, seed)
    return _from_positions(target, draws, evidence=fit.log_evidence, **about)


def _from_positions(
    target: Target,
    draws: Draws,
    *,
    seed: int,
    free: Free = CENTRED,
    lp: float | None = None,
    **about: Any,
) -> Posterior:
    """Run the program at every draw: named values, the result, summed sites drawn back."""
    first = next(iter(draws.position.values()), None)
    shape = (1, 1) if first is None else first.shape[:2]
    n = shape[0] * shape[1]
    flat = {k: jnp.asarray(v).reshape(n, *v.shape[2:]) for k, v in draws.position.items()}
    values, result, faults = recover(
        target.bound, target.data, flat, n, seed=seed, observe=_whole_run, free=free
    )
    raise_faults(faults)
    stats = dict(draws.stats)
    if lp is not None:
        stats["lp"] = np.full(shape, lp)
    return posterior_of(target, values, result, n, shape, stats=stats, seed=seed, **about)


def named(state: State) -> dict[str, RValue]:
    """Every value bound by `~`, and the choices that are not bound to a name, by path."""
    out: dict[str, RValue] = {}
    for path, v in {**state.sites, **state.kept}.items():
        out.update(numeric_parts(path, v))
    return out


def posterior_of(
    target: Target,
    values: Mapping[str, Any],
    result: RValue,
    n: int,
    shape: tuple[int, int],
    **about: Any,
) -> Posterior:
    """Values that vary along an axis of n lanes as a posterior of shape (chain, draw)."""

    def reshape(data: Any) -> np.ndarray:
        return np.asarray(data).reshape(*shape, *data.shape[1:])

    host = Host(target.model.program, particles(n), reshape, default_precision())
    return Posterior(
        draws={k: reshape(v.data) for k, v in values.items()},
        result=host.to_python(result),
        remarks=target.warnings,
        target=target,
        **about,
    )


# ------------------------------------------------------------------------------ weighted methods


def _whole_run(result: RValue, state: State) -> RValue:
    return named(state), result, state.faults


@_infer.register
def _importance(method: Importance, target: Target, seed: int, progress: bool) -> Posterior:
    with progress_bar(None if progress else False, title="sampling") as report:
        found = run_importance(
            target.bound, target.data, method, seed=seed, observe=_whole_run, progress=report
        )
    values, result, faults = found.values
    raise_faults(faults, weights=found.log_weights)
    n = method.particles
    return posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=np.asarray(found.log_weights)[None],
        evidence=float(found.log_evidence),
        evidence_se=float(found.log_evidence_se),
        **_about(method, target, seed),
    )


@_infer.register
def _exact(method: Exact, target: Target, seed: int, progress: bool) -> Posterior:
    found = run_exact(target.bound, target.data, method, seed=seed, observe=_whole_run)
    about = _about(method, target, seed)
    if isinstance(found, Factored):
        values, result, faults = found.values
        raise_faults(faults)
        n = found.draws
        about |= {"evidence": found.log_evidence, "evidence_se": 0.0, "marginals": found.marginals}
        return posterior_of(target, values, result, n, (1, n), **about)
    values, result, faults = found.values
    raise_faults(faults, weights=found.log_weights)
    n = len(found.log_weights)
    return posterior_of(
        target,
        values,
        result,
        n,
        (1, n),
        log_weights=found.log_weights[None],
        evidence=found.log_evidence,
        evidence_se=0.0,
        exact=True,
        **about,
    )
