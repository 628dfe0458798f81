"""The verification kit: state the law of a transformer, kernel or algorithm, and have it tested.

    from ppl.verify import ProperlyWeighted, Sampler, check

    verdict = check(Sampler(my_algorithm), program, ProperlyWeighted())
    verdict.assert_ok()

Names are looked up when first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl.verify.calibration import Calibration as Calibration
    from ppl.verify.calibration import calibrate as calibrate
    from ppl.verify.checking import check as check
    from ppl.verify.contracts import Approximates as Approximates
    from ppl.verify.contracts import Calibrated as Calibrated
    from ppl.verify.contracts import ChangesVariables as ChangesVariables
    from ppl.verify.contracts import Enumerates as Enumerates
    from ppl.verify.contracts import Invariant as Invariant
    from ppl.verify.contracts import KeepsVolume as KeepsVolume
    from ppl.verify.contracts import Measure as Measure
    from ppl.verify.contracts import Posterior as Posterior
    from ppl.verify.contracts import ProperlyWeighted as ProperlyWeighted
    from ppl.verify.contracts import Reversible as Reversible
    from ppl.verify.contracts import SameDensity as SameDensity
    from ppl.verify.contracts import SameLaw as SameLaw
    from ppl.verify.contracts import UnbiasedGradient as UnbiasedGradient
    from ppl.verify.densities import Distribution as Distribution
    from ppl.verify.draws import bernoulli as bernoulli
    from ppl.verify.draws import categorical as categorical
    from ppl.verify.draws import index as index
    from ppl.verify.draws import uniform as uniform
    from ppl.verify.gradients import Estimator as Estimator
    from ppl.verify.laws import same_law as same_law
    from ppl.verify.maps import Bijection as Bijection
    from ppl.verify.maps import Integrator as Integrator
    from ppl.verify.maps import Involution as Involution
    from ppl.verify.maps import Metropolis as Metropolis
    from ppl.verify.orbits import OnOrbit as OnOrbit
    from ppl.verify.programs import Program as Program
    from ppl.verify.programs import programs as programs
    from ppl.verify.properties import preserves as preserves
    from ppl.verify.quadrature import evidence as evidence
    from ppl.verify.rank_test import rank_test as rank_test
    from ppl.verify.runnable import Runnable as Runnable
    from ppl.verify.search import search as search
    from ppl.verify.sequential import Plan as Plan
    from ppl.verify.sizes import Largest as Largest
    from ppl.verify.subjects import Compiled as Compiled
    from ppl.verify.subjects import Enumeration as Enumeration
    from ppl.verify.subjects import Kernel as Kernel
    from ppl.verify.subjects import Pair as Pair
    from ppl.verify.subjects import Resampler as Resampler
    from ppl.verify.subjects import Rewrite as Rewrite
    from ppl.verify.subjects import Sampler as Sampler
    from ppl.verify.subjects import Sequential as Sequential
    from ppl.verify.verdict import LawBroken as LawBroken
    from ppl.verify.verdict import Verdict as Verdict

#: the module that each public name is made in
_HOME = {
    name: module
    for module, names in {
        "calibration": "Calibration calibrate",
        "checking": "check",
        "contracts": "Approximates Calibrated ChangesVariables Enumerates Invariant KeepsVolume "
        "Measure Posterior ProperlyWeighted Reversible SameDensity SameLaw UnbiasedGradient",
        "densities": "Distribution",
        "draws": "bernoulli categorical index uniform",
        "gradients": "Estimator",
        "laws": "same_law",
        "maps": "Bijection Integrator Involution Metropolis",
        "orbits": "OnOrbit",
        "programs": "Program programs",
        "properties": "preserves",
        "quadrature": "evidence",
        "rank_test": "rank_test",
        "runnable": "Runnable",
        "sequential": "Plan",
        "search": "search",
        "sizes": "Largest",
        "subjects": "Compiled Enumeration Kernel Pair Resampler Rewrite Sampler Sequential",
        "verdict": "LawBroken Verdict",
    }.items()
    for name in names.split()
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from ppl.semantics.diagnostics import suggest

        hint = suggest(name, _HOME)
        raise AttributeError(
            f"module 'ppl.verify' has no attribute {name!r}" + (f"; {hint}" if hint else "")
        )
    value = getattr(import_module(f"ppl.verify.{_HOME[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """`ppl.verify.programs` is the strategy, also once the module of that name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
