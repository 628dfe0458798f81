"""Programs with conjugate continuous parts, *islands*, under discrete control flow.

    @given(islands())
    def test_a_law(program):
        for values, (mass, posteriors) in program.law().items(): ...

Finite choices decide which islands a program comes to, with which hyperparameters, and what is
observed of each. Given the choices, the evidence and the posterior of an island are known in closed
form, so that the law of the whole program is: in rational arithmetic, but for normals. Evidence is
a product of predictive probabilities, of one observation after the other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import strategies as st

from ppl.verify.choices import NUMBERS, numbers
from ppl.verify.programs import Program
from ppl.verify.text import indent

#: priors, and what may be observed of each
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "beta": ("bernoulli", "binomial"),
    "gamma": ("poisson", "exponential"),
    "dirichlet": ("categorical",),
    "normal": ("normal",),
}
#: those of which all is rational, and likelihoods are polynomials of the site
POLYNOMIAL = ("beta", "dirichlet")

Args = tuple[Any, ...]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A number, or numbers of which a choice takes one. `by` is the name of the choice."""

    by: str | None
    entries: tuple[Any, ...]

    def at(self, values: Values) -> Any:
        return self.entries[int(values[self.by]) if self.by else 0]

    def text(self, index: Mapping[str, str]) -> str:
        shown = [_literal(x) for x in self.entries]
        return f"[{', '.join(shown)}][{index[self.by]}]" if self.by else shown[0]


@dataclass(frozen=True)
class When:
    """Whether a choice has a value."""

    by: str
    value: Any

    def holds(self, values: Values) -> bool:
        return values[self.by] == self.value

    @property
    def text(self) -> str:
        if isinstance(self.value, bool):
            return self.by if self.value else f"not {self.by}"
        return f"{self.by} == {self.value}"


@dataclass(frozen=True)
class Choice:
    """A finite choice. groups: of the program's numbers, one for each value of the choice before
    (the first depends on none), with two parts for a bernoulli, of which the first is of true."""

    name: str
    options: tuple[Any, ...]
    by: str | None
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """An observation: more than the site that its distribution takes, when it is made."""

    likelihood: str
    value: Any
    more: Table
    when: When | None


@dataclass(frozen=True)
class Island:
    """A site, its prior's hyperparameters, what is observed of it, and when it is there at all."""

    name: str
    prior: str
    args: tuple[Table, ...]
    seen: tuple[Seen, ...]
    when: When | None

    def given(self, values: Values) -> tuple[Any, Args | None]:
        """Its evidence and its posterior's hyperparameters, given the choices; None if it is not
        there."""
        if self.when is not None and not self.when.holds(values):
            return 1, None
        mass, args = Fraction(1), tuple(t.at(values) for t in self.args)
        for seen in self.seen:
            if seen.when is None or seen.when.holds(values):
                more, args = predicted(self.prior, args, seen.value, seen.more.at(values), seen)
                mass = mass * more
        return mass, args


@dataclass(frozen=True)
class Islands(Program):
    """A program, and what it is made of."""

    choices: tuple[Choice, ...] = ()
    islands: tuple[Island, ...] = ()

    def law(self) -> dict[tuple[Any, ...], tuple[Any, dict[str, tuple[str, Args]]]]:
        """Of the values of all choices, which are the result, the mass, and the posterior of each
        island that they come to: a family and its hyperparameters."""
        out = {}
        for row in product(*(c.options for c in self.choices)):
            values = dict(zip((c.name for c in self.choices), row, strict=True))
            mass: Any = Fraction(1)
            for c in self.choices:
                parts = self.parts[c.groups[int(values[c.by]) if c.by else 0]]
                mass *= Fraction(parts[c.options.index(values[c.name])], sum(parts))
            posteriors = {}
            for island in self.islands:
                evidence, args = island.given(values)
                mass = mass * evidence
                if args is not None:
                    posteriors[island.name] = island.prior, args
            if mass > 0:
                out[row] = mass, posteriors
        return out


def predicted(prior: str, args: Args, value: Any, more: Any, seen: Seen) -> tuple[Any, Args]:
    """The probability, or density, of an observation, and the hyperparameters after it."""
    match prior:
        case "beta":
            n, k = (1, int(value)) if seen.likelihood == "bernoulli" else (more, value)
            a, b = args
            ways = math.comb(n, k) * _rising(a, k) * _rising(b, n - k)
            return Fraction(ways) / _rising(a + b, n), (a + k, b + n - k)
        case "gamma" if seen.likelihood == "poisson":  # of more times the site
            a, r = args
            share = Fraction(r) / (r + more)
            ways = Fraction(_rising(a, value), math.factorial(value))
            return ways * share**a * (1 - share) ** value, (a + value, r + more)
        case "gamma":
            a, r = args
            after = r + more * value
            return Fraction(more * a) * Fraction(r) ** a / after ** (a + 1), (a + 1, after)
        case "dirichlet":
            after = tuple(a + (i == value) for i, a in enumerate(args))
            return Fraction(args[value], sum(args)), after
        case "normal":  # of mean `more` times the site
            m, sd = map(float, args)
            noise, slope = NOISE, float(more)
            spread, off = noise**2 + (slope * sd) ** 2, float(value) - slope * m
            density = math.exp(-0.5 * off**2 / spread) / math.sqrt(2 * math.pi * spread)
            gain = slope * sd**2 / spread
            return density, (m + gain * off, sd * noise / math.sqrt(spread))
    raise AssertionError(prior)


#: of what is observed of normals
NOISE = 1.5


def _rising(a: Any, n: int) -> Any:
    """a (a + 1) … (a + n - 1)"""
    return math.prod((a + i for i in range(n)), start=1)


