"""Diagnostics for people, in colour on a terminal, and for programs, as JSON (`--json`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from ppl.semantics.diagnostics import Diagnostic, Span

_JSON = "ppl.json"


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`: diagnostics go to standard output as one JSON object."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_JSON] = value

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Print diagnostics as JSON on standard output.",
    )(command)


def wants_json() -> bool:
    return bool(click.get_current_context().meta.get(_JSON))


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics: on standard error for people, on standard output as JSON."""
    if wants_json():
        click.echo(json.dumps({"diagnostics": [as_json(d) for d in diagnostics]}, indent=2))
        return
    for diagnostic in diagnostics:
        click.echo(paint(diagnostic) + "\n", err=True)


def as_json(d: Diagnostic) -> dict[str, Any]:
    """A diagnostic as data. Lines and columns count from 1; ends are exclusive."""
    return {
        "code": d.code,
        "severity": d.severity,
        "message": d.message,
        "span": _span(d.span),
        "notes": [{"message": n.message, "span": _span(n.span)} for n in d.notes],
        "hint": d.hint,
    }


def _span(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def paint(d: Diagnostic) -> str:
    """`Diagnostic.render` with colours, which click leaves out where there is no terminal."""
    colour = "red" if d.severity == "error" else "yellow"
    head, *rest = d.render().split("\n")
    label, _, message = head.partition(": ")
    lines = [click.style(label, fg=colour, bold=True) + ": " + click.style(message, bold=True)]
    for line in rest:
        text = line.strip()
        if text and set(text) == {"^"}:
            lines.append(click.style(line, fg=colour))
        elif text.startswith(("because:", "hint:")):
            word, _, what = line.partition(":")
            lines.append(
                click.style(word, fg="cyan" if "because" in word else "green") + ":" + what
            )
        elif text.startswith("-->"):
            lines.append(click.style(line, dim=True))
        else:
            lines.append(line)
    return "\n".join(lines)
