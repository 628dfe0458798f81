"""The statistics of a site's observations, as code that computes them beside the observations.

A computation that observes is read again, without its effects: every observation gives its
statistics, loops add them up. What belongs to one element of an array of sites stays apart: loops
over the array give arrays of statistics, and what is looked up by an index is added where it
points.
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
    op,
    pair,
    plus,
    times,
)
from ppl.semantics.passes.conjugacy.families import Family, Use
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
    form,
)
from ppl.semantics.signatures import PRIMITIVES

F = TypeVar("F", bound="Form | None")

_ORDER = {"itself": 0, "multiple": 1, "affine": 2}


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


class Collector:
    """Reads computations for one site of a family. Binders of what it reads are its own to use:
    it is given a copy with new names."""

    def __init__(self, family: Family, fresh: Fresh):
        self.family, self.fresh = family, fresh
        #: values that variables are bound to
        self.known: dict[str, ir.Value] = {}

    # -------------------------------------------------------------------------------- statements

    def comp(self, c: ir.Comp, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        """The statistics of what runs, computed in `binds`. Raises Broken."""
        match c:
            case ir.Observe():
                return self.observe(c, forms, binds) if depends(c, forms) else []
            case ir.Block():
                return self.block(c, dict(forms), binds)
            case ir.At(body=body):
                return self.comp(body, forms, binds)
            case ir.For(guard=None):
                return self.plate(c, forms, binds)
            case ir.If():
                return self.branch(c, forms, binds)
            case ir.Scan():
                return self.scan(c, forms, binds)
            case _ if not depends(c, forms):
                return []
            case ir.Score():
                raise Broken("a `factor` or `condition` depends on it", c.span)
            case ir.Run():
                raise Broken("a draw in a loop with its observations depends on it", c.span)
            case _:
                raise Broken("it is observed in a computation of another form", c.span)

    def block(self, c: ir.Block, forms: dict[str, Form], binds: list[ir.Bind]) -> list[Part]:
        out = self.statements(c, forms, binds)
        return out + self.comp(c.result, forms, binds)

    def statements(self, c: ir.Block, forms: dict[str, Form], binds: list[ir.Bind]) -> list[Part]:
        """The statistics of a block's statements; `forms` learns what their variables are."""
        out: list[Part] = []
        for i, b in enumerate(c.binds):
            if not b.comp.effectful:
                self.learn(b, forms, binds)
                continue
            if b.name in ir.Block(c.type, c.binds[i + 1 :], c.result).free:
                raise Broken("its observations depend on what is drawn beside them", b.comp.span)
            out += self.comp(b.comp, forms, binds)
        return out

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

    # ------------------------------------------------------------------------------ observations

    def observe(self, c: ir.Observe, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        dist = self.resolved(c.dist)
        if not isinstance(dist, ir.Op):
            raise Broken("it is observed under a distribution that is chosen elsewhere", c.span)
        row = PRIMITIVES[dist.op]
        if isinstance(c.value.type, T.Array) and (row.kind == "elementwise" or dist.op == "iid"):
            return self.plate(self.element_by_element(c, dist), forms, binds)
        found = self.family.likelihoods.get(dist.op)
        if found is None:
            raise Broken(
                f"`{dist.op}` is not conjugate to `{self.family.prior}` (these are: "
                f"{self.family.takes})",
                c.span,
            )
        entering = form(dist.args[found.parameter], forms)
        value = form(c.value, forms)
        for i, a in enumerate(dist.args):
            if i != found.parameter and depends(a, forms) and form(a, forms) is not None:
                raise Broken(f"another argument of `{dist.op}` depends on it", c.span)
        if entering is None and value is None:
            return []
        if value is not None:
            if dist.op != "normal":
                raise Broken("it is part of the value that is observed", c.span)
            entering = _less(entering, value, c)
        assert entering is not None
        if _ORDER[entering.kind] > _ORDER[found.kind]:
            wanted = {"itself": "it itself", "multiple": "a multiple of it"}[found.kind]
            raise Broken(f"the argument of `{dist.op}` has to be {wanted}", c.span)
        values, at = found.statistics(Use(dist.args, c.value, entering))
        return [Part(values, at)]

    def resolved(self, v: ir.Value) -> ir.Value:
        while isinstance(v, ir.Var) and v.name in self.known:
            v = self.known[v.name]
        return v

    def element_by_element(self, c: ir.Observe, dist: ir.Op) -> ir.For:
        """An observation of an array of independent elements, as a loop over them."""
        law: ir.Value | None = dist.args[1] if dist.op == "iid" else None
        arrays = [] if law is not None else [a for a in dist.args if isinstance(a.type, T.Array)]
        over = zipped([c.value, *arrays]) if arrays else c.value
        row = ir.Param(self.fresh.name("element"), over.type.item)  # type: ignore[attr-defined]
        one = ir.Var(row.type, row.name, span=c.span)
        parts = iter([part(one, i) for i in range(1 + len(arrays))] if arrays else [one])
        value = next(parts)
        if law is None:
            args = tuple(next(parts) if isinstance(a.type, T.Array) else a for a in dist.args)
            law = ir.Op(T.Dist(value.type), dist.op, args, span=dist.span)
        return replace(each(row, over, replace(c, dist=law, value=value)), span=c.span)

    # ------------------------------------------------------------------------ loops and branches

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

    def plate(self, c: ir.For, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        if not depends(c, forms):
            return []
        inner, inside, loop = self.opened(c.param, c.over, forms)
        parts = self.comp(c.body, inner, inside)
        n = op("len", c.over.args[0] if _is_zip(c.over) else c.over)  # type: ignore[attr-defined]
        out = []
        for p, values in zip(parts, self._grouped(parts, loop, inside, binds), strict=True):
            arrays = p.of([self._spread(v, old, n) for v, old in zip(values, p.all, strict=True)])
            out.append(self.closed(arrays, p, c))
        return out

    def _grouped(self, parts, loop, inside, binds):
        """All parts of an iteration gathered by one loop."""
        everything = tuple(v for p in parts for v in p.all)
        arrays = iter(self.gathered(loop, inside, everything, binds) if parts else ())
        return [[next(arrays) for _ in p.all] for p in parts]

    def _spread(self, v: ir.Value, one: ir.Value, n: ir.Value) -> ir.Value:
        """An array of n equal values, if it is none yet."""
        return v if T.rank(v.type) > T.rank(one.type) else op("repeat", v, n)

    def closed(self, arrays: Part, one: Part, c: ir.For) -> Part:
        """Statistics of a loop, from the arrays of those of its iterations."""
        if one.at == Own(c.param.name):
            return Part(arrays.values, WHOLE)
        if isinstance(one.at, ir.Value):
            nested = T.rank(one.at.type) > 0
            return Part(*_flat(arrays) if nested else (arrays.values, arrays.at))
        if isinstance(one.at, Whole):
            ones = op("ones", op("len", arrays.values[0]))
            return Part(tuple(op("matmul", ones, v) for v in arrays.values), WHOLE)
        return Part(tuple(op("sum", v) for v in arrays.values), one.at)

    def branch(self, c: ir.If, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        if depends(c.cond, forms):
            raise Broken("which branch is taken depends on it", c.cond.span)
        out = []
        for arm, taken in ((c.then, True), (c.other, False)):
            inside: list[ir.Bind] = []
            parts = self.comp(arm, forms, inside)
            everything = tuple(v for p in parts for v in p.all)
            if not everything:
                continue
            if any(isinstance(v.type, T.Array) for v in everything):
                raise Broken("a whole array of it is observed in a branch", arm.span)
            zeros = tuple(as_type(ZERO, v.type) for v in everything)
            body, nothing = block(inside, returned(pair(everything))), returned(pair(zeros))
            arms = (body, nothing) if taken else (nothing, body)
            chosen = bind(
                binds, self.fresh.name("arm"), ir.If(body.type, c.cond, *arms, span=c.span)
            )
            values = iter(
                [part(chosen, i) for i in range(len(everything))]
                if len(everything) > 1
                else [chosen]
            )
            out += [p.of([next(values) for _ in p.all]) for p in parts]
        return out

    def scan(self, c: ir.Scan, forms: Forms, binds: list[ir.Bind]) -> list[Part]:
        """Statistics are carried along with a loop's state."""
        if not depends(c, forms):
            return []
        found, last = self._carried(c, forms, binds, "last")
        total = iter(part(last, found.size + i) for i in range(len(parts_of(last.type))))
        return [
            Part(tuple(as_type(next(total), v.type) for v in p.values), None) for p in found.parts
        ]

    def computed(self, c: ir.Scan, forms: Forms, binds: list[ir.Bind]) -> Form | None:
        """The form of the value of a loop without effects: the slopes of its state are carried
        along with it."""
        found, whole = self._carried(c, forms, binds, c.keep)
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

    def _carried(
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


def _is_zip(v: ir.Value) -> bool:
    return isinstance(v, ir.Op) and v.op == "zip"


def _less(a: Linear | None, b: Linear, c: ir.Observe) -> Linear:
    """The form of the mean less the value."""
    negative = op("neg", b.slope)
    if a is None:
        return Linear("affine", negative, b.at)
    if a.at != b.at:
        raise Broken("two elements of it meet in one observation", c.span)
    return Linear("affine", plus(a.slope, negative), a.at)


def _flat(p: Part) -> tuple[tuple[ir.Value, ...], At]:
    assert isinstance(p.at, ir.Value)
    return tuple(op("flatten", v) for v in p.values), op("flatten", p.at)


def totals(
    parts: Sequence[Part], count: int, size: ir.Value | None, fresh: Fresh, binds: list[ir.Bind]
) -> tuple[ir.Value, ...]:
    """`count` statistics added up: numbers, or arrays of `size` for an array of sites."""
    sums: list[ir.Value] = [ZERO] * count
    if size is not None:
        sums = [op("zeros", size)] * count
    for p in parts:
        for k, v in enumerate(p.values):
            if isinstance(p.at, ir.Value):
                v = _scattered(v, p.at, size, fresh, binds)
            sums[k] = v if sums[k] == ZERO else plus(sums[k], v)
    return tuple(bind(binds, fresh.name("total"), returned(v)) for v in sums)


def _scattered(
    v: ir.Value, at: ir.Value, size: ir.Value | None, fresh: Fresh, binds: list[ir.Bind]
) -> ir.Value:
    """Values added up where their indices point, in an array of `size` zeros."""
    assert size is not None
    if not isinstance(at.type, T.Array):
        return times(v, op("one_hot", at, size))
    row = ir.Param(fresh.name("at"), at.type.item)
    hot = each(row, at, returned(op("one_hot", ir.Var(row.type, row.name), size)))
    return op("matmul", v, bind(binds, fresh.name("where"), hot))
