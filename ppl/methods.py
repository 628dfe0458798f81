"""Inference methods by name, each imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from numbers import Integral
from typing import Any

from ppl.inference.kernels.algebra import Kernel
from ppl.semantics.diagnostics import fail, suggest


class Methods(Mapping[str, Any]):
    """The settings class of every method: a module of `ppl.inference`, and its name there."""

    HOME = {
        "nuts": ("nuts", "Nuts"),
        "hmc": ("hmc", "Hmc"),
        "importance": ("weighted", "Importance"),
        "exact": ("weighted", "Exact"),
        "map": ("map", "Map"),
        "laplace": ("laplace", "Laplace"),
        "smc": ("smc", "Smc"),
        "mcmc": ("mcmc", "Mcmc"),
        "pgibbs": ("pgibbs", "Pgibbs"),
        "pmmh": ("pmmh", "Pmmh"),
        "smc2": ("smc2", "Smc2"),
        "rmsmc": ("resample_move", "Rmsmc"),
        "tempered_smc": ("tempered", "TemperedSmc"),
        "waste_free": ("tempered", "WasteFree"),
        "ais": ("tempered", "Ais"),
    }

    def __getitem__(self, name: str) -> Any:
        module, settings = self.HOME[name]
        return getattr(import_module(f"ppl.inference.{module}"), settings)

    def __iter__(self) -> Iterator[str]:
        return iter(self.HOME)

    def __len__(self) -> int:
        return len(self.HOME)


METHODS = Methods()


def method_named(name: str, **settings: Any) -> Any:
    """The method of a name, with settings; kernels may be texts, as they are written.

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
        if key not in make.__dataclass_fields__:
            raise fail(
                "E816",
                f"`{name}` has no setting `{key}`",
                hint=suggest(key, make.__dataclass_fields__),
            )
    for key, value in settings.items():
        if isinstance(value, str) and "Kernel" in str(make.__dataclass_fields__[key].type):
            from ppl.kernel_text import read_kernel

            settings[key] = read_kernel(value)
    return make(**settings)


def as_method(method: Any) -> Any:
    """A method, of which the name alone may be given; NUTS if nothing is.

    Raises:
        DiagnosticError: E815, it is neither.
    """
    method = method_named(method or "nuts") if method is None or isinstance(method, str) else method
    name_of(method)
    return method


def name_of(method: Any) -> str:
    """The name of a method.

    Raises:
        DiagnosticError: E815, it is not a method.
    """
    kind = type(method)  # compared by name, so that no other method's module is imported
    for name, (module, settings) in Methods.HOME.items():
        if (kind.__module__, kind.__qualname__) == (f"ppl.inference.{module}", settings):
            return name
    raise fail(
        "E815",
        f"{method!r} is not an inference method",
        hint=f"use one of {', '.join(f'ppl.{m}()' for m in METHODS)}",
    )


def settings_of(method: Any) -> dict[str, Any]:
    """What a method was set to, without what is left open; kernels as they are written."""
    values = {f.name: getattr(method, f.name) for f in fields(method)}
    return {
        name: str(v) if isinstance(v, Kernel) else getattr(v, "name", v)
        for name, v in values.items()
        if v is not None
    }


def about_run(method: Any, model: str, seed: int) -> dict[str, Any]:
    """What posteriors and checkpoints say of the run that they are of."""
    return {
        "model": model,
        "method": name_of(method),
        "settings": settings_of(method),
        "seed": seed,
    }


def noncentred(method: Any) -> frozenset[str]:
    """The sites to move in standardised coordinates; the command line gives them as one text."""
    names = method.noncenter
    return frozenset(names.split(",") if isinstance(names, str) else names)


def checked_count(name: str, n: Any) -> int:
    """How many of something a call asks for: a whole number of at least 1.

    Raises:
        DiagnosticError: E811, it is something else.
    """
    if not isinstance(n, Integral) or isinstance(n, bool):
        raise fail("E811", f"{name} = {n!r}: it must be a whole number")
    if n < 1:
        raise fail("E811", f"{name} = {n}: it must be at least 1")
    return int(n)


def checked_seed(seed: Any) -> int:
    """A seed of random numbers: a whole number of 64 bits.

    Raises:
        DiagnosticError: E811, it is something else.
    """
    if not isinstance(seed, Integral):
        raise fail("E811", f"seed = {seed!r}: it must be a whole number")
    if not -(2**63) <= int(seed) < 2**63:
        raise fail("E811", f"seed = {seed}: it must be between -2^63 and 2^63 - 1")
    return int(seed)
