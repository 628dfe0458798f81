"""What chains draw as a posterior; what they had drawn when the user stops them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ppl.inference.sampling import Draws
from ppl.inference.sampling import Interrupted as Stopped
from ppl.posterior import Interrupted, Posterior
from ppl.progress import progress_bar
from ppl.semantics.diagnostics import Diagnostic


def sampled(
    run: Callable[[Any], Draws],
    finish: Callable[[Draws], Posterior],
    progress: bool,
    asked: Any,
    doubt: Callable[[Draws], Diagnostic | None],
) -> Posterior:
    """What `finish` makes of the draws of a run, which is given where to tell of its progress.
    asked: the settings that say how many chains and draws there are to be. doubt: a warning.

    Raises:
        Interrupted: the user stopped it; its posterior is of the draws so far, if they are not in
            a file.
    """
    try:
        with progress_bar(None if progress else False, title="sampling") as report:
            draws = run(report)
    except Stopped as stop:
        if stop.draws is None:
            raise Interrupted(None) from None
        posterior = finish(stop.draws)
        made = "{} x {}".format(*posterior.shape)
        remark = Diagnostic(
            "W896", f"stopped by the user with {made} of {asked.chains} x {asked.draws} draws"
        )
        raise Interrupted(replace(posterior, remarks=(*posterior.remarks, remark))) from None
    posterior, why = finish(draws), doubt(draws)
    return posterior if why is None else replace(posterior, remarks=(*posterior.remarks, why))
