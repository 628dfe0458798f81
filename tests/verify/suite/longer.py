"""Filters that go on with more data, over loops whose every step runs a generated program."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ppl.inference.smc import Smc, finish, spawn
from ppl.run_particles import loop_over_data
from ppl.semantics.machine.rows import stands_at_end, with_rows
from ppl.verify import Largest, ProperlyWeighted, Sampler, check
from ppl.verify.contracts import Contract
from ppl.verify.programs import Program
from ppl.verify.runnable import Runnable
from ppl.verify.subjects import Numeric
from ppl.verify.verdict import Verdict

ROWS, FIRST = [0.7, 1.3], 1
#: paths of a check
LIMIT = 1_000


def looped(program: Program) -> Program:
    """A loop over rows: the program, and a score that depends on the state."""
    part, n = re.subn(r"^model main\((.*)\) \{$", r"fn part(\1) {", program.source, flags=re.M)
    assert n == 1, program.source
    params = re.search(r"^model main\((.*)\) \{$", program.source, re.M)
    assert params is not None
    given = f"{params[1]}, " if params[1] else ""
    loop = f"""
model main({given}rows: [pos]) {{
  n ~ fold n = 0.0 for r in rows {{
    y ~ part({", ".join(program.data)})
    factor log(r + n)
    return n + r
  }}
  return n
}}
"""
    return replace(program, source=part + loop, data={**program.data, "rows": ROWS})


@dataclass(frozen=True, eq=False)
class OnLoops(Numeric):
    """The check on the loop instead of on what it runs."""

    threshold: float
    takes = (ProperlyWeighted,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        make = Largest(lambda n: extended(n, self.threshold), sizes=(1, 2))
        return check(make, looped(program), contract, limit=LIMIT)


def extended(n: int, threshold: float) -> Sampler:
    """n particles of the first rows, which go on with the others."""
    settings = Smc(particles=n, threshold=threshold)

    def run(model: Runnable, omega: Any) -> Any:
        machine, names = model.machine, [p.name for p in model.machine.program.entry.params]
        begins = model.target.model.on({**model.target.values, "rows": ROWS[:FIRST]})
        data = [machine.bind(target.plain) for target in (begins, model.target)]
        before, after = (dict(zip(names, d.values, strict=True)) for d in data)
        loop = loop_over_data(machine.program)
        assert loop is not None
        at = spawn(machine.start(data[0]), n)
        _, stood = finish(at, settings, omega, stands=lambda run: stands_at_end(run, loop))
        assert stood is not None
        rows = {"rows": before["rows"]}
        longer = replace(stood, runs=with_rows(stood.runs, loop, rows, after))
        return finish(longer, settings, omega)[0]

    return Sampler(run)
