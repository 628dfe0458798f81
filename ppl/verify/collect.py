"""The laws that a Python file states, for `ppl verify FILE.py`.

Functions under `@preserves(…)`, and a list `contracts` of (name, subject, contract, program), or
(name, function of a program, contract) for generated programs.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from ppl.semantics.diagnostics import fail, suggest
from ppl.verify.outcome import Checked, Progress, on_program, on_programs
from ppl.verify.properties import Law
from ppl.verify.search import LIMIT

#: programs that a law of the list `contracts` is checked on
EXAMPLES = 30

Check = Callable[[Progress | None], Checked]


def laws_of(path: str | Path, *, examples: int | None = None) -> Mapping[str, Check]:
    """What to check, by name. The file is run: it is the user's own.

    Raises:
        DiagnosticError: E737, it cannot be run, or states no law.
    """
    module = _run(Path(path))
    found: dict[str, Check] = {}
    for name, value in vars(module).items():
        if isinstance(law := getattr(value, "law", None), Law):
            found[name] = partial(_searched, law, examples)
    found.update(_listed(module, examples))
    if not found:
        hint = suggest("contracts", vars(module))
        raise fail(
            "E737",
            f"{path} states no law",
            hint=hint or "put `@preserves(…)` on functions, or make a list `contracts`",
        )
    return found


def _searched(law: Law, examples: int | None, progress: Progress | None) -> Checked:
    more = {} if examples is None else {"examples": examples}
    settings = {**law.settings, **more}
    return on_programs(Law(law.name, law.make, law.contract, settings), progress)


def _listed(module: ModuleType, examples: int | None) -> Iterator[tuple[str, Check]]:
    listed = getattr(module, "contracts", ())
    if not isinstance(listed, (list, tuple)):
        raise _not_a_list(module, f"it is of type {type(listed).__name__}")
    for entry in listed:
        match entry:
            case (str(name), subject, contract, program) if hasattr(contract, "says"):
                yield name, partial(_one, name, subject, contract, program)
            case (str(name), make, contract) if hasattr(contract, "says") and callable(make):
                settings = {"examples": EXAMPLES, "limit": LIMIT, "paths": 12, "size": 1}
                yield name, partial(_searched, Law(name, make, contract, settings), examples)
            case _:
                raise _not_a_list(module, f"it has {entry!r}")


def _one(
    name: str, subject: Any, contract: Any, program: Any, progress: Progress | None
) -> Checked:
    return on_program(name, subject, contract, program)


def _not_a_list(module: ModuleType, what: str) -> Exception:
    return fail(
        "E737",
        f"`contracts` of {module.__name__} is no list of laws: {what}",
        hint='a law is ("its name", subject, contract, program)',
    )


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise fail("E737", f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(path.parent))  # as `python FILE` does
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise fail("E737", f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path[:] = before
    return module
