"""`python -m tests.verify.mutants [--only NAME]`: see `make mutants`.

A line for every mutant: what kind of bug it is, the level that caught it, the seconds until then,
and the lines of the smallest program that shows it, with the seconds that shrinking took. The exit
status is 1 if one is not caught, or an equivalent one is.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ppl.verify import check, search
from tests.verify.mutants.mutant import Equivalent, Mutant
from tests.verify.mutants.table import EQUIVALENT, MUTANTS

#: programs among which a bug is looked for, and seconds for shrinking the one that shows it
EXAMPLES, SHRINK = 100, 20.0

LINE = "{:30} {:48} {:10} {:>7} {:>6}  {}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants or kinds with this in their names")
    only = parser.parse_args(arguments).only
    chosen = [m for m in MUTANTS if only in m.name or only in m.kind]
    print(LINE.format("kind", "mutant", "caught at", "seconds", "lines", "smallest"))
    caught = sum(map(_caught, chosen))
    print(f"{caught} of {len(chosen)} are caught\n")
    same = [e for e in EQUIVALENT if only in e.name]
    passed = sum(map(_passed, same))
    print(f"{passed} of {len(same)} that change nothing pass")
    return 0 if (caught, passed) == (len(chosen), len(same)) else 1


def _caught(mutant: Mutant) -> bool:
    began = time.perf_counter()
    if mutant.programs is None:
        verdict = mutant.check()
        after, smallest = time.perf_counter() - began, "its example"
    else:
        found = search(
            mutant.name, lambda program, **sizes: mutant.make(**sizes), mutant.contract,
            examples=EXAMPLES, shrink=SHRINK, sizes=mutant.sizes, level=mutant.level,
            **mutant.programs,
        )  # fmt: skip
        if found.failure is None:
            _show(mutant, "-", found.seconds, 0, f"NOT CAUGHT on {found.programs} programs")
            return False
        failure = found.failure
        verdict, after = failure.verdict, failure.after
        sizes = "".join(f", {k} = {v}" for k, v in failure.sizes.items())
        smallest = f"of {failure.first} lines, in {failure.shrinking:.1f} s{sizes}"
    ok = verdict.outcome == "FAIL"
    example = verdict.counterexample
    lines = len(example.program.strip().split("\n")) if example and example.program else 0
    _show(
        mutant, verdict.report.level if ok else "-", after, lines, smallest if ok else "NOT CAUGHT"
    )
    return ok


def _show(mutant: Mutant, level: str, seconds: float, lines: int, smallest: str) -> None:
    row: tuple[Any, ...] = (mutant.kind, mutant.name, level, f"{seconds:.2f}", lines or "-")
    print(LINE.format(*row, smallest), flush=True)


def _passed(same: Equivalent) -> bool:
    verdict = check(same.make(), same.example, same.contract)
    print(f"{verdict.outcome}: {same.name}, where {same.why}", flush=True)
    if not verdict.ok:
        print(verdict, file=sys.stderr)
    return verdict.ok
