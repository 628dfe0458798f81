"""`ppl verify FILE.py|FILE.ppl`: the laws that a file states, or a method on a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ppl.cli.choose import choose, only
from ppl.cli.report import json_option, show, wants_json

if TYPE_CHECKING:
    from ppl.verify.collect import Check
    from ppl.verify.outcome import Checked


@click.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("model", required=False)
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False), help="Of a model: the data's shape."
)
@click.option("--method", help="Of a model: how to infer.  [nuts]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of it.")
@click.option("--simulations", type=click.IntRange(min=1), help="Of a model: data sets.  [200]")
@click.option("--examples", type=click.IntRange(min=1), help="Of laws: programs of each.")
@click.option("--only", "name", metavar="NAME", help="Of laws: this one alone.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page with the plots.")
@click.option("--progress/--no-progress", default=True, help="A bar, on terminals.")
@json_option
def command(
    file: str,
    model: str | None,
    data: str | None,
    method: str | None,
    settings: tuple[str, ...],
    simulations: int | None,
    examples: int | None,
    name: str | None,
    html: str | None,
    progress: bool,
) -> None:
    """Check the laws that a Python FILE states (`@preserves`, or a list `contracts`), or whether a
    method is calibrated on the MODEL in a .ppl FILE. A Python file is run; a model is only read."""
    if html and not Path(html).resolve().parent.is_dir():
        raise click.UsageError(f"there is no folder for {html}")
    if Path(file).suffix == ".py":
        given = {"MODEL": model, "--data": data, "--method": method, "--set": settings}
        _refuse(f"{file} is a Python file", {**given, "--simulations": simulations})
        found = list(_laws(file, examples, name, progress))
    else:
        _refuse(f"{file} is a model", {"--examples": examples, "--only": name})
        found = [_calibrated(file, model, data, method, settings, simulations or 200, progress)]
    if not wants_json():
        kept = sum(c.ok for c in found)
        click.echo(f"{kept} of {len(found)} law{'s are' if len(found) > 1 else ' is'} kept")
    else:
        _as_json(found)
    if html:
        from ppl.verify.page import page

        Path(html).write_text(page(f"ppl verify {Path(file).name}", found), encoding="utf-8")
        click.echo(f"report: {html}", err=True)
    click.get_current_context().exit(0 if all(c.ok for c in found) else 1)


def _refuse(what: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value:
            raise click.UsageError(f"{what}, and {name} is for another kind of file")


def _laws(file: str, examples: int | None, name: str | None, progress: bool) -> Iterator[Checked]:
    from ppl.verify.collect import laws_of

    laws = laws_of(file, examples=examples)
    if name is not None:
        one: Check = choose("law", name, laws)
        laws = {name: one}
    for law, check in laws.items():
        checked = check(_counter(law) if progress else None)
        _say(checked)
        yield checked


def _counter(law: str) -> Any:
    """Numbers of programs on one line of a terminal."""
    if not sys.stderr.isatty():
        return None

    def report(_: str, done: int, total: int) -> None:
        end = "\r\033[K" if done >= total else ""
        click.echo(f"\r{law}: {done} of {total} programs{end}", nl=False, err=True)

    return report


def _calibrated(
    file: str,
    model: str | None,
    data: str | None,
    method: str | None,
    settings: tuple[str, ...],
    simulations: int,
    progress: bool,
) -> Checked:
    import ppl
    from ppl.cli.run import _accepted, _setting
    from ppl.files import Fields, read_data
    from ppl.methods import METHODS
    from ppl.progress import progress_bar
    from ppl.verify.calibration import calibrate
    from ppl.verify.outcome import of_verdict
    from ppl.verify.page import svg_of

    models = {m.name: m for m in ppl.load(file)}
    chosen = choose("model", model, models) if model else only(file, models)
    target = chosen.on(read_data(data) if data else Fields({}, "the data (there is no --data)"))
    if target.warnings and not wants_json():
        show(target.warnings)
    name = method or "nuts"
    make = choose("method", name, METHODS)
    configured = make(**_accepted(name, make, dict(map(_setting, settings))))
    with progress_bar(None if progress else False, title="simulating") as report:

        def count(done: int, total: int) -> None:
            if report is not None:
                report(done, total, {})

        found = calibrate(target, configured, simulations=simulations, progress=count)
    plot = svg_of(found.figure()) if found.ranks else ""
    checked = of_verdict(f"{name} on {chosen.name}", found.verdict, plot)
    _say(checked)
    return checked


def _say(checked: Checked) -> None:
    if not wants_json():
        click.echo(str(checked))


def _as_json(found: list[Checked]) -> None:
    import json
    from dataclasses import asdict

    rows = [{k: v for k, v in asdict(c).items() if k != "plot"} for c in found]
    click.echo(json.dumps({"laws": rows}, indent=2))
