"""`python -m tests.verify.suite [--only NAME] [--programs N] [--jobs J]`: see `make verify`.

Prints a line a subject: the contract, the level that decided, on how many distinct programs of how
many texts (programs of one text differ in their probabilities, which are data), how many paths were
run, and the verdict. The exit status is 1 unless all pass.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from traceback import format_exception

from ppl.verify.search import Searched, joined
from tests.verify.suite.entries import Entry
from tests.verify.suite.table import MACHINE, TABLE

#: programs of one task. Tasks have some in common; then there is one more
TASK, TASKS = 200, 6

#: those of the machine that take longest
SLOW = ("pmmh", "pgibbs", "rmsmc", "smc", "guided smc", "backward", "smc2")

LINE = "{:22} {:17} {:6} {:>8} {:>6} {:>10}  {:<12} {:>6}  {}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    parser.add_argument("--only", default="", help="subjects whose names have this in them")
    parser.add_argument("--programs", type=int, default=200, help="at least so many of each")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args(arguments)
    entries = [e for e in TABLE if options.only in e.name]
    if not entries:
        parser.error(f"no subject has `{options.only}` in its name")
    began = time.perf_counter()
    heads = (
        "subject",
        "contract",
        "level",
        "programs",
        "texts",
        "paths",
        "verdict",
        "cpu s",
        "sizes",
    )
    print(LINE.format(*heads))
    bad, spent = [], []
    for entry, found in _run(entries, options.programs, options.jobs):
        spent.append(found.seconds)
        if not _ok(found):
            bad.append(entry.name)
    print(f"{len(entries) - len(bad)} of {len(entries)} keep their laws", end=", ")
    print(f"in {time.perf_counter() - began:.0f} s, {sum(spent):.0f} s of processors")
    return 1 if bad else 0


def _run(entries: list[Entry], programs: int, jobs: int) -> Iterator[tuple[Entry, Searched]]:
    """Every entry as it is done, the expensive ones begun first."""
    tasks = max(1, round(programs / TASK))
    each = -(-programs // tasks)
    parts: dict[str, list[Searched]] = defaultdict(list)
    by_name = {e.name: e for e in entries}
    # a fork of a process that runs JAX may hang
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        order = sorted(entries, key=lambda e: (e not in MACHINE, e.name in SLOW), reverse=True)
        waiting = {pool.submit(task, e.name, each, k) for e in order for k in range(tasks)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for name, found in (future.result() for future in done):
                parts[name].append(found)
                if len(parts[name]) < tasks:
                    continue
                whole, count = joined(parts[name]), len(parts[name])
                if whole.outcome == "PASS" and whole.programs < programs and count < TASKS:
                    more = programs - whole.programs
                    # a search begins with programs that there have been
                    waiting.add(pool.submit(task, name, more + TASK // 4, count))
                    continue
                _show(by_name[name], whole)
                yield by_name[name], whole


def task(name: str, examples: int, epoch: int) -> tuple[str, Searched]:
    """Some of the programs of an entry, in a process of its own."""
    (entry,) = (e for e in TABLE if e.name == name)
    began = time.process_time()
    try:
        found = entry.run(examples, epoch=epoch)
    except Exception as error:  # it decides the entry, and ends no other; few errors can travel
        return name, Searched(why="".join(format_exception(error)))
    found.seconds = time.process_time() - began
    if "jax" in sys.modules:
        import jax

        jax.clear_caches()
    failure = found.failure
    if failure is not None and failure.verdict.counterexample is not None:
        example = replace(failure.verdict.counterexample, again=None)  # it cannot travel
        verdict = replace(failure.verdict, counterexample=example)
        found.failure = replace(failure, verdict=verdict)
    return name, found


def _ok(found: Searched) -> bool:
    return found.outcome == "PASS"


def _show(entry: Entry, found: Searched) -> None:
    sizes = ", ".join(f"{n} of size {k}" for k, n in sorted(found.sizes.items(), reverse=True))
    print(
        LINE.format(
            entry.name, type(entry.contract).__name__, "/".join(found.levels) or "-",
            found.programs, len(found.texts), f"{found.paths:,}", found.outcome,
            f"{found.seconds:.0f}", sizes,
        ),
        flush=True,
    )  # fmt: skip
    if found.failure is not None:
        print(found.failure.verdict, flush=True)
    elif not found.programs:
        print(f"nothing was decided: {found.why}", flush=True)
