"""`ppl.infer`: a target and a method give a posterior."""

from __future__ import annotations

from typing import Any

from ppl.engines import on_engine
from ppl.methods import as_method, checked_seed
from ppl.model import Target, checked_target
from ppl.posterior import Interrupted, Posterior
from ppl.semantics.machine.limits import Limits


def infer(
    target: Target,
    method: Any = None,
    *,
    seed: int = 0,
    progress: bool = True,
    engine: str = "auto",
    limits: Limits | None = None,
) -> Posterior:
    """Infer the normalised law of a target.

    `method` is one of `ppl.nuts()`, `ppl.exact()`, …, or its name; NUTS by default. The same seed
    gives the same result. `progress` shows a bar on terminals. `engine` is what runs the program:
    "xla", "machine", or by default what the compiler chooses (`ppl check --engine` says why).
    `limits` bound the steps, the time and the memory of runs on the machine (`ppl.limits()`).

    Raises:
        DiagnosticError: the method cannot treat the program (it names the site and what could),
            or found no point to start from; E716, the engine asked for cannot run it; E843, E847,
            E848, a limit was reached.
        Interrupted: a KeyboardInterrupt (Ctrl-C) stopped it; its `posterior` has the draws so far,
            if the method makes them one by one (chains, importance on the machine), else None.
    """
    target, method = checked_target("infer", target), as_method(method)
    seed = checked_seed(seed)

    def on_xla() -> Posterior:
        from ppl.xla import infer_on_xla  # imports JAX

        return infer_on_xla(method, target, seed, progress)

    try:
        return on_engine(engine, method, target, seed, progress, on_xla, limits=limits)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # nothing was drawn yet, or nothing is before the end
        raise Interrupted(None) from None
