"""Which engine runs an inference: the one asked for, else the one that the compiler chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppl.inference.kernels.basic import moves_prefixes, runs_on_xla
from ppl.methods import name_of
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, fail
from ppl.semantics.machine.limits import Limits
from ppl.semantics.passes.stepwise import stepwise
from ppl.target import UNFIT, Target

ENGINES = ("auto", "xla", "machine")
#: methods that run any program on the machine; on XLA if their kernel is one that it has
MACHINE_ONLY = ("mcmc", "pgibbs", "rmsmc")


def on_engine(
    engine: str,
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    on_xla: Callable[[], Posterior],
    *,
    limits: Limits | None = None,
    checkpoint: Path | None = None,
    stream: Path | None = None,
) -> Posterior:
    """Infer on an engine.

    With `auto`, a program that turns out not to fit XLA while it is compiled (a loop whose state
    grows, a branch of two sizes) runs on the machine, which the posterior remarks (W717). `limits`
    are those of runs on the machine.

    Raises:
        DiagnosticError: E716, the engine asked for cannot run the program or the method; E712, the
            program needs the machine and the method XLA; E811, limits of runs on XLA.
    """
    if engine not in ENGINES:
        raise fail("E811", f"engine = {engine!r}: it must be one of {', '.join(ENGINES)}")
    chosen = target.model.engine
    held = replace(target, budget=checked_limits(limits).begin())
    if engine == "xla" and chosen.name == "machine":
        raise fail(
            "E716",
            f"XLA cannot run `{target.name}`, and engine='xla' asks for it",
            span=chosen.reasons[0].span,
            notes=chosen.reasons[:4],
            hint="leave the choice to the compiler: engine='auto'",
        )
    if _needs_machine(method, target):
        if engine == "xla":
            raise fail(
                "E716",
                f"`{name_of(method)}` so set runs on the machine, and engine='xla' was asked for",
                hint="leave the choice to the compiler: engine='auto'; or choose a kernel that XLA "
                "runs: kernel=ppl.kernels.random_walk()",
            )
        return _on_machine(method, held, seed, progress, checkpoint, stream)
    if engine == "machine":
        return _on_demand(method, held, seed, progress, checkpoint, stream)
    if chosen.name == "machine":
        return _on_machine(method, held, seed, progress, checkpoint, stream)
    if limits is not None:
        raise fail(
            "E811",
            f"limits are for runs on the machine, and `{target.name}` runs on XLA",
            hint="run it there: engine='machine'",
        )
    try:
        return on_xla()
    except DiagnosticError as error:
        (problem, *_) = error.diagnostics
        if engine != "auto" or problem.code not in UNFIT:
            raise
        folder = checkpoint and checkpoint / "machine"  # beside what XLA began with
        posterior = _by_machine(method, held, seed, progress, folder, stream)
        if posterior is None:
            raise
    return went_over(posterior, problem)


def _on_machine(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Path | None,
    stream: Path | None,
) -> Posterior:
    if stream is not None:
        from ppl.streaming import stream_on_machine

        return stream_on_machine(method, target, seed, progress, checkpoint, stream)
    from ppl.machine import infer_on_machine  # much code, which runs on XLA do without

    return infer_on_machine(method, target, seed, progress, checkpoint)


def _needs_machine(method: Any, target: Target) -> bool:
    """Whether a method runs on the machine only: unless it was given a kernel that XLA runs, or
    because it was given a guide that does; or goes by steps that there are not."""
    if name_of(method) == "smc2":
        return any("[" in name for name in method.sites) or not goes_by_steps(target)
    if name_of(method) not in MACHINE_ONLY:
        guide = getattr(method, "guide", None)
        if name_of(method) == "smc" and method.scheme == "optimal":
            return True
        return guide is not None and guide.model.engine.name == "machine"
    kernel = getattr(method, "kernel", None)
    if name_of(method) == "rmsmc":  # which has one by default
        return kernel is not None and not moves_prefixes(kernel)
    return kernel is None or not runs_on_xla(kernel)


def goes_by_steps(target: Target) -> bool:
    """Whether a program has a loop that filters can be taken along, step by step."""
    try:
        stepwise(target.sampler.program)
    except DiagnosticError:
        return False
    return True


def checked_limits(limits: Any) -> Limits:
    """The limits of runs on the machine, those by default if there are none."""
    if not (limits is None or isinstance(limits, Limits)):
        raise fail("E811", f"limits = {limits!r}: it must be made by ppl.limits(…)")
    return limits or Limits()


def went_over(posterior: Posterior, problem: Diagnostic) -> Posterior:
    """A posterior with the remark that XLA could not run its program, and why."""
    remark = Diagnostic("W717", f"this ran on the machine: {problem.message}", problem.span)
    return replace(posterior, remarks=(*posterior.remarks, remark))


def left_xla(posterior: Posterior) -> bool:
    """Whether XLA turned out not to run the program that a posterior is of."""
    return any(r.code == "W717" for r in posterior.remarks)


def _on_demand(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Path | None,
    stream: Path | None,
) -> Posterior:
    posterior = _by_machine(method, target, seed, progress, checkpoint, stream)
    if posterior is None:
        raise fail(
            "E716",
            f"`{name_of(method)}` runs on XLA only, and engine='machine' was asked for",
            hint="leave the choice to the compiler: engine='auto'",
        )
    return posterior


def _by_machine(
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    checkpoint: Path | None,
    stream: Path | None,
) -> Posterior | None:
    """The posterior; None if the method needs XLA."""
    try:
        return _on_machine(method, target, seed, progress, checkpoint, stream)
    except DiagnosticError as error:
        if error.diagnostics[0].code == "E712":
            return None
        raise
