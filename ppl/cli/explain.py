"""`ppl explain CODE`: what a diagnostic's code means, with a wrong and a right example."""

from __future__ import annotations

import click

from ppl.semantics.codes import CODES
from ppl.semantics.diagnostics import suggest


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain a diagnostic's CODE; without one, list them all."""
    if code is None:
        for name in sorted(CODES):
            click.echo(f"{name}  {CODES[name].title}")
        return
    name = code.upper().strip("[]")
    if name not in CODES:
        hint = suggest(name, CODES)
        raise click.UsageError(f"there is no code `{code}`" + (f"; {hint}" if hint else ""))
    click.echo(click.style(f"{name}: {CODES[name].title}", bold=True))
    click.echo("\n" + CODES[name].page.strip("\n"))
