"""What an entry of the table is, and programs on which bugs show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppl.verify import check
from ppl.verify.checking import Level
from ppl.verify.contracts import Contract
from ppl.verify.programs import Program
from ppl.verify.verdict import Verdict


@dataclass(frozen=True)
class Mutant:
    """kind: the row of the list of known bugs. make(**sizes) -> what is planted. example: a program
    on which it shows (None: it is about no program). programs: arguments of `programs`, if it shows
    on generated ones. sizes: settings that are drawn with a program, the simplest first."""

    kind: str
    name: str
    make: Callable[..., Any]
    contract: Contract
    example: str | Program | None
    programs: Mapping[str, Any] | None = None
    sizes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    level: Level = "exact"

    def check(self) -> Verdict:
        """On the example, at the last of the sizes."""
        sizes = {k: v[-1] for k, v in self.sizes.items()}
        return check(self.make(**sizes), self.example, self.contract, level=self.level)


@dataclass(frozen=True)
class Equivalent:
    """A mutant where it changes nothing, and why."""

    name: str
    why: str
    make: Callable[..., Any]
    contract: Contract
    example: str | None


#: three scores; choices depend on those before; 6 traces
STEPS = """
model steps() {
  a ~ categorical([0.2, 0.5, 0.3])
  observe true ~ bernoulli([0.9, 0.25, 0.6][a])
  b ~ bernoulli([0.7, 0.15, 0.4][a])
  factor log(if b { 2 } else { 0.3 + 0.2 * a })
  factor log([0.8, 0.35, 0.1][a] + (if b { 0.1 } else { 0.4 }))
  return (a, b)
}
"""

#: the same with fewer traces, 4
SHORT = """
model short() {
  a ~ bernoulli(0.35)
  observe true ~ bernoulli(if a { 0.9 } else { 0.25 })
  b ~ bernoulli(if a { 0.15 } else { 0.6 })
  factor log(if b { 2 } else { 0.3 + 0.2 * indicator(a) })
  factor log(if a { 0.8 } else { if b { 0.1 } else { 0.4 } })
  return (a, b)
}
"""

#: one score
ONCE = """
model once() {
  a ~ categorical([0.2, 0.5, 0.3])
  factor log([0.9, 0.25, 0.6][a])
  b ~ bernoulli([0.7, 0.15, 0.4][a])
  return (a, b)
}
"""

#: traces of one, two or three sites; some values of a site that is kept become impossible
LENGTHS = """
model lengths() {
  n ~ categorical([0.5, 0.3, 0.2])
  a ~ if n == 0 { return 0 } else { a ~ categorical([[0.2, 0.3, 0.5], [0.6, 0.4, 0]][n - 1]); return a }
  b ~ if n == 2 { b ~ bernoulli([0.9, 0.25, 0.4][a]); return b } else { return false }
  observe true ~ bernoulli(if b { 0.8 } else { [0.3, 0.55, 0.9][a] })
  condition not (n == 1 and a == 1)
  return (n, a, b)
}
"""

#: some particles end while others have a score to come
UNEVEN = """
model uneven() {
  a ~ bernoulli(0.35)
  factor log(if a { 0.9 } else { 0.4 })
  r ~ rest(a)
  return (a, r)
}
fn rest(a: bool) -> measure[nat] {
  if a { return 0 } else {
    b ~ bernoulli(0.6)
    factor log(if b { 2 } else { 0.3 })
    checkpoint
    c ~ bernoulli(if b { 0.2 } else { 0.9 })
    return 1 + indicator(b) + 2 * indicator(c)
  }
}
"""

#: the same number of sites in every trace
CHAIN = """
model chain() {
  a ~ bernoulli(0.35)
  observe true ~ bernoulli(if a { 0.9 } else { 0.2 })
  b ~ bernoulli(if a { 0.3 } else { 0.85 })
  factor log([0.4, 1.7, 0.9, 0.6][2 * indicator(a) + indicator(b)])
  return (a, b)
}
"""

#: two walkers of the same kind
WALKERS = """
model walkers() {
  a ~ categorical([0.2, 0.5, 0.3])
  b ~ categorical([0.2, 0.5, 0.3])
  factor log([0.9, 0.25, 0.6][a])
  factor log([0.9, 0.25, 0.6][b])
  return (a, b)
}
"""

#: generated programs: for filters, and for kernels
STAGES = {"paths": 6, "size": 1, "stages": 2}
TRACES = {"paths": 12, "size": 1, "stages": 1}
