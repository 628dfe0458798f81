"""Probabilistic programs as measures, and inference that is tested to preserve them.

    import ppl

    model = ppl.load("examples/eight_schools/model.ppl").eight_schools
    target = model(y=y, sigma=sigma)
    posterior = ppl.infer(target, ppl.nuts(chains=4), seed=1)
    posterior.summary()

Names are looked up when first used, so that `import ppl` costs nothing and imports no JAX.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl import kernels as kernels
    from ppl.counterfactual import counterfactual as counterfactual
    from ppl.data import bind as bind
    from ppl.files import read_data as read_data
    from ppl.infer import infer as infer
    from ppl.inference.hmc import Hmc as hmc
    from ppl.inference.laplace import Laplace as laplace
    from ppl.inference.map import Map as map
    from ppl.inference.mcmc import Mcmc as mcmc
    from ppl.inference.nuts import Nuts as nuts
    from ppl.inference.pgibbs import Pgibbs as pgibbs
    from ppl.inference.pmmh import Pmmh as pmmh
    from ppl.inference.resample_move import Rmsmc as rmsmc
    from ppl.inference.smc import Smc as smc
    from ppl.inference.smc2 import Smc2 as smc2
    from ppl.inference.tempered import Ais as ais
    from ppl.inference.tempered import TemperedSmc as tempered_smc
    from ppl.inference.tempered import WasteFree as waste_free
    from ppl.inference.weighted import Exact as exact
    from ppl.inference.weighted import Importance as importance
    from ppl.model import Model as Model
    from ppl.model import Models as Models
    from ppl.model import compile as compile
    from ppl.model import load as load
    from ppl.posterior import Interrupted as Interrupted
    from ppl.posterior import Posterior as Posterior
    from ppl.posterior import load_posterior as load_posterior
    from ppl.predict import predict as predict
    from ppl.predict import prior as prior
    from ppl.semantics.diagnostics import Diagnostic as Diagnostic
    from ppl.semantics.diagnostics import DiagnosticError as DiagnosticError
    from ppl.semantics.machine.limits import Limits as limits
    from ppl.target import Target as Target

__version__ = "0.1.0"

#: where each public name is made: a module, and its name there
_HOME = {
    "ais": ("ppl.inference.tempered", "Ais"),
    "bind": ("ppl.data", "bind"),
    "compile": ("ppl.model", "compile"),
    "counterfactual": ("ppl.counterfactual", "counterfactual"),
    "exact": ("ppl.inference.weighted", "Exact"),
    "hmc": ("ppl.inference.hmc", "Hmc"),
    "importance": ("ppl.inference.weighted", "Importance"),
    "infer": ("ppl.infer", "infer"),
    "laplace": ("ppl.inference.laplace", "Laplace"),
    "limits": ("ppl.semantics.machine.limits", "Limits"),
    "load": ("ppl.model", "load"),
    "load_posterior": ("ppl.posterior", "load_posterior"),
    "map": ("ppl.inference.map", "Map"),
    "mcmc": ("ppl.inference.mcmc", "Mcmc"),
    "nuts": ("ppl.inference.nuts", "Nuts"),
    "pgibbs": ("ppl.inference.pgibbs", "Pgibbs"),
    "pmmh": ("ppl.inference.pmmh", "Pmmh"),
    "smc2": ("ppl.inference.smc2", "Smc2"),
    "predict": ("ppl.predict", "predict"),
    "prior": ("ppl.predict", "prior"),
    "read_data": ("ppl.files", "read_data"),
    "tempered_smc": ("ppl.inference.tempered", "TemperedSmc"),
    "waste_free": ("ppl.inference.tempered", "WasteFree"),
    "rmsmc": ("ppl.inference.resample_move", "Rmsmc"),
    "smc": ("ppl.inference.smc", "Smc"),
    "Diagnostic": ("ppl.semantics.diagnostics", "Diagnostic"),
    "DiagnosticError": ("ppl.semantics.diagnostics", "DiagnosticError"),
    "Interrupted": ("ppl.posterior", "Interrupted"),
    "Model": ("ppl.model", "Model"),
    "Models": ("ppl.model", "Models"),
    "Posterior": ("ppl.posterior", "Posterior"),
    "Target": ("ppl.target", "Target"),
}
_PACKAGES = ("inference", "kernels", "lang", "semantics")

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, attribute = _HOME[name]
        value = getattr(import_module(module), attribute)
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


class _Package(ModuleType):
    """`ppl.infer` is the function, also once the module of that name has been imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES})
