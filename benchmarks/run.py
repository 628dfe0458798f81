"""`make bench`: one line a figure, and a non-zero exit status when one is short.

    python -m benchmarks.run [--only NAME]     NAME is a figure, or the part before its slash

- gradient: a log density and its gradient, against hand-written JAX
- nuts: wall time of NUTS for each gradient it evaluates, against NumPyro
- startup: a fresh process from `ppl run` to the summary, against a NumPyro script
- importance: cost and memory of one importance sample as their number grows
- filter: a bootstrap filter of 1,000 steps, against hand-written JAX
- bootstrap: the same, against the package `particles`
- scaling: the cost of a filter for a particle and a step, as both grow
- pgibbs: a sweep of particle Gibbs on the S&P 500, against hand-written JAX
- tempered: time to a standard error of the evidence by tempered SMC, against BlackJAX
- machine: block steps a second; recursive models, SMC and MCMC against WebPPL
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import (
    bootstrap,
    filter,
    gradient,
    importance,
    machine,
    nuts,
    pgibbs,
    scaling,
    startup,
    tempered,
)
from benchmarks.figures import Measure

SUITES: dict[str, tuple[tuple[str, ...], Measure]] = {
    suite.__name__.rpartition(".")[2]: (suite.NAMES, suite.measure)
    for suite in (
        gradient,
        nuts,
        startup,
        importance,
        filter,
        bootstrap,
        scaling,
        pgibbs,
        tempered,
        machine,
    )
}


def main(argv: list[str] | None = None) -> int:
    known = [n for names, _ in SUITES.values() for n in names]
    parser = argparse.ArgumentParser(prog="benchmarks.run")
    parser.add_argument("--only", help=f"one of {', '.join([*SUITES, *known])}")
    only = parser.parse_args(argv).only
    if only is not None and only not in (*SUITES, *known):
        parser.error(f"no figure {only!r}: choose one of {', '.join([*SUITES, *known])}")

    short = 0
    for suite, (names, measure) in SUITES.items():
        chosen = [n for n in names if only in (None, suite, n)]
        for figure in measure(chosen) if chosen else ():
            print(figure.line(), flush=True)
            short += not figure.ok
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
