"""One of several by name, or a usage error that helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import click

from ppl.semantics.diagnostics import suggest

T = TypeVar("T")


def choose(what: str, name: str, known: Mapping[str, T]) -> T:
    if name in known:
        return known[name]
    hint = suggest(name, known) or f"there are: {', '.join(known) or 'none'}"
    raise click.UsageError(f"there is no {what} `{name}`; {hint}")


def only(file: str, models: Mapping[str, T]) -> T:
    """The one model of a file."""
    if len(models) == 1:
        return next(iter(models.values()))
    if not models:
        raise click.UsageError(f"{file} declares no model")
    raise click.UsageError(f"{file} has several models: name one of {', '.join(models)}")
