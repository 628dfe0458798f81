"""The rules every program of the IR obeys, checked after elaboration and after every pass.

Names are bound once, functions included, and used in scope; every node's type is at least the one
its parts give; what must be pure is; the entry returns a measure. Faults are a bug of whoever made
the program, not of the user, and are reported as such (E081).
"""

from __future__ import annotations

from collections.abc import Iterable

from ppl.semantics import ir
from ppl.semantics.diagnostics import DiagnosticError, Span, fail
from ppl.semantics.ir_types import derive
from ppl.semantics.op_types import TypeFault, accepts
from ppl.semantics.subtypes import below, seen
from ppl.semantics.types import (
    BOOL,
    INT,
    REAL,
    Array,
    Base,
    Dist,
    Fun,
    Measure,
    Record,
    Tuple,
    Type,
    is_number,
    is_real,
)


def verify(program: ir.Program) -> None:
    """Returns if the program obeys the rules; raises DiagnosticError(E081) at the first fault."""
    names = [f.name for f in program.functions]
    if len(set(names)) != len(names):
        raise _fault("two functions of one name", program.functions[0].span)
    if program.main not in names:
        raise _fault(f"no function `{program.main}`, the entry", None)
    checker = _Verifier({f.name: f.type for f in program.functions})
    for function in program.functions:
        checker.function(function)
    result = program.entry.type.result  # type: ignore[attr-defined]
    if not isinstance(result, (Measure, Dist)):
        raise _fault(f"the entry `{program.main}` returns {result}", program.entry.span)


def _fault(message: str, span: Span | None) -> DiagnosticError:
    return fail("E081", message, span=span)


