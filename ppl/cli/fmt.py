"""`ppl fmt FILE…`: model files in the one layout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click

from ppl.cli.report import json_option, show
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Source


@click.command("fmt")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--check", is_flag=True, help="Change nothing; fail if something would change.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
@json_option
def command(files: tuple[str, ...], check: bool, diff: bool) -> None:
    """Format model FILES in place; `-` is standard input, formatted to standard output. A file that
    does not parse is left alone."""
    from ppl.lang.format import format_source
    from ppl.sources import LIMIT, read_source, source_of

    problems: list[Diagnostic] = []
    changed = False
    for file in files:
        piped = file == "-"
        try:
            data = sys.stdin.buffer.read(LIMIT + 1) if piped else b""
            source = source_of("<stdin>", data) if piped else read_source(file)
            text = format_source(source)
        except DiagnosticError as error:
            problems += error.diagnostics
            continue
        differs = text != source.text
        changed |= differs
        if diff:
            click.echo("".join(_changes(source, text)), nl=False)
        elif piped and not check:
            click.echo(text, nl=False)
        elif differs:
            click.echo(f"{'would format' if check else 'formatted'} {source.name}", err=True)
            if not check:
                Path(file).write_text(text, encoding="utf-8")
    show(problems)
    click.get_current_context().exit(1 if problems or (check and changed) else 0)


def _changes(source: Source, text: str) -> Iterator[str]:
    """A unified diff, a line that ends without a newline marked as other tools do."""
    before, after = (t.splitlines(keepends=True) for t in (source.text, text))
    for line in unified_diff(before, after, source.name, f"{source.name} (formatted)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
