"""Programs for what needs a state-space model: a loop over data, whose state is made of what its
steps draw. Their probabilities are data, as with `programs(lifted=True)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ppl.verify.choices import NUMBERS, numbers
from ppl.verify.programs import Program

#: of the chain's three states, which two may follow each
FOLLOW = ((0, 1), (1, 2), (0, 2))
#: primes, the parts of probabilities
PARTS = (2, 3, 5, 7, 11, 13)


@dataclass
class _Text:
    draw: Any
    steps: int
    groups: list[tuple[int, ...]] = field(default_factory=list)

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def share(self) -> str:
        """A probability, which is data."""
        a, b = self.draw(st.permutations(PARTS))[:2]
        self.groups.append((a, b))
        return f"{NUMBERS}[{len(self.groups) - 1}]"

    def row(self, follow: tuple[int, int]) -> str:
        """The law of the next state."""
        p = self.share()
        return f"[{', '.join({follow[0]: p, follow[1]: f'1 - {p}'}.get(k, '0') for k in range(3))}]"

    def rows(self) -> str:
        return f"[{', '.join(map(self.row, self.draw(st.permutations(FOLLOW))))}]"

    def shares(self) -> str:
        return f"[{', '.join(self.share() for _ in range(3))}]"

    def program(self, lines: list[str]) -> Program:
        data = {"ys": [self.flip() for _ in range(self.steps)]}
        block = "".join(f"  {line}\n" for line in lines)
        source = f"model main(ys: [bool], {NUMBERS}: [prob]) {{\n{block}}}\n"
        parts = tuple(self.groups)
        return Program(source, "main", {**data, NUMBERS: numbers(parts)}, 2**self.steps, parts)


@st.composite
def state_spaces(draw: Any) -> Program:
    """A scan, which ends the program. Its state is a function of what its last step drew, and there
    may be draws before it, and under branches in it."""
    t = _Text(draw, draw(st.sampled_from((2, 3))))
    lines, start, over = [], "0", "ys"
    if t.flip():
        start = "first"
        lines.append(f"first ~ categorical({t.row((0, 2))})")
        if t.flip():
            lines.append(f"observe ys[0] ~ bernoulli({t.shares()}[first])")
            over = "ys[1:len(ys)]"
    turned = t.flip()
    lines += [f"xs ~ scan x = {start} for y in {over} {{", f"  z ~ categorical({t.rows()}[x])"]
    if t.flip():
        lines.append(f"  if x == 1 {{ e ~ bernoulli({t.share()}); factor log(if e {{ 0.6 }} "
                     f"else {{ {t.share()} }}) }}")  # fmt: skip
    lines.append(f"  observe y ~ bernoulli({t.shares()}[z])")
    if t.flip():
        lines.append(f"  factor log({t.shares()}[z])")
    lines += [f"  return {'(z + 1) % 3' if turned else 'z'}", "}", "return xs"]
    return t.program(lines)


@st.composite
def filters(draw: Any, parameter: bool = False) -> Program:
    """A fold, whose state has all that its steps drew; more may be drawn before and after it. What
    is drawn before is a `parameter`, `c`, if there has to be one."""
    t = _Text(draw, draw(st.sampled_from((2, 3))))
    lines, rows, after = [], t.rows(), "0"
    if before := parameter or t.flip():
        lines.append(f"c ~ bernoulli({t.share()})")
        if t.flip():
            rows = f"(if c {{ {rows} }} else {{ {t.rows()} }})"
    names = [f"s.{i}" for i in range(t.steps)]
    start = ", ".join("0" for _ in names)
    lines += [
        f"s ~ fold s = ({start}) for y in ys {{",
        f"  x ~ categorical({rows}[s.0])",
        f"  observe y ~ bernoulli({t.shares()}[x])",
        f"  return ({', '.join(['x', *names[:-1]])})",
        "}",
    ]
    if before and t.flip():
        lines.append(f"observe c ~ bernoulli({t.shares()}[s.0])")
    if t.flip():
        lines.append(f"z ~ bernoulli({t.shares()}[s.1])")
        lines.append(f"factor log(if z {{ {t.share()} }} else {{ 1 }})")
        after = "indicator(z)"
    lines.append(f"return (s, {'indicator(c)' if before else '0'}, {after})")
    return t.program(lines)
