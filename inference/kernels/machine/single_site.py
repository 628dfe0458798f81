"""Metropolis-Hastings by the prior, over traces whose sites come and go.

Some sites of the trace (one, chosen uniformly, or all that are named) are drawn again from their
priors; the program is run with the other sites' values, drawing those it newly meets from their
priors. Law: `Reversible(posterior)`.

Write x for the trace and x' for the proposed one, n and n' for their numbers of sites to choose
from, L for the product of the scores, and for a site in both p(v) and p'(v) for its density in
each. What to accept one redrawn site with is

    min(1,  L(x') / L(x)  ·  n / n'  ·  Π p'(v) / p(v) over the other sites in both).

n / n' is the correction that Wingate, Stuhlmüller and Goodman, "Lightweight implementations of
probabilistic programming languages via transformational compilation" (2011), needed in its erratum.
All named sites at once need none: which they are is read off the names.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import islice
from typing import Any

from ppl.inference.choices import ACCEPT, COIN, INDEX, SITE
from ppl.inference.kernels.machine.traces import NOTHING, Choose, Revision, Run, Trace
from ppl.semantics.machine.omega import Source


def revise(run: Run, trace: Trace, source: Source) -> Trace:
    """One step of the kernel on all sites: the next trace, which is `trace` itself if the move is
    rejected."""
    n = len(trace.sites)
    if n == 0:
        return trace
    k = source.draw(SITE, INDEX, (n,))
    chosen = next(islice(trace.sites, k, None))
    return revise_one(run, trace, chosen, source, k)


def revise_one(
    run: Run,
    trace: Trace,
    chosen: int,
    source: Source,
    place: int | None = None,
    choose: Choose | None = None,
) -> Trace:
    """The step that redraws `chosen`, one of all sites or of those that `choose` gives, each as
    likely. place: which of all it is, if that is known."""
    site = trace.sites[chosen]
    value = source.draw(chosen, site.family, site.args)  # its law is as it was
    if value == site.value and site.family.discrete:
        return trace  # a run is what its sites are
    drawn = {chosen: value}
    revision = Revision(trace.sites, (chosen,), source, NOTHING, trace.past, drawn, place)
    proposed = revision.draft(run)
    if not proposed.alive:
        return trace
    log_ratio = proposed.log_weight - trace.log_weight + revision.log_ratio
    if choose is None:
        n, m = len(trace.sites), proposed.size
    else:
        n, m = len(choose(trace)), len(choose(proposed))
    if n != m:
        log_ratio += math.log(n) - math.log(m)
    return revision.finished(proposed) if accepts(log_ratio, source) else trace


def revise_all(run: Run, trace: Trace, chosen: Collection[int], source: Source) -> Trace:
    """The step that redraws all of `chosen`, which names tell from any trace."""
    revision = Revision(trace.sites, frozenset(chosen), source, past=trace.past)
    proposed = revision.draft(run)
    if not proposed.alive:
        return trace
    log_ratio = proposed.log_weight - trace.log_weight + revision.log_ratio
    return revision.finished(proposed) if accepts(log_ratio, source) else trace


def accepts(log_ratio: Any, source: Source) -> bool:
    """Whether a move of this ratio is accepted."""
    return log_ratio >= 0 or source.draw(ACCEPT, COIN, (math.exp(log_ratio),))
