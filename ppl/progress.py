"""A progress bar for long runs, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: called with steps done, steps in all, and how it goes ({"phase": …, "divergences": …})
Progress = Callable[[int, int, dict[str, Any]], None]


@contextmanager
def progress_bar(enabled: bool | None = None, *, title: str = "") -> Iterator[Progress | None]:
    """A callable that draws a bar on standard error; None where there is nobody to see it.

    `enabled` None means: if standard error is a terminal. Chains that run as one vectorised
    program report the steps of all of them at once, so the bar is one bar.
    """
    if not (sys.stderr.isatty() if enabled is None else enabled) or _one_of_several():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}"),
    )
    console = Console(stderr=True, force_terminal=enabled or None)
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title or "compiling", total=None, info="")

        def report(done: int, total: int, info: dict[str, Any]) -> None:
            described = str(info.get("phase", title))
            bar.update(task, completed=done, total=total, description=described, info=_rest(info))

        yield report


def _one_of_several() -> bool:
    """Whether this is one of several processes, none of which sees how all are."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.process_count() > 1


def _rest(info: dict[str, Any]) -> str:
    """`divergences 3`: what is worth saying besides the phase."""
    return "  ".join(f"{k} {v}" for k, v in info.items() if k != "phase" and v not in (0, None, ""))
