"""`ppl fmt FILE…`: model files in the one layout."""

from __future__ import annotations

from pathlib import Path

import click

from ppl.cli.report import json_option, show
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Change nothing; fail if something would change.")
@json_option
def command(files: tuple[str, ...], check: bool) -> None:
    """Format model FILES in place. A file that does not parse is left alone."""
    from ppl.lang.format import format_source
    from ppl.sources import read_source

    problems: list[Diagnostic] = []
    changed = False
    for file in files:
        try:
            source = read_source(file)
            text = format_source(source)
        except DiagnosticError as error:
            problems += error.diagnostics
            continue
        if text != source.text:
            changed = True
            click.echo(f"{'would format' if check else 'formatted'} {file}", err=True)
            if not check:
                Path(file).write_text(text, encoding="utf-8")
    show(problems)
    click.get_current_context().exit(1 if problems or (check and changed) else 0)
