"""How pure code depends on a site: forms of variables, and code for slopes of arrays and loops.

Forward differentiation, rule by rule: what is computed for each element of an array has an array
of slopes; a loop with a state carries the slopes of the state's parts beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.holes import bind, component, each, part, parts_of, returned, zipped
from ppl.semantics.ir_map import block
from ppl.semantics.ir_names import Fresh
from ppl.semantics.passes.conjugacy.build import (
    ZERO,
    as_type,
    items_of,
    made_of,
    pair,
    plus,
)
from ppl.semantics.passes.conjugacy.linear import (
    WHOLE,
    At,
    Broken,
    Form,
    Forms,
    Linear,
    Own,
    Whole,
    any_form,
    depends,
)

F = TypeVar("F", bound="Form | None")


@dataclass(frozen=True)
class Part:
    """Statistics, of the element `at` of the site."""

    values: tuple[ir.Value, ...]
    at: At

    @property
    def all(self) -> tuple[ir.Value, ...]:
        """With where they belong, if that is a value."""
        return (*self.values, self.at) if isinstance(self.at, ir.Value) else self.values

    def of(self, values: Sequence[ir.Value]) -> Part:
        """The same statistics, computed elsewhere: `values` are those of `all`."""
        at = values[-1] if isinstance(self.at, ir.Value) else self.at
        return Part(tuple(values[: len(self.values)]), at)


class Reader:
    """Reads code for one site. Binders of what it reads are its own to use: it is given a copy with
    new names."""

    def __init__(self, fresh: Fresh):
        self.fresh = fresh
        #: values that variables are bound to
        self.known: dict[str, ir.Value] = {}

    def statements(self, c: ir.Block, forms: dict[str, Form], binds: list[ir.Bind]) -> list[Part]:
        """What a block's statements say of the site; `forms` learns what their variables are."""
        for b in c.binds:
            self.learn(b, forms, binds)
        return []

    def learn(self, b: ir.Bind, forms: dict[str, Form], binds: list[ir.Bind]) -> None:
        """A binding without effects."""
        comp = b.comp
        while isinstance(comp, ir.At):
            comp = comp.body
        binds.append(ir.Bind(b.name, comp))
        if isinstance(comp, ir.Return):
            self.known[b.name] = comp.value
        if depends(comp, forms):
            try:
                found = self.pure(comp, forms, binds)
            except Broken as error:
                found = error
            if found is not None:
                forms[b.name] = found

    def pure(
        self, c: ir.Comp, forms: Forms, binds: list[ir.Bind]
    ) -> Linear | tuple[Form | None, ...] | None:
        """The form of the value of a computation without effects."""
        match c:
            case ir.Return(value=value):
                return any_form(value, forms)
            case ir.For(param=param, over=over, body=body, guard=None):
                inner, extra, wrapped = self.opened(param, over, forms)
                inside: list[ir.Bind] = []
                found = self.pure_body(body, inner, inside)
                first = [*extra, *inside]
                if isinstance(found, tuple):
                    return tuple(self.column(f, param, wrapped, first, binds) for f in found)
                return None if found is None else self.column(found, param, wrapped, first, binds)
            case ir.Block():
                return self.pure_body(c, forms, binds)
            case ir.If():
                return self.chosen(c, forms, binds)
            case ir.Scan():
                return self.computed(c, forms, binds)  # type: ignore[return-value]
            case _:
                raise Broken("what is computed from it here is not known to be linear", c.span)

    def column(
        self,
        f: F,
        param: ir.Param,
        loop: tuple[ir.Param, ir.Value],
        inside: list[ir.Bind],
        binds: list[ir.Bind],
    ) -> F | Linear:
        """The form of the array of what has the form f in each iteration."""
        if not isinstance(f, Linear):
            return f
        wanted = (f.slope, f.at) if isinstance(f.at, ir.Value) else (f.slope,)
        slope, *index = self.gathered(loop, inside, wanted, binds)
        if index and not isinstance(index[0].type, T.Array):
            raise Broken("one element of it is used throughout a loop", loop[1].span)
        at = WHOLE if f.at == Own(param.name) else index[0] if index else f.at
        return Linear(f.kind, slope, at)

    def pure_body(
        self, c: ir.Comp, forms: Forms, binds: list[ir.Bind]
    ) -> Linear | tuple[Form | None, ...] | None:
        forms = dict(forms)
        if isinstance(c, ir.Block):
            for b in c.binds:
                self.learn(b, forms, binds)
            c = c.result
        return self.pure(c, forms, binds) if depends(c, forms) else None

    def chosen(
        self, c: ir.If, forms: Forms, binds: list[ir.Bind]
    ) -> Linear | tuple[Form | None, ...] | None:
        """The form of a value that is one of two."""
        if depends(c.cond, forms):
            raise Broken("which branch is taken depends on it", c.cond.span)
        insides: tuple[list[ir.Bind], list[ir.Bind]] = ([], [])
        arms = (c.then, c.other)
        found = [self.pure_body(a, forms, i) for a, i in zip(arms, insides, strict=True)]
        n = max((len(f) for f in found if isinstance(f, tuple)), default=0)
        rows = [list(f) if isinstance(f, tuple) else [f] * max(n, 1) for f in found]
        both = list(zip(*rows, strict=True))
        out: list[Linear | None] = []
        slopes: tuple[list[ir.Value], list[ir.Value]] = ([], [])
        for pair_of_forms in both:
            parts = [f for f in pair_of_forms if f is not None]
            if not all(isinstance(f, Linear) for f in parts):
                raise Broken("what is computed from it in a branch is not linear", c.span)
            if len({f.at for f in parts}) > 1 or any(T.rank(f.slope.type) for f in parts):
                raise Broken("branches compute arrays from it, or from other elements", c.span)
            out.append(Linear("affine", ZERO, parts[0].at) if parts else None)
            for side, f in zip(slopes, pair_of_forms, strict=True):
                if parts:
                    side.append(as_type(ZERO if f is None else f.slope, T.REAL))
        if not slopes[0]:
            return None
        blocks = [block(i, returned(pair(tuple(s)))) for i, s in zip(insides, slopes, strict=True)]
        made = bind(binds, self.fresh.name("slopes"), ir.If(blocks[0].type, c.cond, *blocks))
        values = iter(
            [part(made, k) for k in range(len(slopes[0]))] if len(slopes[0]) > 1 else [made]
        )
        done = [f if f is None else replace(f, slope=next(values)) for f in out]
        return tuple(done) if n else done[0]

    def opened(
        self, param: ir.Param, over: ir.Value, forms: Forms
    ) -> tuple[dict[str, Form], list[ir.Bind], tuple[ir.Param, ir.Value]]:
        """The forms in an iteration; what it binds first; the loop's variable and array, which
        has the elements of slopes and indices beside the loop's own."""
        inner, beside = dict(forms), []
        found = any_form(over, forms) if depends(over, forms) else None

        def element(f: Form | None) -> Form | None:
            if isinstance(f, tuple):
                return tuple(element(x) for x in f)
            if f is None or isinstance(f, Broken):
                return f
            at = f.at
            if isinstance(at, Whole):
                at = Own(param.name)
            elif isinstance(at, Own):
                return Broken("its elements are arrays", over.span)
            elif isinstance(at, ir.Value) and isinstance(at.type, T.Array):
                at = taken(at)
            slope = taken(f.slope) if isinstance(f.slope.type, T.Array) else f.slope
            return replace(f, slope=slope, at=at)

        def taken(array: ir.Value) -> ir.Value:
            name = self.fresh.name("part")
            beside.append((name, array))
            return ir.Var(array.type.item, name)  # type: ignore[attr-defined]

        one = element(found)
        if one is not None:
            inner[param.name] = one
        if not beside:
            return inner, [], (param, over)
        whole = zipped([over, *(array for _, array in beside)])
        row = ir.Param(self.fresh.name("row"), whole.type.item)  # type: ignore[attr-defined]
        names = [param.name, *(name for name, _ in beside)]
        first = [
            ir.Bind(n, returned(part(ir.Var(row.type, row.name), i))) for i, n in enumerate(names)
        ]
        return inner, first, (row, whole)

    def gathered(
        self,
        loop: tuple[ir.Param, ir.Value],
        inside: list[ir.Bind],
        values: tuple[ir.Value, ...],
        binds: list[ir.Bind],
    ) -> list[ir.Value]:
        """Arrays of values that are computed in each iteration; those that do not depend on it
        stay as they are."""
        own = {loop[0].name, *(b.name for b in inside)}
        varying = [v for v in values if not own.isdisjoint(v.free)]
        if not varying:
            return list(values)
        made = each(*loop, block(inside, returned(pair(tuple(varying)))))
        array = bind(binds, self.fresh.name("parts"), made)
        columns = iter(
            [array]
            if len(varying) == 1
            else [
                bind(binds, self.fresh.name("part"), component(array, i, self.fresh))
                for i in range(len(varying))
            ]
        )
        return [next(columns) if not own.isdisjoint(v.free) else v for v in values]

    def computed(self, c: ir.Scan, forms: Forms, binds: list[ir.Bind]) -> Form | None:
        """The form of the value of a loop without effects: the slopes of its state are carried
        along with it."""
        found, whole = self.carried(c, forms, binds, c.keep)
        out: dict[int, Linear] = {}
        for k, i in enumerate(found.slopes):
            if c.keep == "last":
                slope = part(whole, found.size + k)
            else:
                slope = bind(
                    binds, self.fresh.name("slopes"), component(whole, found.size + k, self.fresh)
                )
            out[i] = Linear("affine", slope)
        n = len(parts_of(c.carry.type))
        return tuple(out.get(i) for i in range(n)) if n else out.get(0)

    def carried(
        self, c: ir.Scan, forms: Forms, binds: list[ir.Bind], keep: Literal["all", "last"]
    ) -> tuple[_Step, ir.Var]:
        """The loop with statistics and slopes beside its state: forward differentiation."""
        init = _parts_of(any_form(c.init, forms), c.carry.type)
        varying = {i for i, f in enumerate(init) if f is not None}
        while True:  # the least set of parts of the state that is closed
            found = self._step(c, forms, varying)
            more = {i for i, f in enumerate(found.after) if f is not None} | varying
            if more == varying:
                break
            varying = more
        sums = [v for p in found.parts for v in p.values]
        first = [_number_of(init[i], c) for i in found.slopes]
        after = [_number_of(found.after[i], c) for i in found.slopes]
        m, n = found.size, len(sums)
        own = tuple(t for _, t in parts_of(c.carry.type)) or (c.carry.type,)
        state = T.Tuple((*own, *(T.REAL for _ in (*sums, *after))))
        carry = ir.Param(self.fresh.name("sums"), state)
        whole = ir.Var(state, carry.name)
        old = tuple(part(whole, i) for i in range(m))
        opened = [ir.Bind(c.carry.name, returned(made_of(old, c.carry.type)))]
        for k, v in enumerate(found.slopes.values()):
            opened.append(ir.Bind(v.name, returned(part(whole, m + n + k))))
        added = [plus(part(whole, m + i), v) for i, v in enumerate(sums)]
        now = (*items_of(found.value), *(as_type(v, T.REAL) for v in (*added, *after)))
        step = block([*opened, *found.inside], returned(ir.MakeTuple(state, now)))
        begin = (*items_of(c.init), *(as_type(v, T.REAL) for v in (*[ZERO] * n, *first)))
        start = ir.MakeTuple(state, begin)
        t = T.Array(state) if keep == "all" else state
        loop = ir.Scan(t, carry, start, c.param, c.over, step, keep, span=c.span)
        return found, bind(binds, self.fresh.name("sums"), loop)

    def _step(self, c: ir.Scan, forms: Forms, varying: set[int]) -> _Step:
        """A step of a loop in which the parts `varying` of its state depend on the site."""
        inside: list[ir.Bind] = []
        slopes = {i: ir.Var(T.REAL, self.fresh.name("slope")) for i in sorted(varying)}
        own = {i: Linear("affine", v) for i, v in slopes.items()}
        inner = dict(forms)
        if depends(c.over, forms):
            raise Broken("what a loop with a state goes over depends on it", c.span)
        if own:
            n = len(parts_of(c.carry.type))
            inner[c.carry.name] = tuple(own.get(i) for i in range(n)) if n else own[0]
        body, parts = c.body, []
        while isinstance(body, ir.At):
            body = body.body
        if isinstance(body, ir.Block):
            parts = self.statements(body, inner, inside)
            body = body.result
        if not isinstance(body, ir.Return):
            raise Broken("the state of a loop is made by what runs last", c.span)
        if any(p.at is not None for p in parts):
            raise Broken("its elements are observed in a loop with a state", c.span)
        after = _parts_of(any_form(body.value, inner), c.carry.type)
        return _Step(inside, parts, slopes, after, body.value)


@dataclass(frozen=True)
class _Step:
    """A step of a loop: what it computes, statistics, the variables of the slopes of parts of the
    state before it, the forms of those after it, the state after it."""

    inside: list[ir.Bind]
    parts: list[Part]
    slopes: dict[int, ir.Var]
    after: list[Linear | None]
    value: ir.Value

    @property
    def size(self) -> int:
        """How many parts the state has."""
        return max(1, len(parts_of(self.value.type)))


def _parts_of(f: Linear | tuple[Form | None, ...] | None, t: T.Type) -> list[Linear | None]:
    """The forms of the parts of a loop's state."""
    if not isinstance(f, tuple):
        return [f] * max(1, len(parts_of(t))) if f is None else [f]
    for x in f:
        if isinstance(x, Broken):
            raise x
        if isinstance(x, tuple):
            raise Broken("the state of a loop that depends on it is nested", None)
    return list(f)  # type: ignore[arg-type]


def _number_of(f: Linear | None, c: ir.Scan) -> ir.Value:
    """The slope of a part of a loop's state, which is a number."""
    if f is None:
        return ZERO
    if f.at is not None or isinstance(f.slope.type, T.Array):
        raise Broken("a loop carries an array of it", c.span)
    return f.slope
