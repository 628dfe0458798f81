"""Probabilistic programs as measures, and inference that is tested to preserve them.

    import ppl

    model = ppl.load("examples/eight_schools/model.ppl").eight_schools
    target = model(y=y, sigma=sigma)
    posterior = ppl.infer(target, ppl.nuts(chains=4), seed=1)
    posterior.summary()

Names are looked up when first used, so that `import ppl` costs nothing and imports no JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl.data import bind as bind
    from ppl.files import read_data as read_data
    from ppl.posterior import Posterior as Posterior
    from ppl.posterior import load_posterior as load_posterior
    from ppl.semantics.diagnostics import Diagnostic as Diagnostic
    from ppl.semantics.diagnostics import DiagnosticError as DiagnosticError

__version__ = "0.1.0"

#: where each public name lives
_HOME = {
    "bind": "ppl.data",
    "read_data": "ppl.files",
    "Posterior": "ppl.posterior",
    "load_posterior": "ppl.posterior",
    "Diagnostic": "ppl.semantics.diagnostics",
    "DiagnosticError": "ppl.semantics.diagnostics",
}
_PACKAGES = ("inference", "lang", "semantics")

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _PACKAGES:
        value = import_module(f"ppl.{name}")
    else:
        from ppl.semantics.diagnostics import suggest

        hint = suggest(name, _HOME)
        raise AttributeError(
            f"module 'ppl' has no attribute {name!r}" + (f"; {hint}" if hint else "")
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES})
