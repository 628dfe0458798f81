"""Kernels as they are written in Python, read from text without running any: for the command line.

ppl run model.ppl --method mcmc --set 'kernel=gibbs().on("z").then(hmc().on("mu"))'
"""

from __future__ import annotations

import ast
from typing import Any

from ppl.inference.kernels.algebra import Kernel
from ppl.semantics.diagnostics import fail, suggest

#: kernels and combinators that take numbers, texts and kernels only
NAMES = (
    "elliptical_slice", "gibbs", "hmc", "mala", "mixture", "nuts", "pgibbs", "prior",
    "random_walk", "slice",
)  # fmt: skip
METHODS = ("on", "then", "repeat")


def read_kernel(text: str) -> Kernel:
    """The kernel that `str` writes as this.

    Raises:
        DiagnosticError: E811, the text is no kernel, or what the kernel itself refuses.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _unreadable(text) from None
    found = _value(tree, text)
    if not isinstance(found, Kernel):
        raise _unreadable(text)
    return found


def _value(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(_value(part, text) for part in parts)
        case ast.Call(func=ast.Name(id=name)):
            from ppl import kernels

            if name not in NAMES:
                hint = suggest(name, NAMES) or f"there is {', '.join(NAMES)}"
                raise fail("E811", f"there is no kernel `{name}`", hint=hint)
            return _called(getattr(kernels, name), node, text)
        case ast.Call(func=ast.Attribute(value=kernel, attr=name)) if name in METHODS:
            return _called(getattr(_value(kernel, text), name, None), node, text)
    raise _unreadable(text)


def _called(make: Any, node: ast.Call, text: str) -> Any:
    args = [_value(a, text) for a in node.args]
    named = {k.arg or "**": _value(k.value, text) for k in node.keywords}
    try:
        return make(*args, **named)
    except TypeError:  # arguments that it does not have
        raise _unreadable(text) from None


def _unreadable(text: str) -> Exception:
    return fail(
        "E811",
        f"kernel = {text!r}: it must be written as in Python, of kernels, names and numbers",
        hint='for example kernel=gibbs().on("z").then(hmc().on("mu"))',
    )
