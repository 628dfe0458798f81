"""Typed generation of measures: blocks of draws, scores and loops, within a budget of paths.

Every block has positive mass whatever came before it, by construction: scores are positive, except
those on a draw made just before them for the purpose, of whose options some always remain.
"""

from __future__ import annotations

from ppl.verify.choices import Env, Text
from ppl.verify.finite_types import (
    Array,
    Bool,
    Dist,
    Fun,
    Measure,
    Nat,
    Prob,
    Tuple,
    Type,
    first_order,
    fits,
)
from ppl.verify.scores import Frame, Scores
from ppl.verify.text import braces, head, indent


class Blocks(Scores):
    """Generation of statements and measures."""

    # -- measures

    def measure(self, t: Measure, env: Env, size: int) -> str:
        return self.run(t.item, env, size, t.paths)[0]

    def run(
        self, item: Type, env: Env, size: int, paths: int, *, bound: bool = True
    ) -> tuple[str, int]:
        """The text of a measure on `item`, and a bound on its paths, at most `paths`.

        Unless its value is `bound` to a name, it is one whose own name is plain from the text.
        """
        cost = 1
        ways: list[tuple[int, Text]] = []

        def costing(make, *args):
            def way() -> str:
                nonlocal cost
                text, cost = make(*args)
                return text

            return way

        dist = Dist(item, paths)
        if self.drawable(dist) or (isinstance(item, Array) and self.on("iid") and paths >= 8):
            options = paths if not isinstance(item, Nat) else item.size
            options = 2 if item == Bool() else min(options, paths)
            ways.append((5, costing(lambda: (self.expr(Dist(item, options), env, size), options))))
        ways.append((1 if ways else 3, costing(self.block, item, env, size, paths)))
        if size > 0:
            if self.on("branches"):
                ways.append((3, costing(self.branch, item, env, size - 1, paths)))
            if isinstance(item, Array) and self.on("for"):
                ways.append((6, costing(self.plate, item, env, size - 1, paths)))
            if isinstance(item, Array) and self.on("scan"):
                ways.append(
                    (6, costing(self.scan, "scan", item.item, item.length, env, size - 1, paths))
                )
            if self.on("fold"):
                ways.append((2, costing(self.scan, "fold", item, 3, env, size - 1, paths)))
            if self.on("match"):
                ways.append((2, costing(self.match, item, env, size - 1, paths)))
        for name, have in env.types.items():
            result = have.result if isinstance(have, Fun) else have
            if not isinstance(result, (Dist, Measure)) or not (bound or self.speaks(name, result)):
                continue
            # functions as arguments would go on without end
            simple = not isinstance(have, Fun) or all(map(first_order, have.params))
            if fits(result, Measure(item, paths)) and (size > 0 or simple):
                ways.append((6, costing(self.use, name, have, env, size)))
        text = self.pick(ways)
        return text, cost

    def speaks(self, name: str, result: Type) -> bool:
        """Whether a run of it without a binder takes its name as a step, in every position."""
        return name in self.protected and isinstance(result, Measure)

    def use(self, name: str, have: Type, env: Env, size: int) -> tuple[str, int]:
        """A measure in scope, or the call of a function that returns one, and its paths."""
        result = have.result if isinstance(have, Fun) else have
        text = self.part(name, have, 0, env, size) if isinstance(have, Fun) else name
        return text, result.options if isinstance(result, Dist) else result.paths  # pyright: ignore

    def block(self, item: Type, env: Env, size: int, paths: int) -> tuple[str, int]:
        frame = self.frame(env, size, paths)
        self.statements(frame)
        self.close(frame, item)
        return braces(frame.lines), frame.used

    def frame(self, env: Env, size: int, paths: int) -> Frame:
        return Frame(env.inside(self.protected), paths, 1, size, [])

    def close(self, frame: Frame, item: Type) -> None:
        """The block's last line: `return`, or the run of a measure."""
        if frame.paths > 1 and frame.size > 0 and self.flip(3):
            text, cost = self.run(item, frame.env, frame.size - 1, frame.paths, bound=False)
            frame.spend(cost)
            frame.lines.append(text)
        else:
            frame.lines.append(f"return {self.expr(item, frame.env, frame.size)}")

    def branch(self, item: Type, env: Env, size: int, paths: int) -> tuple[str, int]:
        """`if` whose arms may draw different numbers of sites."""
        cond = head(self.expr(Bool(), env, size))
        then, m = self.block(item, env, size, paths)
        other, n = self.block(item, env, size, paths)
        return f"if {cond} {then} else {other}", max(m, n)

    def match(self, item: Type, env: Env, size: int, paths: int) -> tuple[str, int]:
        subject = head(self.expr(Nat(3), env, size))
        arms, costs = zip(*(self.block(item, env, size, paths) for _ in range(3)), strict=True)
        lines = "\n".join(f"{k} => {arm}" for k, arm in zip(("0", "1", "_"), arms, strict=True))
        return f"match {subject} {{\n{indent(lines)}\n}}", max(costs)

    def plate(self, t: Array, env: Env, size: int, paths: int) -> tuple[str, int]:
        x, over, inner = self.loop(t.length, env, size)
        body, cost = self.block(t.item, inner, size, root(paths, t.length))
        return f"for {x} in {over} {body}", cost**t.length

    def loop(self, length: int, env: Env, size: int) -> tuple[str, str, Env]:
        """A loop's pattern, what it is over, and the scope of its body."""
        over, item = self.elements(length, env, size)
        inner = env.inside(self.protected)
        x = self.fresh(inner, "i")
        inner = inner.let(**{x: item})
        if self.on("tuples") and self.flip(4):
            other, second = self.elements(length, env, size)
            y = f"j{next(self.names)}"
            return f"({x}, {y})", f"zip({over}, {other})", inner.let(**{y: second})
        if self.on("tuples") and self.flip(6):
            y = f"j{next(self.names)}"
            return f"({y}, {x})", f"enumerate({over})", inner.let(**{y: Nat(length)})
        return x, over, inner

    def scan(
        self, word: str, t: Type, length: int, env: Env, size: int, paths: int
    ) -> tuple[str, int]:
        x, over, inner = self.loop(length, env, size)
        c = f"s{next(self.names)}"
        first = head(self.expr(t, env, size))
        step = self.block if first_order(t) or self.on("grown_functions") else self.choosing
        body, cost = step(t, inner.let(**{c: t}), size, root(paths, length))
        return f"{word} {c} = {first} for {x} in {over} {body}", cost**length

    def choosing(self, t: Type, env: Env, size: int, paths: int) -> tuple[str, int]:
        """A loop's body where the newest name in scope, the state, is a function: it stays or is
        another. One made of the state would be a larger closure at every step."""
        *others, (c, _) = env.types.items()
        frame = self.frame(Env(dict(others), env.fixed - {c}), size, paths)
        self.statements(frame)
        other = self.expr(t, frame.env, frame.size)
        ways: list[tuple[int, Text]] = [(1, lambda: other), (1, lambda: c)]
        if self.on("choose_distribution"):
            cond = head(self.expr(Bool(), frame.env.let(**{c: t}), frame.size))
            ways.append((4, lambda: f"if {cond} {{ {c} }} else {{ {other} }}"))
        frame.lines.append(f"return {self.pick(ways)}")
        return braces(frame.lines), frame.used

    # -- statements

    def statements(self, frame: Frame) -> None:
        """Some statements, each of which may use the earlier ones."""
        if frame.size >= 0:
            self.repeat(1 + 2 * frame.size, lambda: self.statement(frame))

    def statement(self, frame: Frame) -> None:
        ways: list[tuple[int, Text]] = [
            (7, lambda: self.draw_(frame)),
            (3, lambda: self.let(frame)),
        ]
        if self.on("scores"):
            ways += [(2, lambda: self.factor(frame)), (2, lambda: self.observe(frame))]
            if frame.size > 0 and self.on("branches"):
                ways.append((1, lambda: self.score_if(frame)))
            if frame.size > 0 and self.on("for"):
                ways.append((2, lambda: self.score_each(frame)))
        if self.on("zero_scores") and frame.paths >= 3:
            ways.append((4, lambda: self.rule_out(frame)))
        if self.on("dead_draws") and frame.paths >= 2:
            ways.append((2, lambda: self.dead(frame)))
        if self.on("discrete_uniform") and frame.paths >= 3:
            ways.append((1, lambda: self.uniform(frame)))
        if self.on("inner_checkpoint"):
            ways.append((1, lambda: self.meet(frame)))
        if self.on("mem") and frame.paths >= 4:
            ways.append((3, lambda: self.memoise(frame)))
        functions = [(k, t) for k, t in frame.env.types.items() if self.affordable(t, frame)]
        if functions:
            ways.append((5, lambda: self.call(frame, functions)))
        self.pick(ways)

    def draw_(self, frame: Frame) -> str:
        """`x ~ measure`, or `(x, y) ~ measure` of pairs."""
        item = self.drawn_type(frame)
        text, cost = self.run(item, frame.env, frame.size - 1, min(frame.paths, 27))
        frame.spend(cost)
        if isinstance(item, Tuple) and self.flip():
            names = [f"x{next(self.names)}" for _ in item.items]
            frame.lines.append(f"({', '.join(names)}) ~ {text}")
            frame.env = frame.env.let(**dict(zip(names, item.items, strict=True)))
        else:
            self.bind(frame, "x", item, lambda name: f"{name} ~ {text}")
        return ""

    def affordable(self, t: Type, frame: Frame) -> bool:
        if not isinstance(t, Fun):
            return False
        r = t.result
        return not isinstance(r, (Dist, Measure)) or fits(r, Measure(r.item, frame.paths))

    def call(self, frame: Frame, functions: list[tuple[str, Type]]) -> str:
        """Use one of the functions in scope."""
        name, t = functions[self.integer(0, len(functions) - 1)]
        assert isinstance(t, Fun)
        if isinstance(t.result, (Dist, Measure)) and self.flip(4) is False:
            text, cost = self.use(name, t, frame.env, frame.size)
            frame.spend(cost)
            if self.speaks(name, t.result) and self.flip(4):
                frame.lines.append(text)
            else:
                self.bind(frame, "x", t.result.item, lambda name: f"{name} ~ {text}")
        else:
            text = self.part(name, t, 0, frame.env, frame.size)
            self.bind(frame, "y", t.result, lambda name: f"let {name} = {text}")
        return ""

    def drawn_type(self, frame: Frame) -> Type:
        options: list[tuple[int, Text]] = [(8, self.finite_type)]  # pyright: ignore
        if frame.size > 0:
            options.append((5, lambda: Array(self.finite_type(), 3)))  # pyright: ignore
            options.append((2, lambda: self.data_type(1)))  # pyright: ignore
            if self.on("closures"):
                options.append((2, lambda: self.fun_type(0)))  # pyright: ignore
        return self.pick(options)  # pyright: ignore

    def let(self, frame: Frame) -> str:
        if frame.paths >= 2 and self.on("measure_values") and frame.size > 0 and self.flip(5):
            item = self.finite_type()
            text, cost = self.block(item, frame.env, frame.size - 1, min(frame.paths, 4))
            self.bind(frame, "m", Measure(item, cost), lambda name: f"let {name} = {text}")
            return ""
        t = self.any_type(frame.size)
        text = self.expr(t, frame.env, frame.size)
        self.bind(frame, "y", t, lambda name: f"let {name} = {text}")
        return ""

    def dead(self, frame: Frame) -> str:
        frame.lines.append(f"_ ~ bernoulli({self.expr(Prob(), frame.env, 1)})")
        frame.spend(2)
        return ""

    def meet(self, frame: Frame) -> str:
        frame.lines.append("checkpoint")
        return ""

    def uniform(self, frame: Frame) -> str:
        """A draw of ints, used as a nat through an explicit cast."""
        u = f"u{next(self.names)}"
        frame.lines.append(f"{u} ~ discrete_uniform(0, 2)")
        frame.env = Env(frame.env.types, frame.env.fixed | {u})
        self.bind(frame, "x", Nat(3), lambda name: f"let {name} = {u} as nat")
        frame.spend(3)
        return ""

    def memoise(self, frame: Frame) -> str:
        """A random function on 0, …, n - 1, each of whose values is drawn when first asked for."""
        n = 3 if frame.paths >= 8 else 2
        item = Nat(3) if frame.paths >= 3**n and self.flip() else Bool()
        options = 2 if item == Bool() else 3
        k = f"k{next(self.names)}"
        inner = frame.env.inside(self.protected).let(**{k: Nat(n)})
        each = self.expr(Dist(item, options), inner, frame.size)
        text = f"mem(fn ({k}: nat) => {each})"
        self.bind(frame, "f", Fun((Nat(n),), item), lambda name: f"{name} ~ {text}")
        frame.spend(options**n)
        return ""


def root(paths: int, n: int) -> int:
    """The largest k with k^n <= paths."""
    k = 1
    while (k + 1) ** n <= paths:
        k += 1
    return k
