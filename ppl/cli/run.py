"""`ppl run FILE [MODEL] --data D.json`: fit a model to data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ppl.cli.choose import choose, only
from ppl.cli.report import json_option, show, wants_json
from ppl.semantics.diagnostics import suggest

if TYPE_CHECKING:
    from ppl.posterior import Posterior

#: what a shell reports for a process that was interrupted
INTERRUPTED = 130


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("model", required=False)
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False), help="JSON, CSV, NPZ or NetCDF."
)
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Condition on a site: the value as JSON; a name as results show it, such as theta[3].",
)
@click.option("--do", multiple=True, metavar="NAME=VALUE", help="Set a name: an intervention.")
@click.option(
    "--rao-blackwellize",
    metavar="NAMES",
    help="Integrate out sites that are conjugate given the rest: names between commas, or `all`.",
)
@click.option("--marginalize", metavar="NAMES", help="Sum out finite choices, in the same way.")
@click.option("--method", default="nuts", show_default=True, help="How to infer.")
@click.option("--chains", type=click.IntRange(min=1), help="Markov chains.")
@click.option("--draws", type=click.IntRange(min=1), help="Draws to keep (a chain).")
@click.option("--warmup", type=click.IntRange(min=0), help="Draws to tune on (a chain).")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option(
    "--engine",
    type=click.Choice(["auto", "xla", "machine"]),
    default="auto",
    show_default=True,
    help="What runs the program.",
)
@click.option("--fuel", type=click.IntRange(min=1), help="Steps of an execution on the machine.")
@click.option("--seconds", type=float, help="Time for all of them.")
@click.option("--memory", type=float, help="Megabytes that they may hold.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another setting.")
@click.option(
    "--checkpoint",
    type=click.Path(file_okay=False),
    help="A folder to go on from if the run is killed.",
)
@click.option(
    "--stream",
    type=click.Path(dir_okay=False),
    help="A file (NetCDF) that draws of chains go to, not into memory.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="Save the posterior (NetCDF).")
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a trace plot.")
@click.option("--progress/--no-progress", default=True, help="A bar, on terminals.")
@json_option
def command(
    file: str,
    model: str | None,
    data: str | None,
    given: tuple[str, ...],
    do: tuple[str, ...],
    rao_blackwellize: str | None,
    marginalize: str | None,
    method: str,
    seed: int,
    engine: str,
    fuel: int | None,
    seconds: float | None,
    memory: float | None,
    settings: tuple[str, ...],
    checkpoint: str | None,
    stream: str | None,
    out: str | None,
    plot: str | None,
    progress: bool,
    **common: int | None,
) -> None:
    """Fit the MODEL in FILE (its only one by default) and print the posterior table."""
    import ppl
    from ppl.files import Fields, read_data
    from ppl.methods import METHODS, method_named
    from ppl.posterior import Interrupted

    for path in (stream, out, plot):
        if path and not Path(path).resolve().parent.is_dir():
            raise click.UsageError(f"there is no folder for {path}")
    models = {m.name: m for m in ppl.load(file)}
    chosen = choose("model", model, models) if model else only(file, models)
    fields = read_data(data) if data else Fields({}, "the data (there is no --data)")
    seen, done = _values("--given", given), _values("--do", do)
    target = chosen.on(fields)
    if target.warnings and not wants_json():
        show(target.warnings)
    make = choose("method", method, METHODS)
    chosen_settings = {k: v for k, v in common.items() if v is not None}
    accepted = _accepted(method, make, chosen_settings | dict(map(_setting, settings)))
    configured = method_named(method, **accepted)
    limited = {"fuel": fuel, "seconds": seconds, "memory": memory}
    limited = {k: v for k, v in limited.items() if v is not None}
    limits = ppl.limits(**limited) if limited else None
    target = target.given(seen) if seen else target
    target = target.do(done) if done else target
    if rao_blackwellize is not None:
        target = target.rao_blackwellize(*_names(rao_blackwellize))
    if marginalize is not None:
        target = target.marginalize(*_names(marginalize))
    from ppl.infer import infer  # after all that can go wrong without it

    code = 0
    try:
        posterior = infer(
            target,
            configured,
            seed=seed,
            progress=progress,
            engine=engine,
            limits=limits,
            checkpoint=checkpoint,
            stream=stream,
        )
    except KeyboardInterrupt as stop:
        posterior = stop.posterior if isinstance(stop, Interrupted) else None
        code = INTERRUPTED
    if posterior is None:
        click.echo("interrupted: there are no draws yet", err=True)
        click.get_current_context().exit(code)
    if code:
        click.echo("interrupted: what follows are the draws made so far", err=True)
    _report(posterior, target.warnings, out, plot)
    click.get_current_context().exit(code)


def _report(
    posterior: Posterior, warnings: Sequence[Any], out: str | None, plot: str | None
) -> None:
    if wants_json():
        show([*warnings, *posterior.warnings])
    else:
        shown = tuple(r for r in posterior.remarks if r not in warnings)
        # the warnings about data were shown before the run
        click.echo(str(replace(posterior, remarks=shown).summary()))
    if out:
        posterior.save(out)
        click.echo(f"posterior: {out}", err=True)
    if plot:
        posterior.plot(plot)
        click.echo(f"plot: {plot}", err=True)


def _names(text: str) -> list[str]:
    """Names between commas; none for `all`."""
    return [] if text == "all" else text.split(",")


def _values(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """`theta[3]=2.5`: values by name."""
    values: dict[str, Any] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise click.UsageError(f"{option} takes NAME=VALUE, not `{text}`")
        if name in values:
            raise click.UsageError(f"{option} has two values for `{name}`")
        try:
            values[name] = json.loads(value)
        except ValueError:
            raise click.UsageError(
                f"{option}: the value for `{name}` is JSON (2.5, true, [1, 2]), not `{value}`"
            ) from None
    return values


def _setting(text: str) -> tuple[str, Any]:
    """`target_accept=0.95`: the value as JSON, or as a text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set takes key=value, not `{text}`")
    try:
        return key.replace("-", "_"), json.loads(value)
    except ValueError:
        return key.replace("-", "_"), {"True": True, "False": False, "None": None}.get(value, value)


def _accepted(method: str, make: Callable[..., Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings, all of which the method must have."""
    known = inspect.signature(make).parameters
    for name in given:
        if name not in known:
            hint = suggest(name, known) or f"its settings are: {', '.join(known)}"
            raise click.UsageError(f"the method `{method}` has no setting `{name}`; {hint}")
    return given
