"""Typed generation of expressions: pick a goal type, generate a term of it.

Every choice is made through one `draw`, and the first alternative is always the simplest, so that
Hypothesis shrinks programs towards small ones. Nothing is ever rejected: whatever is generated is
well typed, in bounds, and of positive mass by construction (`finite_types`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st

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

Text = Callable[[], str]
PRIMES = (7, 5, 11, 13, 3, 17, 19, 23)
FIELDS = ("a", "b", "c")


class _Unit(st.SearchStrategy):
    def __init__(self, make: Callable):
        super().__init__()
        self.make = make

    def do_draw(self, data):
        return self.make()


@dataclass(frozen=True)
class Env:
    """The names in scope. `fixed` may not be shadowed: data, functions, names of this block."""

    types: Mapping[str, Type]
    fixed: frozenset[str] = frozenset()

    def let(self, **names: Type) -> Env:
        """With names that this block binds."""
        return Env({**self.types, **names}, self.fixed | names.keys())

    def inside(self, protected: frozenset[str]) -> Env:
        """As seen from a block inside, which may shadow all but the protected names."""
        return Env(self.types, protected)


class Terms:
    """One program's worth of choices, names and primes; `features` as in `programs`."""

    def __init__(self, draw: Callable, features: frozenset[str]):
        self.draw = draw
        self.features = features
        self.primes = count()
        self.names = count(1)
        #: data and functions: never shadowed
        self.protected: frozenset[str] = frozenset()
        #: whether a top-level function other than the model is being made
        self.top_level = False

    # -- choices

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flip(self, one_in: int = 2) -> bool:
        return self.integer(0, one_in - 1) == one_in - 1

    def within(self, make: Callable):
        """The choices that `make` makes, as one unit that shrinking can delete or replace."""
        return self.draw(_Unit(make))

    def repeat(self, most: int, make: Callable[[], object]) -> None:
        """Call `make` up to `most` times; each time can be deleted by itself."""

        def again() -> bool:
            if self.integer(0, 3) == 0:
                return False
            make()
            return True

        for _ in range(most):
            if not self.within(again):
                break

    def pick(self, options: list[tuple[int, Text]]) -> str:
        """One of the alternatives, by weight; shrinks to the first."""
        ticket = self.integer(0, sum(w for w, _ in options) - 1)
        for w, make in options:
            if ticket < w:
                return make()
            ticket -= w
        raise AssertionError

    def on(self, feature: str) -> bool:
        return feature in self.features

    def fresh(self, env: Env, stem: str = "x") -> str:
        """A new name, or now and then one of an outer block that it shadows."""
        outer = sorted(env.types.keys() - env.fixed - self.protected)
        if outer and self.on("shadowing") and self.flip(8):
            return outer[self.integer(0, len(outer) - 1)]
        return f"{stem}{next(self.names)}"

    # -- types

    def data_type(self, size: int = 1) -> Type:
        """A type of first-order values."""
        options: list[tuple[int, Callable[[], Type]]] = [
            (4, Bool),
            (4, lambda: Nat(self.integer(2, 4))),
            (1, Prob),
        ]
        if size > 0:
            if self.on("tuples"):
                options.append((2, lambda: Tuple((self.data_type(size - 1), self.data_type(0)))))
            if self.on("records"):
                options.append((2, lambda: self.record_type(size)))
            options.append((2, lambda: Array(self.data_type(size - 1), self.integer(3, 4))))
        return self.pick(options)  # pyright: ignore

    def record_type(self, size: int) -> Record:
        return Record(tuple((f, self.data_type(size - 1)) for f in FIELDS[: self.integer(1, 2)]))

    def finite_type(self) -> Type:
        """What one draw gives."""
        return self.pick([(2, Bool), (3, lambda: Nat(3))])  # pyright: ignore

    def any_type(self, size: int = 2) -> Type:
        """Of a let, a parameter: data, distributions, functions, and arrays of those."""
        options: list[tuple[int, Callable[[], Type]]] = [(6, lambda: self.data_type(1))]
        if size > 0:
            options.append((3, lambda: self.dist_type()))
            if self.on("closures"):
                options.append((5, lambda: self.fun_type(size - 1)))
            if self.on("arrays_of_functions"):
                options.append((3, lambda: Array(self.higher_type(size - 1), 3)))
            if self.on("records") and self.on("closures"):
                options.append(
                    (
                        1,
                        lambda: Record(
                            (("f", self.higher_type(size - 1)), ("a", self.data_type(0)))
                        ),
                    )
                )
        return self.pick(options)  # pyright: ignore

    def dist_type(self) -> Dist:
        item = self.finite_type()
        return Dist(item, 2 if item == Bool() else 3)

    def higher_type(self, size: int) -> Type:
        return self.pick([(1, lambda: self.fun_type(size)), (1, self.dist_type)])  # pyright: ignore

    def fun_type(self, size: int) -> Fun:
        params = [self.data_type(0)]
        if size > 0 and self.on("higher_order") and self.flip(3):
            params.append(self.higher_type(size - 1))
        results: list[tuple[int, Callable[[], Type]]] = [
            (3, lambda: self.data_type(0)),
            (3, self.dist_type),
            (2, lambda: Measure(self.finite_type(), 3)),
        ]
        if size > 0 and self.on("higher_order"):
            results.append((1, lambda: self.fun_type(size - 1)))
        return Fun(tuple(params), self.pick(results))  # pyright: ignore

    # -- expressions

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

    # -- numbers and distributions

    def prime(self) -> int:
        return PRIMES[next(self.primes) % len(PRIMES)]

    def fraction(self) -> str:
        prime = self.prime()
        return f"{self.integer(1, prime - 1)}/{prime}"

    def weights(self, n: int, env: Env, size: int, *, zero: bool = False) -> str:
        """n probabilities, with one of them 0 if asked; all others positive."""
        positive = n - zero
        prime = max(self.prime(), 5 if positive < 5 else 7)
        numerators, left = [], prime
        for k in range(positive - 1, 0, -1):
            numerators.append(self.integer(1, left - k))
            left -= numerators[-1]
        parts = [f"{m}/{prime}" for m in (*numerators, left)]
        if positive in (2, 3) and size > 0 and self.flip(3):
            p = operand(self.expr(Prob(), env, 0))
            rest = self.prime()
            share = self.integer(1, rest - 1)
            shares = [f" * ({share}/{rest})", f" * ({rest - share}/{rest})"]
            parts = [p, *(f"(1 - {p}){x}" for x in (shares if positive == 3 else [""]))]
        if zero:
            parts.insert(self.integer(0, positive), "0")
        return f"[{', '.join(parts)}]"

    def distribution(self, t: Dist, env: Env, size: int) -> str:
        """A distribution made on the spot."""
        ways: list[tuple[int, Text]] = []
        item, options = t.item, t.options
        if item == Bool() and options >= 2:
            ways.append((4, lambda: f"bernoulli({self.expr(Prob(), env, size)})"))
        if isinstance(item, Nat) and options >= item.size:
            ways.append((4, lambda: f"categorical({self.weights(item.size, env, size)})"))
            if self.on("binomial"):
                ways.append((1, lambda: self.binomial(item.size - 1, env, size)))
        if isinstance(item, Nat) and item.size >= 3 and options >= item.size - 1 and not t.full:
            if self.on("zero_probability"):
                ways.append(
                    (1, lambda: f"categorical({self.weights(item.size, env, 0, zero=True)})")
                )
            if self.on("truncate"):
                ways.append((1, lambda: self.truncation(item.size, env, size)))
        if self.on("mixture") and size > 0 and options >= 2:
            ways.append((1, lambda: self.mixture(t, env, size - 1)))
        if self.on("iid") and isinstance(item, Array) and options >= 2**item.length and not t.full:
            each = Dist(item.item, int(options ** (1 / item.length) + 1e-9))
            if self.drawable(each):
                ways.append((3, lambda: f"iid({item.length}, {self.expr(each, env, size - 1)})"))
        if not t.full and (not ways or self.on("dirac")):
            ways.append((1, lambda: f"dirac({self.expr(item, env, size - 1)})"))
        return self.pick(ways)

    def binomial(self, n: int, env: Env, size: int) -> str:
        p = self.expr(Prob(), env, size - 1) if size > 0 else self.fraction()
        return f"binomial({n}, {p})"

    def truncation(self, n: int, env: Env, size: int) -> str:
        """A distribution on 1, …, n - 1."""
        if self.on("binomial"):
            whole = self.binomial(n - 1, env, size)
        else:
            whole = f"categorical({self.weights(n, env, size - 1)})"
        return f"truncate({whole}, lower=1)"

    def drawable(self, t: Dist) -> bool:
        """Whether a distribution of that type other than a Dirac can be made."""
        match t.item:
            case Bool():
                return t.options >= 2
            case Nat(n):
                return t.options >= n
            case _:
                return False

    def mixture(self, t: Dist, env: Env, size: int) -> str:
        return f"mixture({self.weights(3, env, size)}, {self.array(t, 3, env, size)})"

    def measure(self, t: Measure, env: Env, size: int) -> str:
        """A measure as a value; `Blocks` has more."""
        raise NotImplementedError


# ---------------------------------------------------------------------------------------- text


def closed(text: str) -> bool:
    """Whether the text is one operand: a name, a call, brackets; not `a + b` nor `(a) + (b)`."""
    if text.startswith(("fn ", "if ", "fold ", "scan ", "for ", "match ", "{")):
        return False
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and not (c.isalnum() or c in "_.)]}"):
            return False
    return True


def operand(text: str) -> str:
    """In parentheses, unless it is one operand already."""
    return text if closed(text) else f"({text})"


def head(text: str) -> str:
    """What may stand before a block: in parentheses if it has braces of its own."""
    return f"({text})" if "{" in text else text


def indent(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))
