"""`ppl check FILE…`: the types of the models, or what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ppl.cli.report import json_option, show, wants_json
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    from ppl.semantics import ir


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--engine", is_flag=True, help="Say what runs each model, and why.")
@json_option
def command(files: tuple[str, ...], engine: bool) -> None:
    """Check the types of model FILES; nothing is run."""
    from ppl.lang.compile import compile_source
    from ppl.sources import Folder, read_source

    found: list[Diagnostic] = []
    signatures: list[str] = []
    for file in files:
        try:
            compiled = compile_source(read_source(file), Folder.of(file))
        except DiagnosticError as error:
            found += error.diagnostics
            continue
        found += compiled.diagnostics
        for name in compiled.models:
            data = ", ".join(f"{p.name}: {p.type}" for p in compiled.parameters(name))
            signatures.append(f"{file}: model {name}({data})")
            if engine:
                signatures += _engine(compiled.program(name))
    show(found)
    if not wants_json():
        for signature in signatures:
            click.echo(signature)
    click.get_current_context().exit(any(d.severity == "error" for d in found))


def _engine(program: ir.Program) -> list[str]:
    """The evaluator of a program, with its reasons in the user's own lines."""
    from ppl.semantics.engine import choose

    chosen = choose(program)
    lines = [f"  runs on {'XLA' if chosen.name == 'xla' else 'the machine'}"]
    for note in chosen.reasons:
        place = "" if note.span is None else f"{note.span!r}: "
        lines.append(f"  because: {place}{note.message}")
        if note.span is not None:
            row, _ = note.span.source.position(note.span.start)
            lines.append(f"      {note.span.source.line(row).strip()}")
    return lines
