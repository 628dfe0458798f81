"""Typed generation of scores: factors, observations, and draws of which a score rules one out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ppl.verify.choices import Env, Text
from ppl.verify.distributions import Laws
from ppl.verify.finite_types import Bool, Dist, Nat, Prob, Type, fits
from ppl.verify.text import braces, head, operand


@dataclass
class Frame:
    """A block in the making: its lines, what is in scope, how many paths are left and used."""

    env: Env
    paths: int
    used: int
    size: int
    lines: list[str]

    def spend(self, paths: int) -> None:
        assert paths <= self.paths, "over the budget of paths"
        self.paths //= paths
        self.used *= paths


class Scores(Laws):
    """Generation of scoring statements."""

    def loop(self, length: int, env: Env, size: int) -> tuple[str, str, Env]:
        """A loop's pattern, what it is over, and the scope of its body; `Blocks` does it."""
        raise NotImplementedError

    def bind(self, frame: Frame, stem: str, t: Type, line: Callable[[str], str]) -> str:
        """A line that binds a name to a value of type t."""
        name = self.fresh(frame.env, stem)
        frame.lines.append(line(name))
        frame.env = frame.env.let(**{name: t})
        return name

    def factor(self, frame: Frame) -> str:
        frame.lines.append(f"factor {self.score(frame.env, frame.size)}")
        return ""

    def score(self, env: Env, size: int) -> str:
        """A finite log-weight."""

        def logs() -> str:
            b = head(self.expr(Bool(), env, size - 1))
            return f"if {b} {{ log({self.fraction()}) }} else {{ log({self.fraction()}) }}"

        ways: list[tuple[int, Text]] = [(3, lambda: f"log({self.expr(Prob(), env, size)})")]
        if size > 0:
            ways.append((1, logs))
            ways.append(
                (1, lambda: f"log({self.prime()}/2) + log({self.expr(Prob(), env, size - 1)})")
            )
        return self.pick(ways)

    def observe(self, frame: Frame) -> str:
        frame.lines.append(self.observation(frame.env, frame.size))
        return ""

    def observation(self, env: Env, size: int) -> str:
        t = self.finite_type()
        options = 2 if t == Bool() else 3
        value = self.expr(t, env, size)
        return f"observe {value} ~ {self.expr(Dist(t, options, full=True), env, size)}"

    def score_if(self, frame: Frame) -> str:
        cond = head(self.expr(Bool(), frame.env, frame.size - 1))
        line = f"factor {self.score(frame.env, frame.size - 1)}"
        frame.lines.append(f"if {cond} {braces([line])}")
        return ""

    def score_each(self, frame: Frame) -> str:
        """`for … { observe … }`."""
        x, over, inner = self.loop(self.integer(3, 4), frame.env, frame.size - 1)
        names = [name for name in inner.types if name not in frame.env.types]
        line = self.observation(inner, 1)
        observed = [
            k
            for k in names
            if isinstance(inner.types[k], (Bool, Nat)) and fits(inner.types[k], Nat(3))
        ]
        if observed and self.flip():
            line = f"observe {observed[0]} ~ {self.expr(Dist(Nat(3), 3, full=True), inner, 1)}"
        frame.lines.append(f"for {x} in {over} {braces([line])}")
        return ""

    def rule_out(self, frame: Frame) -> str:
        """A draw, then a score that is zero for at most one of its options."""
        weights = self.weights(3, frame.env, frame.size)
        z = self.bind(frame, "z", Nat(3), lambda name: f"{name} ~ categorical({weights})")
        frame.spend(3)
        k, env, size = self.integer(0, 2), frame.env, frame.size - 1
        zero = self.weights(3, env, 0, zero=True)
        ways: list[tuple[int, Text]] = [
            (3, lambda: f"condition {z} != {k}"),
            (1, lambda: f"condition {z} != {k} or {operand(self.expr(Bool(), env, size))}"),
            (1, lambda: f"observe {z} ~ categorical({zero})"),
            (1, lambda: f"factor log({zero}[{z}])"),
        ]
        if self.on("branches"):
            cond = head(self.expr(Bool(), env, size))
            ways.append((1, lambda: f"if {cond} {{ condition {z} != {k} }}"))
        frame.lines.append(self.pick(ways))
        return ""

    # -- stages, as of a filter: a choice that depends on the last, and a score that tells it

    def stage(self, frame: Frame) -> str:
        """One more suspension point, at a score that differs between the values of a choice."""
        if frame.paths >= 2 and self.integer(0, 2) > 0:
            self.follow(frame)
        p = self.telling(frame)
        ways: list[tuple[int, Text]] = [
            (2, lambda: f"factor log({p})"),
            (1, lambda: f"observe true ~ bernoulli({p})"),
        ]
        frame.lines.append(self.pick(ways))
        return ""

    def follow(self, frame: Frame) -> None:
        """A choice whose law depends on an earlier one, or which is made for some of its values."""
        before, options = self.choice(frame)
        way = self.integer(0, 3)
        item, paths = Bool(), 2
        if way == 1 and frame.paths >= 3:
            laws = [self.weights(3, frame.env, 0) for _ in range(options)]
            item, paths, text = Nat(3), 3, f"categorical([{', '.join(laws)}][{before}])"
        elif way > 1 and self.on("branches"):
            made, other = f"x{next(self.names)}", ("false", "true")[way % 2]
            lines = [f"{made} ~ bernoulli({self.telling(frame)})", f"return {made}"]
            text = f"if {before} == {self.integer(0, options - 1)} {braces(lines)} "
            text += f"else {{ return {other} }}"
        else:
            text = f"bernoulli({self.telling(frame)})"
        self.bind(frame, "x", item, lambda name: f"{name} ~ {text}")
        frame.spend(paths)

    def telling(self, frame: Frame) -> str:
        """A probability that is another one for every value of a choice."""
        name, options = self.choice(frame)
        return f"[{', '.join(self.fraction() for _ in range(options))}][{name}]"

    def choice(self, frame: Frame) -> tuple[str, int]:
        """One of the choices of this block, as an index, and its number of values."""
        known = [
            (name, 2) if t == Bool() else (name, t.size)
            for name, t in reversed(frame.env.types.items())
            if name in frame.env.fixed - self.protected and (t == Bool() or isinstance(t, Nat))
        ]
        name, size = known[self.integer(0, len(known) - 1)]
        return (f"indicator({name})" if frame.env.types[name] == Bool() else name), size
