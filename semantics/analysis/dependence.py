"""What each part of a computation's result depends on: variables from outside, and randomness.

Structure is followed through tuples and records (an array has the structure of its elements), so
that two components of a loop's state are told apart. A loop's body is analysed once: its state is
a set of symbols, and how they depend on each other is closed afterwards. Linear in the size of the
computation times the number of parts of the states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from ppl.semantics import ir
from ppl.semantics.types import Array, Record, Tuple, Type


@dataclass(frozen=True)
class Dependence:
    """One part's dependence: free variables, and whether it depends on what was run."""

    variables: frozenset[str] = frozenset()
    random: bool = False

    def __or__(self, other: Dependence) -> Dependence:
        return Dependence(self.variables | other.variables, self.random or other.random)


#: a part that is not taken apart, or the parts of a tuple (by number) or a record (by name)
Tree = Dependence | Mapping[str, "Tree"]

_NOTHING = Dependence()
_RANDOM = Dependence(random=True)


def dependencies(comp: ir.Comp) -> Tree:
    """The dependence of the result on the free variables of `comp` and on what it runs.

    A variable stands for its value, whole: `x.0` depends on `x`. That a score makes variables
    dependent given the data is not counted.
    """
    return _comp(comp, {})


def flatten(tree: Tree) -> dict[tuple[str, ...], Dependence]:
    """The parts by path: `("0", "x")` is the field x of component 0."""
    return dict(_leaves(tree))


def _leaves(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Dependence]]:
    if isinstance(tree, Dependence):
        yield path, tree
    else:
        for name, part in tree.items():
            yield from _leaves(part, (*path, name))


def _whole(tree: Tree) -> Dependence:
    return reduce(Dependence.__or__, (d for _, d in _leaves(tree)), _NOTHING)


def _join(a: Tree, b: Tree) -> Tree:
    if isinstance(a, Dependence) or isinstance(b, Dependence):
        if isinstance(a, Dependence) and isinstance(b, Dependence):
            return a | b
        whole, parts = (a, b) if isinstance(a, Dependence) else (b, a)
        return _map(parts, lambda d: d | whole)  # type: ignore[operator]
    return {k: _join(t, b[k]) for k, t in a.items()}


def _map(tree: Tree, f) -> Tree:
    if isinstance(tree, Dependence):
        return f(tree)
    return {k: _map(t, f) for k, t in tree.items()}


def _also(tree: Tree, d: Dependence) -> Tree:
    return tree if d == _NOTHING else _map(tree, lambda x: x | d)


def _part(tree: Tree, name: str) -> Tree:
    return tree if isinstance(tree, Dependence) else tree[name]


Env = Mapping[str, Tree]


def _values(values: tuple[ir.Value, ...], env: Env) -> Dependence:
    return reduce(Dependence.__or__, (_whole(_value(v, env)) for v in values), _NOTHING)


def _value(v: ir.Value, env: Env) -> Tree:
    match v:
        case ir.Lit() | ir.Global():
            return _NOTHING
        case ir.Var(name=name):
            return env.get(name, Dependence(frozenset((name,))))
        case ir.MakeTuple(items=items):
            return {str(i): _value(x, env) for i, x in enumerate(items)}
        case ir.MakeRecord(names=names, items=items):
            return {k: _value(x, env) for k, x in zip(names, items, strict=True)}
        case ir.Proj(value=value, index=index):
            return _part(_value(value, env), str(index))
        case ir.Get(value=value, name=name):
            return _part(_value(value, env), name)
        case ir.MakeArray(items=items) if items:
            return reduce(_join, (_value(x, env) for x in items))
        case ir.Op(op="index" | "slice" | "columns" | "columns_slice", args=(xs, *rest)):
            return _also(_value(xs, env), _values(tuple(rest), env))
        case ir.Op(op="zip", args=args):
            return {str(i): _value(x, env) for i, x in enumerate(args)}
        case ir.Op(op="enumerate", args=(xs,)):
            return {"0": _NOTHING, "1": _value(xs, env)}
        case ir.Op(args=args) | ir.Make(args=args):
            return _values(args, env)
        case _:  # functions and measures: what they close over
            names = v.free
            inner = (_whole(env.get(n, Dependence(frozenset((n,))))) for n in names)
            return reduce(Dependence.__or__, inner, _NOTHING)