class _Verifier:
    """`bound` has every name ever bound, `locals` those in scope."""

    def __init__(self, functions: dict[str, Type]):
        self.functions = functions
        self.bound: set[str] = set()
        self.locals: dict[str, Type] = {}

    def function(self, f: ir.Function) -> None:
        if not isinstance(f.type, Fun) or f.type.params != tuple(p.type for p in f.params):
            raise _fault(
                f"`{f.name}` has type {f.type}, which is not that of its parameters", f.span
            )
        self.locals = {}
        self.bind(f.params, f.span)
        self.pure(f.body, f"the body of `{f.name}`")
        self.node(f.body)
        self.fits(f.body, f.type.result, f"the result of `{f.name}`")

    # ------------------------------------------------------------------------------- judgements

    def bind(self, params: Iterable[ir.Param], span: Span | None) -> None:
        for p in params:
            if p.name in self.bound:
                raise _fault(f"`{p.name}` is bound twice", span)
            self.bound.add(p.name)
            self.locals[p.name] = p.type

    def unbind(self, params: Iterable[ir.Param]) -> None:
        for p in params:
            del self.locals[p.name]

    def inside(self, params: Iterable[ir.Param], *nodes: ir.Node | None) -> None:
        """Checks nodes in the scope of some parameters."""
        params = tuple(params)
        self.bind(params, next((n.span for n in nodes if n is not None), None))
        for node in nodes:
            if node is not None:
                self.node(node)
        self.unbind(params)

    def pure(self, comp: ir.Comp, what: str) -> None:
        if comp.effectful:
            raise _fault(f"{what} has an effect", comp.span)

    def fits(self, node: ir.Node, wanted: Type, what: str) -> None:
        if not below(node.type, wanted):
            raise _fault(f"{what} has type {node.type}, where {wanted} is needed", node.span)

    def elements(self, over: ir.Value, param: ir.Param, what: str) -> None:
        self.fits(over, Array(param.type), f"what `{what}` goes over")

    # ------------------------------------------------------------------------------------ nodes

    def node(self, node: ir.Node) -> None:
        self.parts(node)
        try:
            derived = derive(node, self.locals, self.functions)
        except TypeFault as fault:
            raise _fault(str(fault), node.span) from None
        if derived is None or below(derived, node.type):
            return
        if isinstance(node, ir.Op) and accepts(node.op, derived, node.type):
            return
        what = type(node).__name__
        raise _fault(f"a {what} of type {node.type} whose parts give {derived}", node.span)

    def parts(self, node: ir.Node) -> None:
        """Checks the parts of a node, and what it demands of them."""
        match node:
            case ir.Lam(params=params, body=body):
                self.pure(body, "the body of a function")
                self.inside(params, body)
            case ir.Block(binds=binds, result=result):
                self.block(binds, result)
            case ir.Match(subject=subject, arms=arms):
                self.node(subject)
                self.arms(arms)
            case ir.For(param=param, over=over, body=body, guard=guard):
                self.node(over)
                self.elements(over, param, "for")
                self.inside((param,), guard, body)
                if guard is not None:
                    self.pure(guard, "a guard")
                    self.pure(body, "the body of a guarded `for`")
                    self.fits(guard, BOOL, "a guard")
            case ir.Scan(carry=carry, init=init, param=param, over=over, body=body):
                self.node(init)
                self.node(over)
                self.elements(over, param, "scan")
                self.fits(init, carry.type, "the first state")
                self.inside((carry, param), body)
                self.fits(body, carry.type, "the next state")
            case ir.Iterate(carry=carry, init=init, until=until, body=body, limit=limit):
                self.node(init)
                self.fits(init, carry.type, "the first state")
                if limit is not None:
                    self.node(limit)
                    self.fits(limit, INT, "a limit")
                self.pure(until, "the end test of a loop")
                self.inside((carry,), until, body)
                self.fits(until, BOOL, "the end test of a loop")
                self.fits(body, carry.type, "the next state")
            case _:
                for child in ir.children(node):
                    self.node(child)
                self.demands(node)

    def demands(self, node: ir.Node) -> None:
        match node:
            case ir.Call(fn=fn, args=args) if isinstance(fn.type, Fun):
                if len(fn.type.params) != len(args):
                    wanted = len(fn.type.params)
                    raise _fault(
                        f"a call with {len(args)} arguments instead of {wanted}", node.span
                    )
                for i, (arg, param) in enumerate(zip(args, fn.type.params, strict=True)):
                    self.fits(arg, seen(param), f"argument {i + 1}")
            case ir.Observe(dist=dist, value=value):
                if not isinstance(dist.type, Dist):
                    raise _fault(f"an observation of {dist.type}", node.span)
                if not below(value.type, _widest(dist.type.item), across_kinds=True):
                    raise _fault(f"{value.type} observed from {dist.type}", node.span)
            case ir.Score(value=value):
                if not below(value.type, REAL, across_kinds=True):
                    raise _fault(f"a score of type {value.type}", node.span)
            case ir.If(cond=cond):
                self.fits(cond, BOOL, "a condition")

    def block(self, binds: tuple[ir.Bind, ...], result: ir.Comp) -> None:
        params = []
        for bind in binds:
            self.node(bind.comp)
            params.append(ir.Param(bind.name, bind.comp.type))
            self.bind(params[-1:], bind.comp.span)
        self.node(result)
        self.unbind(params)

    def arms(self, arms: tuple[ir.Arm, ...]) -> None:
        constructors = [a.constructor for a in arms]
        if not arms or len(set(constructors)) != len(arms) or None in constructors[:-1]:
            raise _fault("the arms of a match overlap", arms[0].body.span if arms else None)
        for a in arms:
            if a.constructor is None and a.params:
                raise _fault("an arm for the rest binds fields", a.body.span)
            self.inside(a.params, a.body)


def _widest(t: Type) -> Type:
    """What may be observed from a distribution over `t`: data out of range score zero."""
    match t:
        case Base() if is_number(t):
            return REAL if is_real(t) else INT
        case Array(item):
            return Array(_widest(item))
        case Tuple(items):
            return Tuple(tuple(map(_widest, items)))
        case Record(fields):
            return Record(tuple((k, _widest(v)) for k, v in fields))
        case _:
            return t
