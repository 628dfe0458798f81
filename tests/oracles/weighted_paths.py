"""A second oracle for finite programs: run one path at a time, each on a new tape of choices.

Written from the definition of the language alone, in floating point, by another technique than
`rational`: an ordinary interpreter runs a path, taking its choices from a tape and writing down how
many options each had; the driver then advances the tape like an odometer. Arrays are lists,
records dicts, functions Python's own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ppl.lang import syntax as s


class Unsupported(Exception):
    """The program uses something that this oracle does not know."""


class Dead(Exception):
    """This path has weight 0."""


class Spent(Exception):
    """This path is out of fuel."""


@dataclass
class Tape:
    """Choices to repeat, then 0s; and how many options each choice had."""

    choices: list[int]
    sizes: list[int] = field(default_factory=list)

    def choose(self, n: int) -> int:
        at = len(self.sizes)
        self.sizes.append(n)
        if at == len(self.choices):
            self.choices.append(0)
        return self.choices[at]

    def next(self) -> Tape | None:
        choices = self.choices[: len(self.sizes)]
        while choices and choices[-1] + 1 == self.sizes[len(choices) - 1]:
            choices.pop()
        return Tape([*choices[:-1], choices[-1] + 1]) if choices else None


@dataclass
class Frame:
    """Where sites are being named, and how often each step has been taken from here."""

    path: str = ""
    indexed: bool = False
    taken: dict[str, int] = field(default_factory=dict)

    #: whether anything was run or scored here
    used: bool = False

    def step(self, name: str) -> Frame:
        self.used = True
        self.taken[name] = count = self.taken.get(name, 0) + 1
        return Frame(f"{self.path}/{name}{f'#{count}' if count > 1 else ''}".lstrip("/"))

    def at(self, i: Any) -> Frame:
        if self.indexed:
            return Frame(f"{self.path[:-1]},{i}]", True)
        return Frame(f"{self.path}[{i}]", True)


@dataclass
class Later:
    """A measure that is not a distribution: what to do in a frame."""

    run: Callable[[Frame], Any]


@dataclass
class Dist:
    options: list[tuple[Any, float]]
    scalar: bool = False

    def prob(self, x: Any) -> float:
        if self.scalar and isinstance(x, list):
            return math.prod(map(self.prob, x))
        return sum(p for v, p in self.options if v == x)


def each(f, *args):
    """f on scalars; elementwise where some argument is a list."""
    lists = [a for a in args if isinstance(a, list)]
    if not lists:
        return f(*args)
    rows = [a if isinstance(a, list) else [a] * len(lists[0]) for a in args]
    return [each(f, *row) for row in zip(*rows, strict=True)]


def independent(dists) -> Dist:
    """Of a (nested) list of distributions, the joint one."""
    if isinstance(dists, Dist):
        return dists
    joint: list[tuple[Any, float]] = [([], 1.0)]
    for d in dists:
        joint = [([*xs, x], w * p) for xs, w in joint for x, p in independent(d).options]
    return Dist(joint)


def given_between(d: Dist, lower: float = -math.inf, upper: float = math.inf) -> Dist:
    inside = [(v, p) for v, p in d.options if lower <= v <= upper]
    mass = sum(p for _, p in inside)
    return Dist([(v, p / mass) for v, p in inside])


def leaves(x: Any) -> list[Any]:
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, list) else [x]


def flip(p: float) -> Dist:
    return Dist([(False, 1 - p), (True, p)], scalar=True)


def successes(n: int, p: float) -> Dist:
    return Dist(
        [(k, math.comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)], scalar=True
    )


def ints(a: int, b: int) -> Dist:
    return Dist([(k, 1 / (b - a + 1)) for k in range(a, b + 1)], scalar=True)


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "^": lambda a, b: a**b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
}
LIBRARY: dict[str, Any] = {
    "log": lambda x: each(lambda a: math.log(a) if a > 0 else -math.inf, x),
    "exp": lambda x: each(math.exp, x),
    "indicator": lambda b: each(int, b),
    "abs": lambda x: each(abs, x),
    "square": lambda x: each(lambda a: a * a, x),
    "min": lambda x, *y: each(min, x, *y) if y else min(leaves(x)),
    "max": lambda x, *y: each(max, x, *y) if y else max(leaves(x)),
    "minimum": lambda x: min(leaves(x)),
    "maximum": lambda x: max(leaves(x)),
    "sum": lambda x: sum(leaves(x)),
    "prod": lambda x: math.prod(leaves(x)),
    "mean": lambda x: sum(leaves(x)) / len(leaves(x)),
    "any": lambda x: True in leaves(x),
    "all": lambda x: False not in leaves(x),
    "count": lambda x: leaves(x).count(True),
    "len": len,
    "range": lambda *ends: list(range(*ends)),
    "zip": lambda *xs: [tuple(row) for row in zip(*xs, strict=True)],
    "enumerate": lambda xs: list(enumerate(xs)),
    "concat": lambda a, b: a + b,
    "reverse": lambda xs: xs[::-1],
    "repeat": lambda x, n: [x] * n,
    "bernoulli": lambda p: independent(each(flip, p)),
    "binomial": lambda n, p: independent(each(successes, n, p)),
    "discrete_uniform": lambda lo, hi: independent(each(ints, lo, hi)),
    "categorical": lambda p: Dist(list(enumerate(p))),
    "dirac": lambda x: Dist([(x, 1.0)]),
    "mixture": lambda w, ds: Dist(
        [(v, a * p) for a, d in zip(w, ds, strict=True) for v, p in d.options]
    ),
    "truncate": given_between,
}


class Path:
    """One run of a program on one tape."""

    def __init__(self, module: s.Module, tape: Tape, fuel: int):
        self.tape, self.fuel = tape, fuel
        self.weight = 1.0
        self.sites: dict[str, Any] = {}
        self.library = dict(
            LIBRARY, mem=self.mem, iid=self.iid, normalize=self.normalize, exact="exact"
        )
        for item in module.items:
            if isinstance(item, s.Function):
                self.library[item.name] = self.function(item.params, item.body, {})
            elif isinstance(item, s.TypeDecl):
                for c in item.constructors:
                    make = lambda *args, name=c.name: (name, *args)  # noqa: E731
                    self.library[c.name] = make if c.fields else make()

    # -- measures: Dist or Later

    def draw(self, m: Any, frame: Frame) -> Any:
        if not isinstance(m, Dist):
            return m.run(frame)
        options = [(v, p) for v, p in merged(m.options) if p > 0]
        value, p = options[self.tape.choose(len(options))]
        self.weight *= p
        if frame.path in self.sites:
            raise AssertionError(f"two draws at {frame.path}")
        self.sites[frame.path] = freeze(value)
        return value

    def score(self, w: float, frame: Frame) -> None:
        frame.used = True
        self.weight *= w
        if self.weight == 0:
            raise Dead

    def iid(self, n: int, d: Any) -> Any:
        if isinstance(d, Dist):
            return independent([d] * n)
        return Later(lambda frame: [self.draw(d, frame.at(i)) for i in range(n)])

    def mem(self, f: Any) -> Any:
        def measure(frame: Frame) -> Any:
            table: dict[Any, Any] = {}

            def ask(*args: Any) -> Any:
                key = freeze(args)
                if key not in table:
                    table[key] = self.draw(f(*args), frame.at(args[0] if len(args) == 1 else args))
                return table[key]

            return ask

        return Later(measure)

    def normalize(self, m: Any, method: Any) -> Dist:
        """Enumerate the inside with a tape of its own; the outside's state is put back after."""
        saved = self.tape, self.weight, self.sites
        options: list[tuple[Any, float]] = []
        tape: Tape | None = Tape([])
        while tape is not None:
            self.tape, self.weight, self.sites = tape, 1.0, {}
            try:
                value = self.draw(m, Frame())
                options.append((value, self.weight))
            except Dead:
                pass
            tape = tape.next()
        self.tape, self.weight, self.sites = saved
        mass = sum(w for _, w in options)
        return Dist([(v, w / mass) for v, w in options])

    def burn(self) -> None:
        if self.fuel == 0:
            raise Spent
        self.fuel -= 1

    # -- values

    def function(self, params: tuple[s.ParamDecl, ...], body: s.Expr, env: dict[str, Any]) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            inner = dict(env)
            for i, p in enumerate(params):
                if i < len(args):
                    given = args[i]
                else:
                    name = getattr(p.pattern, "name", None)
                    given = named[name] if name in named else self.value(p.default, {})
                self.match(p.pattern, given, inner)
            self.burn()
            return self.value(body, inner)

        return call

    def match(self, pattern: s.Pattern, value: Any, env: dict[str, Any]) -> bool:
        if isinstance(pattern, s.PWild):
            return True
        if isinstance(pattern, s.PName):
            env[pattern.name] = value
            return True
        if isinstance(pattern, s.PLit):
            return pattern.value == value
        if isinstance(pattern, s.PTuple):
            return all([self.match(p, v, env) for p, v in zip(pattern.items, value, strict=True)])
        if isinstance(pattern, s.PRecord):
            return all([self.match(p, value[k], env) for k, p in pattern.fields])
        if isinstance(pattern, s.PCons):
            return value[0] == pattern.name and all(
                [self.match(p, v, env) for p, v in zip(pattern.args, value[1:], strict=True)]
            )
        raise Unsupported(type(pattern).__name__)

    def value(self, e: Any, env: dict[str, Any]) -> Any:
        if waits(e):
            return Later(lambda frame: self.perform(e, env, frame))
        try:
            method = getattr(self, f"value_{type(e).__name__}")
        except AttributeError:
            raise Unsupported(type(e).__name__) from None
        return method(e, env)

    def value_Lit(self, e: s.Lit, env: Any) -> Any:
        return () if e.value is None else e.value

    def value_Name(self, e: s.Name, env: dict[str, Any]) -> Any:
        if e.name in env:
            return env[e.name]
        if e.name in self.library:
            return self.library[e.name]
        raise Unsupported(e.name)

    def value_Tuple(self, e: s.Tuple, env: Any) -> Any:
        return tuple(self.value(x, env) for x in e.items)

    def value_ArrayLit(self, e: s.ArrayLit, env: Any) -> Any:
        return [self.value(x, env) for x in e.items]

    def value_Record(self, e: s.Record, env: Any) -> Any:
        return {k: self.value(x, env) for k, x in e.fields}

    def value_Field(self, e: s.Field, env: Any) -> Any:
        whole = self.value(e.value, env)
        return whole[e.name] if isinstance(whole, dict) else whole[int(e.name)]

    def value_Unary(self, e: s.Unary, env: Any) -> Any:
        x = self.value(e.value, env)
        return each((lambda a: not a) if e.op == "not" else (lambda a: -a), x)

    def value_Binary(self, e: s.Binary, env: Any) -> Any:
        left, right = self.value(e.left, env), self.value(e.right, env)
        if e.op in ("==", "!="):
            return (left == right) == (e.op == "==")
        return each(OPERATORS[e.op], left, right)

    def value_Cast(self, e: s.Cast, env: Any) -> Any:
        return self.value(e.value, env)

    def value_Index(self, e: s.Index, env: Any) -> Any:
        whole = self.value(e.value, env)
        for item in e.items:
            if isinstance(item, s.Slice):
                if len(e.items) > 1:
                    raise Unsupported("slices of several dimensions")
                lo, hi = (None if x is None else self.value(x, env) for x in (item.lo, item.hi))
                return whole[lo:hi]
            place = self.value(item, env)
            if isinstance(place, int) and place < 0 and not isinstance(item, s.Unary):
                raise IndexError(place)
            whole = [whole[k] for k in place] if isinstance(place, list) else whole[place]
        return whole

    def value_Call(self, e: s.Call, env: Any) -> Any:
        f = self.value(e.fn, env)
        args = [self.value(x, env) for x in e.args]
        return f(*args, **{k: self.value(x, env) for k, x in e.named})

    def value_Lambda(self, e: s.Lambda, env: Any) -> Any:
        return self.function(e.params, e.body, env)

    def value_Block(self, e: s.Block, env: Any) -> Any:
        env = dict(env)
        out: Any = ()
        for line in e.statements:
            if isinstance(line, s.Let):
                self.match(line.pattern, self.value(line.expr, env), env)
            elif isinstance(line, s.ExprStmt):
                out = self.value(line.expr, env)
        return out

    def value_If(self, e: s.If, env: Any) -> Any:
        arm = e.then if self.value(e.cond, env) else e.other
        return Later(lambda frame: ()) if arm is None else self.value(arm, env)

    def value_Match(self, e: s.Match, env: Any) -> Any:
        arm, inner = self.select(e, env)
        return self.value(arm.body, inner)

    def value_Comprehension(self, e: s.Comprehension, env: Any) -> Any:
        out = []
        for x in self.value(e.over, env):
            inner = dict(env)
            self.match(e.pattern, x, inner)
            if e.guard is None or self.value(e.guard, inner):
                out.append(self.value(e.item, inner))
        return out

    def value_Scan(self, e: s.Scan, env: Any) -> Any:
        """Pure; or, if the body's value is a measure, one that is run later."""
        carry, states = self.value(e.init, env), []
        for x in self.value(e.over, env):
            inner = dict(env)
            self.match(e.carry, carry, inner)
            self.match(e.pattern, x, inner)
            carry = self.value(e.body, inner)
            if isinstance(carry, (Dist, Later)):
                return Later(lambda frame: self.perform(e, env, frame))
            states.append(carry)
        return states if e.keep == "all" else carry

    def value_Iterate(self, e: s.Iterate, env: Any) -> Any:
        return self.iterate(e, env, lambda inner, k: self.value(e.body, inner))

    def iterate(self, e: s.Iterate, env: Any, body: Any) -> Any:
        carry, k = self.value(e.init, env), 0
        limit = math.inf if e.limit is None else self.value(e.limit, env)
        while k < limit:
            inner = dict(env)
            self.match(e.carry, carry, inner)
            if self.value(e.until, inner):
                break
            self.burn()
            carry, k = body(inner, k), k + 1
        return carry

    def select(self, e: s.Match, env: Any) -> tuple[s.Arm, dict[str, Any]]:
        subject = self.value(e.subject, env)
        for arm in e.arms:
            inner = dict(env)
            if self.match(arm.pattern, subject, inner):
                if arm.guard is None or self.value(arm.guard, inner):
                    return arm, inner
        raise AssertionError("no arm matches")

    # -- runs

    def perform(self, e: Any, env: dict[str, Any], frame: Frame, how: str = "last") -> Any:
        """Run a measure expression in a frame.

        `how` says what the path shows of it: nothing if it is "bound" to a name, whose step the
        frame then is; else its own name, where "last" spares distributions, and a loop that is
        the only thing that its frame runs; in the "middle" there is no exception.
        """
        if isinstance(e, s.Block) and not waits(e):
            env = dict(env)
            for line in e.statements[:-1]:
                self.match(line.pattern, self.value(line.expr, env), env)  # type: ignore
            return self.perform(e.statements[-1].expr, env, frame, how)  # type: ignore
        if isinstance(e, s.Block):
            return self.block(e, dict(env), frame, how != "middle")
        if isinstance(e, s.If):
            holds = self.value(e.cond, env)
            here = frame
            if silent(e) is False:
                yes, no = frame.step("then"), frame.step("else")
                here = yes if holds else no
            arm = e.then if holds else e.other
            return () if arm is None else self.perform(arm, env, here)
        if isinstance(e, s.Match):
            frames = [frame if silent(a.body) else frame.step(label(a.pattern)) for a in e.arms]
            arm, inner = self.select(e, env)
            return self.perform(arm.body, inner, frames[e.arms.index(arm)])
        if isinstance(e, (s.For, s.Scan, s.Iterate)):
            if how == "middle" or (how == "last" and frame.used):
                word = {"all": "scan", "last": "fold"}.get(getattr(e, "keep", ""))
                frame = frame.step(word or type(e).__name__.lower())
            frame.used = True
            return self.repeat(e, env, frame)
        m = self.value(e, env)
        distribution = isinstance(m, Dist) or label_of(e) in ("iid", "truncate", "mixture")
        if how == "bound" or (how == "last" and distribution):
            return self.draw(m, frame)
        return self.draw(m, frame.step(label_of(e)))

    def repeat(self, e: Any, env: dict[str, Any], frame: Frame) -> Any:
        """Run a loop whose iterations are named by their index in this frame."""
        if isinstance(e, s.Iterate):
            return self.iterate(e, env, lambda inner, k: self.perform(e.body, inner, frame.at(k)))
        states = []
        carry = self.value(e.init, env) if isinstance(e, s.Scan) else None
        for i, x in enumerate(self.value(e.over, env)):
            inner = dict(env)
            if isinstance(e, s.Scan):
                self.match(e.carry, carry, inner)
            self.match(e.pattern, x, inner)
            carry = self.perform(e.body, inner, frame.at(i))
            states.append(carry)
        return carry if getattr(e, "keep", "all") == "last" else states

    def block(self, e: s.Block, env: dict[str, Any], frame: Frame, tail: bool) -> Any:
        out: Any = ()
        for line in e.statements:
            out = ()
            match line:
                case s.Let():
                    self.match(line.pattern, self.value(line.expr, env), env)
                case s.Draw(pattern=s.PName(name=name)):
                    env[name] = self.perform(line.expr, env, frame.step(name), "bound")
                case s.Draw():
                    value = self.perform(line.expr, env, frame, "middle")
                    drawn: dict[str, Any] = {}
                    self.match(line.pattern, value, drawn)
                    for name in drawn:
                        frame.step(name)
                    env.update(drawn)
                case s.Observe():
                    x = self.value(line.value, env)
                    self.score(self.value(line.dist, env).prob(x), frame)
                case s.Factor():
                    self.score(math.exp(self.value(line.value, env)), frame)
                case s.Condition():
                    self.score(1.0 if self.value(line.value, env) else 0.0, frame)
                case s.Checkpoint():
                    self.score(1.0, frame)
                case s.Return():
                    out = self.value(line.value, env)
                case s.ExprStmt():
                    last = tail and line is e.statements[-1]
                    out = self.perform(line.expr, env, frame, "last" if last else "middle")
                case _:
                    raise Unsupported(type(line).__name__)
        return out


