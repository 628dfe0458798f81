"""What is doubtful about a posterior's draws, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ppl.posterior import Posterior
from ppl.semantics.diagnostics import Diagnostic, Note

#: above it, chains have not mixed; below it, a chain's quantiles are not to be trusted
#: (both: Vehtari et al. 2021)
R_HAT = 1.01
ESS_PER_CHAIN = 100
#: weights worth fewer draws than this (or half of them), or than this share of them, are few
WEIGHTED_ESS = 100
WEIGHTED_SHARE = 0.01
#: particles worth fewer than this, or than this share of them, have collapsed
COLLAPSED = 2
COLLAPSED_SHARE = 0.005
#: tries of one kernel, or at one site, of which one should have been accepted
TRIES = 50
#: methods whose chains move discrete choices
KERNELS = ("mcmc", "pgibbs", "pmmh")
#: statistics of draws that depend on those before them
CHAINS = frozenset(("lp", "n_steps", "acceptance_rate"))


def advise(posterior: Posterior) -> Iterator[Diagnostic]:
    """Warnings, gravest first. Exact posteriors have none."""
    if posterior.exact:
        return
    if posterior.log_weights is not None:
        yield from _collapse(posterior)
        yield from _weights(posterior)
        return
    yield from _divergences(posterior)
    if posterior.shape[0] > 1 or CHAINS & posterior.stats.keys():
        yield from _chains(posterior)
    if posterior.method in KERNELS and _may_be_discrete(posterior.draws):
        yield from import_module("ppl.unvisited").unvisited(posterior)


def _may_be_discrete(draws: Mapping[str, Any]) -> bool:
    """Not of draws that are there, and are real numbers."""
    return not isinstance(draws, dict) or any(v.dtype.kind in "biu" for v in draws.values())


def _divergences(posterior: Posterior) -> Iterator[Diagnostic]:
    if "diverging" not in posterior.stats:
        return
    diverging = np.asarray(posterior.stats["diverging"])
    count = int(diverging.sum())
    if not count:
        return
    target = posterior.settings.get("target_accept", 0.8)
    outside = 'let a site with a random scale move in standardised coordinates: noncenter=["theta"]'
    few = count / diverging.size < 0.02 and target < 0.99
    higher = 0.95 if target < 0.95 else 0.99
    smaller = f"raise target_accept (it is {target}, try {higher}), or " if few else ""
    yield Diagnostic(
        "W891",
        f"{count} of {diverging.size} transitions diverged: the draws miss a part of the posterior",
        hint=smaller + outside,
    )


def _chains(posterior: Posterior) -> Iterator[Diagnostic]:
    yield from _stuck(posterior)
    names, check = posterior.scalars[0], posterior.convergence
    apart = np.flatnonzero(check.r_hat > R_HAT)
    if len(apart):
        worst = apart[np.argsort(-check.r_hat[apart])]
        shown = [f"`{names[i]}` has R-hat {check.r_hat[i]:.3f}" for i in worst[:3]]
        yield Diagnostic(
            "W892",
            f"the chains have not mixed: {_list(shown, len(apart))}",
            hint="take more warmup and draws; if that does not help, look for several modes",
        )
    few = ESS_PER_CHAIN * posterior.shape[0]
    size = np.minimum(check.ess_bulk, check.ess_tail)
    low = np.flatnonzero(size < few)
    if len(low):
        worst = low[np.argsort(size[low])]
        shown = [f"`{names[i]}` has {size[i]:.0f}" for i in worst[:3]]
        more = int(np.ceil(posterior.shape[1] * few / max(1.0, float(size[worst[0]])) / 100) * 100)
        yield Diagnostic(
            "W893",
            f"few effective draws (below {few}): {_list(shown, len(low))}",
            notes=(Note("draws of a chain are correlated, and tell as much as fewer ones"),),
            hint=f"take more draws a chain (about {more} at this rate)",
        )


def _stuck(posterior: Posterior) -> Iterator[Diagnostic]:
    """Chains in which nothing moved, or else in which some kernel moved nothing."""
    for name, stat in posterior.stats.items():
        if not name.startswith("acceptance_rate"):
            continue
        rates = np.asarray(stat, float)
        tries = (~np.isnan(rates)).sum(axis=1)
        every = name == "acceptance_rate"
        if _constant(posterior, _of(name)):
            continue
        stuck = np.flatnonzero((tries >= (2 if every else TRIES)) & (np.nansum(rates, axis=1) == 0))
        if not len(stuck):
            continue
        which = ", ".join(map(str, stuck[:6])) + (", …" if len(stuck) > 6 else "")
        of = "" if every else f" of {name.removeprefix('acceptance_rate of ')}"
        yield Diagnostic(
            "W897",
            f"no move{of} was accepted after warm-up in {len(stuck)} of {len(rates)} chains "
            f"({which})",
            hint="make smaller moves, or move fewer sites at a time: kernel=… of `ppl.kernels`",
        )
        if every:
            return
    idle = [k for k, v in posterior.stats.items() if _of(k) and np.all(np.isnan(np.asarray(v)))]
    if idle:
        yield Diagnostic(
            "W897",
            f"there was nothing to move for {_list([f'`{_of(k)}`' for k in idle[:3]], len(idle))}",
            hint="do the names mean random choices, and not what is computed from them?",
        )


def _constant(posterior: Posterior, name: str) -> bool:
    """Whether a choice of a whole number is the same in all draws: it may well be certain."""
    values = posterior.named.get(name)
    if values is None or values.dtype.kind not in "biu" or not values.size:
        return False
    return bool(np.all(values == values[0, 0]))


def _of(name: str) -> str:
    """What a statistic is the acceptance of; nothing, of others."""
    return name.partition("acceptance_rate of ")[2]


def _collapse(posterior: Posterior) -> Iterator[Diagnostic]:
    """Points at which next to nothing was left of the particles of `smc`."""
    sizes = np.asarray(posterior.points.get("effective_sample_size", ()))
    n = posterior.settings.get("particles", 0)
    if sizes.ndim != 1 or not len(sizes):  # populations at temperatures choose how much is left
        return
    if posterior.settings.get("scheme") == "optimal":  # the heavy are left as they are
        return
    few = np.flatnonzero((sizes > 0) & (sizes < max(COLLAPSED, COLLAPSED_SHARE * n)))
    if len(few):
        worst = few[np.argmin(sizes[few])]
        yield Diagnostic(
            "W889",
            f"the {n} particles collapsed at {len(few)} of {len(sizes)} points: at point {worst} "
            f"they were worth {sizes[worst]:.1f}",
            notes=(Note("what comes after descends from a few of them"),),
            hint="take more particles, or a `guide` that looks at what is observed next",
        )


def _weights(posterior: Posterior) -> Iterator[Diagnostic]:
    size, n = posterior.effective_sample_size, int(np.prod(posterior.shape))
    if size < min(WEIGHTED_ESS, n / 2) or size < WEIGHTED_SHARE * n:
        top = float(posterior.weights.max())
        yield Diagnostic(
            "W894",
            f"{n} draws are worth {size:.1f}; the heaviest has {top:.0%} of the weight",
            notes=(Note("the proposal hardly meets the posterior"),),
            hint=_instead(posterior),
        )


def _instead(posterior: Posterior) -> str:
    """What to do about weights that are far from equal."""
    if posterior.method == "smc":
        return "take more particles, or use `mcmc`"
    if posterior.method == "ais":
        return "take more `temperatures`, or use `tempered_smc`, which resamples"
    target = posterior.target
    if target is not None and target.model.engine.name == "machine":  # no gradients there
        return "use `smc` or `mcmc`; more draws help little"
    return "use `nuts`, or `tempered_smc` for the evidence; more draws help little"


def _list(shown: Sequence[str], n: int) -> str:
    return ", ".join(shown) + (f" and {n - len(shown)} more" if n > len(shown) else "")
