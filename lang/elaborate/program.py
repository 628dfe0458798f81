"""From a checked module to the program of one of its models, with the instances it reaches."""

from __future__ import annotations

from collections import deque

from ppl.lang import syntax as s
from ppl.lang.check.result import Checked, Instance, InstanceKey
from ppl.lang.elaborate.control import Control
from ppl.lang.elaborate.scope import Counter, Frame, Local, Namer, Scope
from ppl.semantics import ir


def elaborate(checked: Checked, name: str) -> ir.Program:
    """The program of a model. Raises DiagnosticError if the module has errors, KeyError if it has
    no such model."""
    checked.raise_errors()
    return _Elaborator(checked).program(checked.entry(name))


class _Elaborator:
    def __init__(self, checked: Checked):
        self.checked = checked
        self.namer, self.observations = Namer(), Counter()
        self.siblings = checked.siblings
        self.names: dict[InstanceKey, str] = {}
        self.todo: deque[InstanceKey] = deque()
        self.used = Counter()

    def program(self, entry: InstanceKey) -> ir.Program:
        main, functions = self.function_name(entry), []
        while self.todo:
            key = self.todo.popleft()
            functions.append(self.function(self.checked.instances[key], self.names[key]))
        return ir.Program(tuple(functions), main)

    def function_name(self, key: InstanceKey) -> str:
        """f, f#2, … for the instances of f in the order in which they are met."""
        if key not in self.names:
            self.names[key] = self.used.next(key.function)
            self.todo.append(key)
        return self.names[key]

    def function(self, instance: Instance, name: str) -> ir.Function:
        cx = Control(
            instance,
            self.namer,
            self.observations,
            self.function_name,
            self.siblings,
            self.checked.instances,
        )
        f, key = instance.function, instance.key
        is_model = isinstance(f, s.Function) and f.kind == "model"
        scope, params = Scope({}, Frame()), []
        for decl, t in zip(f.params, key.params, strict=True):
            # the body sees the pattern's type: the holes of a model's data are filled there
            origin = decl.pattern.name if is_model and isinstance(decl.pattern, s.PName) else None
            param = cx.param(decl.pattern, cx.type(decl.pattern), scope, origin)
            params.append(ir.Param(param.name, t))
        if is_model:
            _trace_parameters(f, scope)
        body = scope.close(cx.fit_result(cx.pure(f.body, scope), key.result))
        return ir.Function(name, tuple(params), body, key.type, span=f.span)


def _trace_parameters(f: s.Function | s.Guide, scope: Scope) -> None:
    """Names that a pattern takes out of a model's parameter are data as well."""
    for name, local in scope.names.items():
        scope.define(name, Local(local.value, local.origin or name))
