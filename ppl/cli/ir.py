"""`ppl ir FILE [MODEL] --after PASS`: the intermediate program of a model."""

from __future__ import annotations

import click

from ppl.cli.choose import choose, only
from ppl.cli.report import json_option


@click.command("ir")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("model", required=False)
@click.option("--after", metavar="PASS", help="Run the passes up to and with this one.")
@json_option
def command(file: str, model: str | None, after: str | None) -> None:
    """Print the intermediate program of MODEL in FILE (of its only model by default)."""
    from ppl.lang.compile import compile_source
    from ppl.semantics.ir_print import show
    from ppl.sources import Folder, read_source

    compiled = compile_source(read_source(file), Folder.of(file))
    models = {name: name for name in compiled.models}
    program = compiled.program(choose("model", model, models) if model else only(file, models))
    if after is not None:
        from ppl.semantics.passes import PASSES, run_passes

        choose("pass", after, PASSES)
        program = run_passes(program, until=after)
    click.echo(show(program).rstrip("\n"))
