"""The command line: `ppl run`, `check`, `verify`, `ir`, `fmt`, `explain`, `repl`.

Exit codes: 0 fine, 1 diagnostics, 2 usage. Each command is a module of its own and is imported when
it is called, so that those that only read programs never import NumPy or JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ppl.cli.report import show
from ppl.semantics.diagnostics import DiagnosticError

COMMANDS = ("run", "check", "verify", "fmt", "ir", "explain", "repl")


class Commands(click.Group):
    """Commands by name, and the one place where a problem becomes text and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"ppl.cli.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from ppl.semantics.diagnostics import suggest

            hint = suggest(args[0], COMMANDS)
            raise click.UsageError(
                error.message + (f" {hint.capitalize()}" if hint else ""), ctx
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DiagnosticError as error:
            show(error.diagnostics)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quasiborel", prog_name="ppl")
def main() -> None:
    """Probabilistic programs: check them, run them on data, look at what they compile to."""
