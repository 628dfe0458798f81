"""A Hypothesis strategy for finite programs whose posterior can be computed exactly.

    from hypothesis import given
    from ppl.verify.programs import programs

    @given(programs())
    def test_a_law(program):
        module = ppl.compile(program.source)
        ...

Programs are made as source text, so that a failure prints as code that a user can run. They are
well typed, higher-order, weighted towards features that are rare in ordinary models, and never
degenerate: the evidence is positive and the posterior of the result is no point mass. Typed
generation as in Palka et al., "Testing an optimising compiler by generating random lambda terms"
(2011); nothing is generated and then rejected.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from ppl.verify.blocks import Blocks
from ppl.verify.choices import NUMBERS, Env, numbers, other_numbers
from ppl.verify.finite_types import (
    Array,
    Bool,
    Dist,
    Fun,
    Measure,
    Nat,
    Prob,
    Type,
)
from ppl.verify.text import indent, operand

#: what any engine runs
FEATURES = frozenset(
    """
    scores zero_scores zero_probability dead_draws branches for scan fold comprehension
    calls closures higher_order arrays_of_functions choose_distribution measure_values
    tuples records shadowing drawn_index data mixture iid truncate binomial discrete_uniform dirac
    """.split()
)
#: what needs the machine
MACHINE_FEATURES = frozenset(
    """
    mem nested recursion match chosen_arrays grown_functions checkpoint inner_checkpoint
    """.split()
)


@dataclass(frozen=True)
class Program:
    """A finite program: its text, which model of it to run, on what data.

    `paths` bounds the number of runs with different draws. The evidence is positive. `parts`: of
    the probabilities that are data, each group the parts of a whole.
    """

    source: str
    model: str
    data: Mapping[str, Any] = field(default_factory=dict)
    paths: int = 1
    parts: tuple[tuple[int, ...], ...] = ()

    def __repr__(self) -> str:
        data = f"# data: {json.dumps(dict(self.data))}\n" if self.data else ""
        return f"\n{data}{self.source}"

    def again(self, k: int) -> Program:
        """The same text with other probabilities, as far as they are data: of these programs, the
        kth. What is compiled for a text is compiled for all of them."""
        parts = other_numbers(self.parts, k)
        return replace(self, data={**self.data, NUMBERS: numbers(parts)}, parts=parts)


@st.composite
def programs(
    draw,
    *,
    features: Collection[str] = FEATURES,
    paths: int = 2_000,
    size: int = 2,
    stages: int = 0,
    lifted: bool = False,
) -> Program:
    """Programs with at most `paths` paths, in which terms nest about `size` deep.

    `features` says what may occur: see FEATURES and MACHINE_FEATURES. `stages`: how many choices
    and scores in turn there are at least in the main block, for what works at suspension points.
    `lifted`: the probabilities that the model writes down are data, so that there are more programs
    of the same text: see `Program.again`.

    Raises:
        ValueError: for a feature that does not exist, or fewer than 3 paths.
    """
    unknown = set(features) - FEATURES - MACHINE_FEATURES
    if unknown:
        raise ValueError(f"no such features: {', '.join(sorted(unknown))}")
    if paths < 3:
        raise ValueError("a program that is not degenerate has at least 3 paths")
    return _Module(draw, frozenset(features)).program(size, paths, stages, lifted)


class _Module(Blocks):
    """Generation of functions and the model."""

    def program(self, size: int, paths: int, stages: int, lifted: bool) -> Program:
        self.items: list[str] = []
        self.data: dict[str, Any] = {}
        self.declared: list[str] = []
        self.globals = Env({})
        if self.on("mem") and self.on("nested"):
            # nested inference sees what is memoised outside only as far as it is known
            self.features -= {"mem" if self.flip() else "nested"}
        if self.on("calls"):
            self.repeat(3, lambda: self.add_function(size))
        if self.on("recursion"):
            self.repeat(1, lambda: self.add_recursion(size))
        if self.on("data"):
            self.repeat(2, self.add_data)
        self.lifting = lifted
        body, used = self.model(self.globals, size, paths, stages)
        if lifted:
            self.declared.append(f"{NUMBERS}: [prob]")
            self.data[NUMBERS] = numbers(self.lifted)
        self.items.append(f"model main({', '.join(self.declared)}) {body}")
        source = "\n".join(self.items) + "\n"
        return Program(source, "main", self.data, used, tuple(self.lifted))

    def add(self, name: str, t: Type) -> None:
        """A global name; it is never shadowed."""
        self.globals = Env({**self.globals.types, name: t})
        self.protected |= {name}

    def model(self, env: Env, size: int, paths: int, stages: int) -> tuple[str, int]:
        """The model draws one site that no zero score can settle, and returns it with the rest."""
        frame = self.frame(env, size, paths // 3)
        if self.flip(4):
            self.statements(frame)
        weights = self.weights(3, frame.env, 1)
        root = self.bind(frame, "x", Nat(3), lambda name: f"{name} ~ categorical({weights})")
        for _ in range(stages):
            self.stage(frame)
        self.statements(frame)
        if self.on("checkpoint") and self.flip(4):
            frame.lines.append("checkpoint")
        for name, t in env.types.items():
            if self.affordable(t, frame):
                self.repeat(1, lambda name=name, t=t: self.call(frame, [(name, t)]))
        self.statements(frame)
        item = self.data_type(1)
        more = self.pick([(1, lambda: ""), (2, lambda: self.expr(item, frame.env, frame.size))])
        if not more:
            result = root
        elif self.on("records") and self.flip(3):
            result = self.record([("a", root), ("b", more)])
        elif self.on("tuples"):
            result = f"({root}, {more})"
        else:
            result = root
        frame.lines.append(f"return {result}")
        return "{\n" + indent("\n".join(frame.lines)) + "\n}", 3 * frame.used

    def add_data(self) -> None:
        name = f"d{next(self.names)}"
        item: Type = self.pick([(2, Bool), (2, lambda: Nat(3)), (1, Prob)])  # pyright: ignore
        t = Array(item, 3) if self.flip() else item
        self.data[name] = self.value(t)
        self.declared.append(f"{name}: {t}")
        self.add(name, t)

    def value(self, t: Type) -> Any:
        match t:
            case Bool():
                return self.flip()
            case Nat(n):
                return self.integer(0, n - 1)
            case Prob():
                return self.integer(1, 19) / 20
            case Array(item, n):
                return [self.value(item) for _ in range(n)]
        raise AssertionError(t)

    def add_function(self, size: int) -> None:
        """A top-level function; what it takes and returns may be functions and measures."""
        name = f"f{next(self.names)}"
        params, inner = [], self.globals
        types: list[Type] = []
        for _ in range(self.integer(1, 2)):
            t: Type = self.data_type(1)
            if self.on("higher_order"):
                t = self.pick(  # pyright: ignore
                    [
                        (3, lambda t=t: t),
                        (2, lambda: self.any_type(2)),
                        (1, lambda: Measure(self.finite_type(), 3)),
                    ]
                )
            x = f"a{next(self.names)}"
            inner = Env({**inner.types, x: t})
            params.append(f"{x}: {t}" if isinstance(t, (Nat, Prob)) else self.parameter(x, t))
            types.append(t)
        self.top_level = True
        body, result = self.function_body(inner, size)
        self.top_level = False
        self.items.append(f"fn {name}({', '.join(params)}) {body}\n")
        self.add(name, Fun(tuple(types), result))

    def function_body(self, env: Env, size: int) -> tuple[str, Type]:
        kind = self.integer(0, 3)
        if kind <= 1:
            item = self.drawn_type(self.frame(env, size, 6))
            text, used = self.block(item, env, size, (9, 27)[kind])
            return text, Measure(item, used)
        t = self.data_type(1) if kind == 2 else self.any_type(2)
        return f"=> {self.expr(t, env, size)}", t

    def add_recursion(self, size: int) -> None:
        """A recursive function with fuel, in tail position or not."""
        name, n, x = f"r{next(self.names)}", f"n{next(self.names)}", f"x{next(self.names)}"
        outer = Env({**self.globals.types, n: Nat(3)})
        base = self.expr(Nat(3), outer, 0)
        inner = outer.let(**{x: Bool()})
        stop = self.expr(Nat(3), inner, size - 1)
        again = f"{name}({n} - 1)"
        if self.flip():
            more = self.expr(Nat(3), inner, 0)
            again = f"y ~ {again}\n      return (y + {operand(more)}) % 3"
        draw = self.expr(Dist(Bool(), 2), outer, 1)
        self.items.append(
            f"fn {name}({n}: nat) -> measure[nat] {{\n"
            f"  if {n} == 0 {{ return {base} }} else {{\n"
            f"    {x} ~ {draw}\n"
            f"    if {x} {{ return {stop} }} else {{\n      {again}\n    }}\n"
            f"  }}\n}}\n"
        )
        self.add(name, Fun((Nat(3),), Measure(Nat(3), 3)))