@st.composite
def islands(draw: Any, *, families: Collection[str] = tuple(FAMILIES), most: int = 2) -> Islands:
    """Programs of two or three finite choices and up to `most` islands of these families. The
    probabilities of the choices are data, so that there are more programs of a text
    (`Program.again`)."""
    return _Maker(draw, tuple(families)).program(most)


class _Maker:
    def __init__(self, draw: Any, families: tuple[str, ...]):
        self.draw, self.families = draw, families
        self.groups: list[tuple[int, ...]] = []
        self.index = {"k": "k", "c": "indicator(c)"}

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, options: tuple[Any, ...]) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def program(self, most: int) -> Islands:
        lines: list[str] = []
        choices = [
            self.choice(lines, "k", (0, 1, 2), None),
            self.choice(lines, "c", (True, False), "k"),
        ]
        made = [self.island(f"s{i}") for i in range(self.integer(1, most))]
        for island in made:
            lines += self.lines(island)
        if self.integer(0, 1):
            choices.append(self.choice(lines, "z", (True, False), "c"))
        names = ", ".join(c.name for c in choices)
        lines.append(f"return ({names})")
        source = f"model main({NUMBERS}: [prob]) {{\n{indent(chr(10).join(lines))}\n}}\n"
        parts = tuple(self.groups)
        paths = math.prod(len(c.options) for c in choices)
        data = {NUMBERS: numbers(parts)}
        return Islands(source, "main", data, paths, parts, tuple(choices), tuple(made))

    def choice(
        self, lines: list[str], name: str, options: tuple[Any, ...], by: str | None
    ) -> Choice:
        first, at = len(self.groups), len(numbers(self.groups))
        for _ in range({None: 1, "k": 3, "c": 2}[by]):
            self.groups.append(tuple(self.integer(1, 9) for _ in options))
        if by is None:
            law = f"categorical([{', '.join(f'{NUMBERS}[{at + i}]' for i in range(len(options)))}])"
        else:
            rows = ", ".join(f"{NUMBERS}[{i}]" for i in range(at, len(numbers(self.groups))))
            law = f"bernoulli([{rows}][{self.index[by]}])"
        lines.append(f"{name} ~ {law}")
        return Choice(name, options, by, tuple(range(first, len(self.groups))))

    def table(self, entries: tuple[Any, ...]) -> Table:
        """One of these numbers, or one for each value of a choice."""
        by = self.pick(("k", "c", None))
        return Table(by, tuple(self.pick(entries) for _ in range({"k": 3, "c": 2, None: 1}[by])))

    def when(self, one_in: int) -> When | None:
        if self.integer(0, one_in - 1) != one_in - 1:
            return None
        by = self.pick(("c", "k"))
        return When(by, self.pick((True, False) if by == "c" else (0, 1, 2)))

    def island(self, name: str) -> Island:
        prior = self.pick(self.families)
        match prior:
            case "beta":
                args = (self.table((2, 1, 3)), self.table((3, 1, 2)))
            case "gamma":
                args = (self.table((2, 1, 3)), self.table((3, 2, 4)))
            case "dirichlet":
                args = tuple(Table(None, (self.integer(1, 3),)) for _ in range(3))
            case _:
                tenths = (Fraction(3, 10), Fraction(-7, 10), Fraction(12, 10))
                args = (self.table(tenths), self.table((Fraction(8, 10), Fraction(11, 10))))
        when = self.when(3)
        seen = tuple(self.seen(prior) for _ in range(self.integer(1, 2)))
        return Island(name, prior, args, seen, when)

    def seen(self, prior: str) -> Seen:
        likelihood = self.pick(FAMILIES[prior])
        value: Any
        match likelihood:
            case "bernoulli":
                value, more = self.pick((True, False)), Table(None, (1,))
            case "binomial":
                value, more = self.integer(0, 2), self.table((2, 3))
            case "poisson":
                value, more = self.integer(0, 3), self.table((1, 2, 3))
            case "exponential":
                value, more = Fraction(self.integer(1, 19), 10), self.table((1, 2, 3))
            case "categorical":
                value, more = self.integer(0, 2), Table(None, (1,))
            case _:
                value = Fraction(self.integer(-15, 25), 10)
                more = self.table((1, 2, Fraction(-1, 2)))
        return Seen(likelihood, value, more, self.when(3))

    def lines(self, island: Island) -> Iterator[str]:
        args = [t.text(self.index) for t in island.args]
        if island.prior == "dirichlet":
            args = [f"[{', '.join(args)}]"]
        yield from _guarded(
            island.when,
            [
                f"{island.name} ~ {island.prior}({', '.join(args)})",
                *(line for s in island.seen for line in _guarded(s.when, [self.line(island, s)])),
            ],
        )

    def line(self, island: Island, seen: Seen) -> str:
        x, more = island.name, seen.more.text(self.index)
        law = {
            "bernoulli": f"bernoulli({x})",
            "binomial": f"binomial({more}, {x})",
            "poisson": f"poisson({more} * {x})",
            "exponential": f"exponential({more} * {x})",
            "categorical": f"categorical({x})",
            "normal": f"normal({more} * {x}, {NOISE})",
        }[seen.likelihood]
        return f"observe {_literal(seen.value)} ~ {law}"


def _guarded(when: When | None, lines: list[str]) -> list[str]:
    return lines if when is None else [f"if {when.text} {{", indent("\n".join(lines)), "}"]


def _literal(x: Any) -> str:
    if isinstance(x, bool):
        return "true" if x else "false"
    return str(x) if isinstance(x, int) else f"{float(x):g}"
