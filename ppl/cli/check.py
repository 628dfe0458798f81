"""`ppl check FILE…`: the types of the models, or what is wrong with them."""

from __future__ import annotations

import click

from ppl.cli.report import json_option, show, wants_json
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@json_option
def command(files: tuple[str, ...]) -> None:
    """Check the types of model FILES; nothing is run."""
    from ppl.lang.compile import compile_source
    from ppl.sources import read_source

    found: list[Diagnostic] = []
    signatures: list[str] = []
    for file in files:
        try:
            compiled = compile_source(read_source(file))
        except DiagnosticError as error:
            found += error.diagnostics
            continue
        found += compiled.diagnostics
        for name in compiled.models:
            data = ", ".join(f"{p.name}: {p.type}" for p in compiled.parameters(name))
            signatures.append(f"{file}: model {name}({data})")
    show(found)
    if not wants_json():
        for signature in signatures:
            click.echo(signature)
    click.get_current_context().exit(any(d.severity == "error" for d in found))
