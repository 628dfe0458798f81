"""Typed generation of expressions: pick a goal type, generate a term of it.

Whatever is generated is well typed, in bounds, and of positive mass by construction
(`finite_types`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ppl.verify.choices import Env, Text
from ppl.verify.finite_types import (
    Array,
    Bool,
    Dist,
    Fun,
    Measure,
    Nat,
    Prob,
    Record,
    Tuple,
    Type,
    Unit,
    first_order,
    fits,
    parts,
)
from ppl.verify.goals import Goals
from ppl.verify.text import head, operand


class Terms(Goals):
    """Generation of expressions; `Laws` has distributions, and `Blocks` measures."""

    def expr(self, t: Type, env: Env, size: int) -> str:
        """A term of type t; `size` bounds its depth."""
        if size <= 0:
            return self.expr_here(t, env, size)
        return self.within(lambda: self.expr_here(t, env, size))

    def expr_here(self, t: Type, env: Env, size: int) -> str:
        # what depends on the scope comes last: deleting a line above leaves the other choices alone
        ways: list[tuple[int, Text]] = []
        if size > 0:
            ways += self.introductions(t, env, size - 1)
            ways += self.eliminations(t, env, size - 1)
        ways += self.uses(t, env, size)
        return self.pick([(1, lambda: self.simplest(t, env)), *ways])

    def simplest(self, t: Type, env: Env) -> str:
        """A literal of the type, or what comes nearest to one."""
        match t:
            case Bool():
                ways = [(1, lambda: "true"), (1, lambda: "false")]
                for name, have in env.types.items():
                    if isinstance(have, Nat):
                        ways.append((6, lambda name=name, n=have.size: self.equals(name, n)))
                return self.pick(ways)
            case Nat(size):
                ways = [(2, lambda: str(self.integer(0, size - 1)))]
                for name, have in env.types.items():
                    if isinstance(have, Bool):
                        ways.append((3, lambda name=name: f"indicator({name})"))
                return self.pick(ways)
            case Prob():
                return self.fraction()
            case Unit():
                return "()"
            case Tuple(items):
                return f"({', '.join(self.expr(x, env, 0) for x in items)})"
            case Record(fields):
                return self.record([(k, self.expr(x, env, 0)) for k, x in fields])
            case Array(item, length):
                return f"[{', '.join(self.expr(item, env, 0) for _ in range(length))}]"
            case Fun(params, result):
                return self.function(params, result, env, 0)
            case Dist():
                return self.distribution(t, env, 0)
            case Measure():
                return self.measure(t, env, 0)
        raise AssertionError(t)

    def equals(self, name: str, size: int) -> str:
        return f"{name} == {self.integer(0, size - 1)}"

    def uses(self, t: Type, env: Env, size: int) -> Iterator[tuple[int, Text]]:
        """Variables of the type, and what is two steps away from one by fields, indices, calls."""
        for name, have in env.types.items():
            for weight, use in self.reach(have, t, env, size, 2 if size > 0 else 0):
                yield weight, lambda use=use, name=name: use(name)

    def reach(self, have: Type, want: Type, env: Env, size: int, depth: int):
        """Ways to turn the text of a `have` into the text of a `want`."""
        if fits(have, want):
            yield 4, lambda text: text
        if depth == 0:
            return
        for i, part in enumerate(parts(have)):
            for w, then in self.reach(part, want, env, size, depth - 1):
                weight = 3 if isinstance(have, (Fun, Array)) else w
                yield weight, lambda text, i=i, then=then: then(self.part(text, have, i, env, size))

    def part(self, text: str, have: Type, i: int, env: Env, size: int) -> str:
        match have:
            case Tuple():
                return f"{text}.{i}"
            case Record(fields):
                return f"{text}.{fields[i][0]}"
            case Array(_, length):
                return f"{text}[{self.index(length, env, size - 1)}]"
            case Fun(params, _):
                return f"{text}({', '.join(self.expr(p, env, size - 1) for p in params)})"
        raise AssertionError(have)

    def index(self, length: int, env: Env, size: int) -> str:
        if self.on("drawn_index"):
            return self.expr(Nat(length), env, size)
        return str(self.integer(0, length - 1))

    def eliminations(self, t: Type, env: Env, size: int) -> Iterator[tuple[int, Text]]:
        """`if` and indexing at any type but measures (whose branches `Blocks` makes)."""
        if isinstance(t, Measure):
            return
        if isinstance(t, Array) and not first_order(t) and not self.on("chosen_arrays"):
            return
        if first_order(t) or self.on("choose_distribution"):
            yield (
                2,
                lambda: (
                    f"if {head(self.expr(Bool(), env, size))} {{ {self.expr(t, env, size)} }} "
                    f"else {{ {self.expr(t, env, size)} }}"
                ),
            )
        if self.on("drawn_index") and (first_order(t) or self.on("arrays_of_functions")):
            yield 1, lambda: f"{self.array(t, 3, env, size)}[{self.expr(Nat(3), env, size)}]"

    def introductions(self, t: Type, env: Env, size: int) -> Iterator[tuple[int, Text]]:
        def e(t: Type) -> str:
            return self.expr(t, env, size)

        def o(t: Type) -> str:
            return operand(e(t))

        match t:
            case Bool():
                yield 2, lambda: f"{o(Nat(3))} == {o(Nat(3))}"
                yield 1, lambda: f"{o(Nat(4))} < {o(Nat(3))}"
                yield 1, lambda: f"not {o(t)}"
                yield 1, lambda: f"{o(t)} and {o(t)}"
                yield 1, lambda: f"{o(t)} or {o(t)}"
                if self.on("comprehension"):
                    yield 1, lambda: f"any({self.comprehension(Array(Bool(), 3), env, size)})"
            case Nat(n):
                yield 1, lambda: f"indicator({e(Bool())})"
                yield 2, lambda: f"({o(Nat(n))} + {o(Nat(3))}) % {n}"
                if n > 2:
                    yield 1, lambda: f"{o(Nat(n - 1))} + {o(Nat(2))}"
                    yield 1, lambda: f"max({e(Nat(n))}, {e(Nat(2))})"
                if n > 3 and self.on("comprehension"):
                    yield 1, lambda: f"count({self.comprehension(Array(Bool(), 3), env, size)})"
                if self.on("fold"):
                    yield 1, lambda: self.pure_loop("fold", t, 3, env, size)
            case Prob():
                yield 1, lambda: f"1 - {o(t)}"
                yield 1, lambda: f"{o(t)} * {o(t)}"
            case Tuple(items):
                yield 4, lambda: f"({', '.join(map(e, items))})"
            case Record(fields):
                yield 4, lambda: self.record([(k, e(x)) for k, x in fields])
            case Array(item, n):
                yield 3, lambda: self.array(item, n, env, size)
                if self.on("comprehension"):
                    yield 3, lambda: self.comprehension(t, env, size)
                if self.on("scan") and isinstance(item, Nat):
                    yield 1, lambda: self.pure_loop("scan", item, n, env, size)
            case Fun(params, result):
                yield 8, lambda: self.function(params, result, env, size)
            case Dist():
                yield 8, lambda: self.distribution(t, env, size)
            case Measure():
                yield 8, lambda: self.measure(t, env, size)

    def record(self, fields: list[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"{k}: {x}" for k, x in fields) + "}"

    def array(self, item: Type, length: int, env: Env, size: int) -> str:
        return f"[{', '.join(self.expr(item, env, size) for _ in range(length))}]"

    def elements(self, length: int, env: Env, size: int) -> tuple[str, Type]:
        """An array of that length to loop over, and its elements' type."""
        known = [
            (k, t.item) for k, t in env.types.items() if isinstance(t, Array) and t.length == length
        ]
        if known and self.flip():
            return known[self.integer(0, len(known) - 1)]
        return f"range({length})", Nat(length)

    def comprehension(self, t: Array, env: Env, size: int) -> str:
        over, item = self.elements(t.length, env, size)
        x = self.fresh(env, "i")
        inner = env.inside(self.protected).let(**{x: item})
        return f"[{self.expr(t.item, inner, size)} for {x} in {over}]"

    def pure_loop(self, word: str, t: Type, length: int, env: Env, size: int) -> str:
        over, item = self.elements(length, env, size)
        c, x = self.fresh(env, "s"), f"i{next(self.names)}"
        inner = env.inside(self.protected).let(**{c: t, x: item})
        first = head(self.expr(t, env, size))
        return f"{word} {c} = {first} for {x} in {over} {{ {self.expr(t, inner, size)} }}"

    def function(self, params: tuple[Type, ...], result: Type, env: Env, size: int) -> str:
        inner = env.inside(self.protected)
        declared = []
        for t in params:
            x = self.fresh(inner, "a")
            inner = inner.let(**{x: t})
            declared.append(self.parameter(x, t))
        return f"fn ({', '.join(declared)}) => {self.expr(result, inner, size)}"

    def parameter(self, name: str, t: Type) -> str:
        """With its type where inference may need it, and now and then where it does not.

        Inside a top-level function a parameter that nothing constrains is taken for a number, and
        one of the function itself for a real number.
        """
        known = isinstance(t, (Bool, Nat, Prob)) and not (self.top_level and isinstance(t, Bool))
        return name if known and not self.flip(4) else f"{name}: {t}"

    def distribution(self, t: Dist, env: Env, size: int) -> str:
        """A distribution made on the spot; `Laws` does it."""
        raise NotImplementedError

    def measure(self, t: Measure, env: Env, size: int) -> str:
        """A measure as a value; `Blocks` has more."""
        raise NotImplementedError