def waits(e: Any) -> bool:
    """Whether e is a measure by its form: its effects wait until it is run."""
    if isinstance(e, s.Block):
        *init, last = e.statements or (None,)
        return any(not isinstance(x, s.Let) for x in init) or not (
            last is None or isinstance(last, (s.Let, s.ExprStmt))
        )
    if isinstance(e, (s.Scan, s.Iterate)):
        return waits(e.body)
    return isinstance(e, s.For)


def silent(e: Any) -> bool:
    """Whether running e can neither draw nor score."""
    if isinstance(e, s.Block):
        return all(
            isinstance(x, (s.Let, s.Return))
            or (isinstance(x, (s.Draw, s.ExprStmt)) and silent(x.expr))
            for x in e.statements
        )
    if isinstance(e, s.If):
        return silent(e.then) and silent(e.other)
    if isinstance(e, s.Match):
        return all(silent(a.body) for a in e.arms)
    if isinstance(e, (s.For, s.Scan, s.Iterate)):
        return silent(e.body)
    return e is None


def label(p: s.Pattern) -> str:
    """What an arm is called in a path."""
    if isinstance(p, s.PTuple):
        return ",".join(map(label, p.items))
    if isinstance(p, s.PLit):
        return str(p.value).lower() if isinstance(p.value, bool) else str(p.value)
    return p.name if isinstance(p, s.PCons) else "_"


