"""Which variables are known while a program is compiled, whatever is drawn, and which recursion is.

XLA unrolls recursion that ends by what is known, and runs tail recursion that does not as a loop,
whose arguments are then not known: the two are decided together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ppl.semantics import ir
from ppl.semantics.analysis.calls import components
from ppl.semantics.analysis.shapes import static_params
from ppl.semantics.analysis.tails import TailRecursion, tail_recursion
from ppl.semantics.ir_map import nodes
from ppl.semantics.signatures import TEXT_ROWS
from ppl.semantics.types import TEXT, Array

#: primitives whose result is known while compiling if their arguments are
_FOLDED = frozenset(
    "add sub mul div floordiv mod pow neg lt gt le ge eq ne and or not min max abs square "
    "indicator exp log sqrt to_real checked_nat checked_pos checked_prob checked_int "
    "checked_bool".split()
) | (TEXT_ROWS - {"split", "chars", "join"})


@dataclass(frozen=True)
class Known:
    """variables: those known while compiling. loops: the functions whose tail recursion ends by
    what is not known. deep: calls of other recursion that does, by function."""

    variables: frozenset[str]
    loops: tuple[TailRecursion, ...]
    deep: tuple[tuple[str, ir.Node], ...]

    def value(self, v: ir.Node | None, more: frozenset[str] = frozenset()) -> bool:
        """Whether a value is known, if the variables in `more` are."""
        return _known(v, self.variables | more)


def what_is_known(program: ir.Program) -> Known:
    """Decided on the IR alone; linear in its size, times the depth of its calls."""
    groups = {name: frozenset(group) for group in components(program) for name in group}
    tails = {f.name: t for f in program.functions if (t := tail_recursion(f)) is not None}
    loops: dict[str, TailRecursion] = {}
    while True:
        carried = {p.name for name in loops for p in program.by_name[name].params}
        variables = _variables(program, carried)
        deep = [
            (f.name, call)
            for f in program.functions
            for call in _undecided(f, groups[f.name] - loops.keys(), variables)
        ]
        more = {name: tails[name] for name, _ in deep if name in tails}
        if not more:
            return Known(variables, tuple(loops.values()), tuple(deep))
        loops |= more


def _variables(program: ir.Program, carried: set[str]) -> frozenset[str]:
    """The greatest set of variables whose definitions are known if those in it are."""
    defined = list(_definitions(program))
    fixed = static_params(program)
    known = {name for name, _ in defined} | fixed
    for f in program.functions:
        known |= {p.name for p in f.params}
    defined += [(_result(f.name), f.body) for f in program.functions]
    known |= {_result(f.name) for f in program.functions}
    entry = {p.name for p in program.entry.params if p.type != TEXT} - fixed
    known -= entry | carried | set(_called_from_anywhere(program))
    while True:
        fewer = {name for name, v in defined if name in known and not _known(v, known)}
        if not fewer:
            return frozenset(known)
        known -= fewer


def _result(function: str) -> str:
    """A function's result among the variables: spaces keep it apart from them."""
    return f"the result of {function}"


def _definitions(program: ir.Program) -> Iterator[tuple[str, ir.Node | None]]:
    """(variable, what it is bound to), several for a parameter; None for what is not known."""
    for f in program.functions:
        for n in nodes(f.body):
            match n:
                case ir.Block(binds=binds):
                    yield from ((b.name, b.comp) for b in binds)
                case ir.Call(fn=ir.Global(name=name), args=args):
                    params = program.by_name[name].params
                    yield from zip((p.name for p in params), args, strict=True)
                case ir.Lam(params=params):
                    yield from ((p.name, None) for p in params)
                case ir.For(param=p):
                    yield p.name, None
                case ir.Scan(carry=c, param=p):
                    yield from ((c.name, None), (p.name, None))
                case ir.Iterate(carry=c):
                    yield c.name, None
                case ir.Match(arms=arms):
                    yield from ((p.name, None) for a in arms for p in a.params)


def _called_from_anywhere(program: ir.Program) -> Iterator[str]:
    """Parameters of functions that are used as values."""
    for f in program.functions:
        for n in nodes(f.body):
            called = n.fn if isinstance(n, ir.Call) else None
            for child in ir.children(n):
                if isinstance(child, ir.Global) and child is not called:
                    yield from (p.name for p in program.by_name[child.name].params)


def _known(v: ir.Node | None, known: frozenset[str] | set[str]) -> bool:
    match v:
        case ir.Lit():
            return True
        case ir.Var(name=name):
            return name in known
        case ir.Return(value=value) | ir.At(body=ir.Return(value=value)):
            return _known(value, known)
        case ir.Op(op="len", args=(xs,)):
            return isinstance(xs.type, Array) or _known(xs, known)
        case ir.Op(op="index" | "slice", type=t, args=args) if t == TEXT:
            return args[0].type == TEXT and all(_known(a, known) for a in args)
        case ir.Call(type=t, fn=ir.Global(name=name), args=args) if t == TEXT:
            return _result(name) in known and all(_known(a, known) for a in args)
        case ir.Op(op=op, args=args):
            return op in _FOLDED and all(_known(a, known) for a in args)
        case ir.Block(result=result):
            return _known(result, known)
        case ir.If(cond=cond, then=then, other=other):
            return all(_known(x, known) for x in (cond, then, other))
        case ir.MakeTuple(items=items) | ir.MakeRecord(items=items):
            return all(_known(x, known) for x in items)
        case ir.Proj(value=value) | ir.Get(value=value):
            return _known(value, known)
        case _:
            return False


def _undecided(
    f: ir.Function, recursive: frozenset[str], known: frozenset[str]
) -> Iterator[ir.Node]:
    """Mentions of what is recursive with a function that no known condition guards.

    A known condition does not guard a call of the function itself that leaves all parameters it
    is about as they are: it would come out the same again.
    """
    params = frozenset(p.name for p in f.params)
    todo: list[tuple[ir.Node, bool, frozenset[str]]] = [(f.body, False, frozenset())]
    while todo:
        n, decided, guards = todo.pop()
        match n:
            case ir.Call(fn=ir.Global(name=name), args=args) if name in recursive:
                if not decided or (name == f.name and guards and _same(f, args, guards)):
                    yield n
                todo += [(a, decided, guards) for a in args]
            case ir.Global(name=name) if name in recursive and not decided:
                yield n
            case ir.If(cond=cond, then=then, other=other):
                todo.append((cond, decided, guards))
                if _known(cond, known):
                    decided, guards = True, guards | (_behind(cond, f) & params)
                todo += [(then, decided, guards), (other, decided, guards)]
            case _:
                todo += [(child, decided, guards) for child in ir.children(n)]


def _same(f: ir.Function, args: tuple[ir.Value, ...], names: frozenset[str]) -> bool:
    """Whether a call of the function itself leaves these parameters as they are."""
    return all(
        isinstance(a, ir.Var) and a.name == p.name
        for a, p in zip(args, f.params, strict=True)
        if p.name in names
    )


def _behind(v: ir.Node, f: ir.Function) -> frozenset[str]:
    """The variables of a function that a value is computed from."""
    bound = {b.name: b.comp for n in nodes(f.body) if isinstance(n, ir.Block) for b in n.binds}
    found: set[str] = set()
    todo = [v]
    while todo:
        for n in nodes(todo.pop()):
            if isinstance(n, ir.Var) and n.name not in found:
                found.add(n.name)
                if n.name in bound:
                    todo.append(bound[n.name])
    return frozenset(found)