def _comp(c: ir.Comp, env: Env) -> Tree:
    match c:
        case ir.Return(value=value):
            return _value(value, env)
        case ir.Block(binds=binds, result=result):
            inner = dict(env)
            for b in binds:
                inner[b.name] = _comp(b.comp, inner)
            return _comp(result, inner)
        case ir.Call(fn=fn, args=args):
            return _values((fn, *args), env)
        case ir.Run(measure=measure):
            return _whole(_value(measure, env)) | _RANDOM
        case ir.At(body=body):
            return _comp(body, env)
        case ir.If(cond=cond, then=then, other=other):
            return _also(_join(_comp(then, env), _comp(other, env)), _whole(_value(cond, env)))
        case ir.Match(subject=subject, arms=arms):
            on = _whole(_value(subject, env))
            fields = [{**env, **{p.name: on for p in a.params}} for a in arms]
            results = (_comp(a.body, e) for a, e in zip(arms, fields, strict=True))
            return _also(reduce(_join, results), on)
        case ir.For(param=param, over=over, body=body, guard=guard):
            inner = {**env, param.name: _value(over, env)}
            out = _comp(body, inner)
            return out if guard is None else _also(out, _whole(_comp(guard, inner)))
        case ir.Scan(carry=carry, init=init, param=param, over=over, body=body):
            inner = {**env, param.name: _value(over, env)}
            return _loop(carry, _value(init, env), body, inner, None)
        case ir.Iterate(carry=carry, init=init, until=until, body=body):
            return _loop(carry, _value(init, env), body, env, until)
        case _:  # observations and scores return ()
            return _NOTHING


def _loop(carry: ir.Param, init: Tree, body: ir.Comp, env: Env, until: ir.Comp | None) -> Tree:
    """The least state above `init` that the body maps below itself."""
    state = _symbols(carry.type, carry.name)
    inner = {**env, carry.name: state}
    after = _comp(body, inner)
    when = _NOTHING if until is None else _whole(_comp(until, inner))
    start = {name: _whole(_at(init, path)) for path, name in _names(state)}
    step = {name: _whole(_at(after, path)) | when for path, name in _names(state)}
    closed = {name: _reach(name, start, step) for name in start}
    return _map(state, lambda d: closed[next(iter(d.variables))])


def _symbols(t: Type, name: str) -> Tree:
    """A tree with a variable of its own at each part of a state; the names have spaces."""
    while isinstance(t, Array):
        t = t.item
    match t:
        case Tuple(items):
            return {str(i): _symbols(x, f"{name} {i}") for i, x in enumerate(items)}
        case Record(fields):
            return {k: _symbols(x, f"{name} {k}") for k, x in fields}
        case _:
            return Dependence(frozenset((f"{name} ",)))


def _names(state: Tree) -> Iterator[tuple[tuple[str, ...], str]]:
    for path, d in _leaves(state):
        yield path, next(iter(d.variables))


def _at(tree: Tree, path: tuple[str, ...]) -> Tree:
    for name in path:
        tree = _part(tree, name)
    return tree


def _reach(
    name: str, start: Mapping[str, Dependence], step: Mapping[str, Dependence]
) -> Dependence:
    """What a part of the state depends on after any number of steps."""
    seen, todo, out = {name}, [name], _NOTHING
    while todo:
        part = todo.pop()
        out |= start[part] | step[part]
        new = (step[part].variables & step.keys()) - seen
        seen |= new
        todo += new
    return Dependence(frozenset(out.variables - step.keys()), out.random)