def label_of(e: Any) -> str:
    """What a run without a binder is called."""
    while isinstance(e, (s.Call, s.Index)):
        e = e.fn if isinstance(e, s.Call) else e.value
    return getattr(e, "name", "run")


def merged(options: list[tuple[Any, float]]) -> list[tuple[Any, float]]:
    out: list[tuple[Any, float]] = []
    for v, p in options:
        for i, (w, q) in enumerate(out):
            if v is w or (not callable(v) and v == w):
                out[i] = (w, p + q)
                break
        else:
            out.append((v, p))
    return out


def freeze(x: Any) -> Any:
    """Hashable, with numbers rounded to nine digits so that equal ones meet."""
    if isinstance(x, (list, tuple)):
        return tuple(map(freeze, x))
    if isinstance(x, dict):
        return tuple(sorted((k, freeze(v)) for k, v in x.items()))
    return round(x, 9) if isinstance(x, float) else x


def law(
    module: s.Module, model: str, data: dict[str, Any] | None = None, *, fuel: int = 1_000
) -> tuple[dict[tuple[Any, frozenset], float], float]:
    """The mass of each (result, sites), and the mass that ran out of fuel."""
    joint: defaultdict[tuple[Any, frozenset], float] = defaultdict(float)
    lost = 0.0
    tape: Tape | None = Tape([])
    while tape is not None:
        path = Path(module, tape, fuel)
        try:
            result = path.draw(path.library[model](**(data or {})), Frame())
            joint[freeze(result), frozenset(path.sites.items())] += path.weight
        except Dead:
            pass
        except Spent:
            lost += path.weight
        tape = tape.next()
    return dict(joint), lost
