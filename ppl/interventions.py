"""What names of a model can be set to: `target.do(x=1)`, `target.given(x=1)`, checked.

A number sets every element of what is addressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ppl.addresses import Index, read_address
from ppl.leaves import leaf
from ppl.places import Parameter, Place, by, describe
from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, Span, fail, suggest
from ppl.settings import Setting


class Choice(Protocol):
    """A random choice: see `semantics.xla.outline`."""

    @property
    def family(self) -> str: ...
    @property
    def type(self) -> T.Type: ...
    @property
    def free(self) -> int: ...
    @property
    def count(self) -> int | None: ...


class Named(Protocol):
    """What is known of a name: see `semantics.xla.outline`."""

    @property
    def path(self) -> str: ...
    @property
    def type(self) -> T.Type: ...
    @property
    def shape(self) -> tuple[int, ...] | None: ...
    @property
    def span(self) -> Span | None: ...
    @property
    def choice(self) -> Choice | None: ...


def setting(
    address: str,
    value: Any,
    known: Mapping[str, Named],
    parameters: Iterable[str],
    *,
    scored: bool,
) -> Setting:
    """A value for a name among `known`, checked.

    Raises:
        DiagnosticError: E855, there is no such name or element; E856, the value is of another kind
            or shape; E857, it is outside the type's range or the law's values; E858, the name has
            no density to condition on, or its elements are drawn together.
    """
    path, index = read_address(address)
    if path not in known:
        raise unknown(path, known, parameters)
    at = known[path]
    if at.shape is None:
        raise fail(
            "E856",
            f"`{path}` is a value of type `{at.type}`, and only numbers and arrays can be set",
            span=at.span,
            hint=_inside(path, known, "set what it is made of"),
        )
    if scored and at.choice is None:
        raise fail(
            "E858",
            f"`{path}` is computed, so it has no density to condition on",
            span=at.span,
            hint=_inside(path, known, "condition on the random choices it is made of")
            or "observe it in the model: `observe y ~ …`",
        )
    whole = np.empty(at.shape, np.int8)
    places = _places(address, path, index, at)
    shape = whole[places].shape
    item = _innermost(at.choice.type if scored and at.choice is not None else at.type)
    out = checked(address, value, shape, item, at.span)
    _check_values(address, out, at)
    sizes = zip(places, at.shape, strict=False)
    from_zero = tuple(slice(*k.indices(n)) if isinstance(k, slice) else k % n for k, n in sizes)
    return Setting(address, path, from_zero, out, scored, at.shape)


def endless(address: str, known: Mapping[str, Named]) -> Named | None:
    """The name among `known` whose elements an address sets, if they are those of a loop or
    recursion without a bound. A call inside a call has a path with more steps."""
    steps = read_address(address)[0].split("/")
    if "/".join(steps) in known:
        at = known["/".join(steps)]
        return at if is_endless(at) else None
    for path, at in known.items():
        first, *_ = own = path.split("/")
        rest = iter(steps)
        if (
            is_endless(at)
            and (first, own[-1]) == (steps[0], steps[-1])
            and all(s in rest for s in own)
        ):
            return at
    return None


def is_endless(at: Named) -> bool:
    """Whether a name has as many numbers as a loop or recursion without a bound takes steps."""
    item = _innermost(at.type)
    return at.shape is None and (T.is_number(item) or item == T.BOOL)


def on_machine_only(address: str, at: Named) -> Diagnostic:
    """Why a program in which the name is set is not XLA's."""
    return Diagnostic(
        "E859",
        f"`{address}` is in a loop or recursion without a bound, where XLA sets no names",
        at.span,
        hint="infer on the machine, with smc, mcmc or importance; or give the loop a bound, "
        "`until … max 100`",
    )


def setting_unrun(
    address: str,
    value: Any,
    binders: Mapping[str, Sequence[ir.At]],
    parameters: Iterable[str],
    *,
    scored: bool,
) -> Setting:
    """A value for a name of a program whose names are known when it runs, checked as far as its
    text tells. `binders` are those of the program, by step.

    Raises:
        DiagnosticError: E855, no binder has such a name; E856, E857 as `setting`.
    """
    path, index = read_address(address)
    for step in path.split("/"):
        if step not in binders:
            kept = [k for k, nodes in binders.items() if any(n.keep for n in nodes)]
            raise unknown(step, kept, parameters)
    for k in index:
        ends = (k.start, k.stop) if isinstance(k, slice) else (k,)
        if any(isinstance(end, int) and end < 0 for end in ends):
            raise fail(
                "E855",
                f"`{address}` counts from the end, which is known when the program runs",
                hint="count from 0",
            )
    nodes = binders[path.rpartition("/")[2]]
    problem: DiagnosticError | None = None
    for node in nodes:
        try:
            held = node.type
            if index and isinstance(held, T.Fun):  # what it was asked for
                held = held.result
            out = checked(address, value, None, _innermost(held), node.span)
            return Setting(address, path, index, out, scored, None)
        except DiagnosticError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def unknown(path: str, known: Iterable[str], parameters: Iterable[str]) -> DiagnosticError:
    """What to say of a name that is not there."""
    names = list(known)
    if path in parameters:
        return fail(
            "E855",
            f"`{path}` is data, not a site that the model draws",
            hint=f"give the model other data: `model({path}=…)`",
        )
    shown = ", ".join(f"`{n}`" for n in names[:12]) + (", …" if len(names) > 12 else "")
    ends = [n for n in names if n.rpartition("/")[2] == path]
    hint = f"did you mean `{ends[0]}`?" if ends else suggest(path, names)
    return fail("E855", f"there is no site `{path}` (there is: {shown or 'none'})", hint=hint)


def _inside(path: str, known: Mapping[str, Named], what: str) -> str | None:
    inner = [n for n, at in known.items() if n.startswith(path + "/") and at.choice is not None]
    return f"{what}: {', '.join(f'`{n}`' for n in inner[:4])}" if inner else None


def _places(address: str, path: str, index: Index, at: Named) -> tuple[int | slice, ...]:
    """The index, of elements that there are."""
    shape, places = at.shape or (), []
    for i, k in enumerate(index):
        known = i < len(shape) and (isinstance(k, slice) or k in range(-shape[i], shape[i]))
        if known and not isinstance(k, str):
            places.append(k)
            continue
        what = f"an array of {by(shape)}" if shape else "a single value"
        raise fail("E855", f"there is no `{address}`: `{path}` is {what}", span=at.span)
    choice = at.choice
    if choice is None:
        return tuple(places)
    free = len(shape) - T.rank(choice.type) + choice.free
    if len(index) > free:
        raise fail(
            "E858",
            f"elements of `{path}` cannot be set one by one: `{choice.family}` draws them together",
            span=at.span,
            hint=f"set all of a draw: `{path}{_first(free)}`",
        )
    return tuple(places)


def _first(n: int) -> str:
    return f"[{', '.join('i' * n)}]" if n else ""


def checked(
    address: str, value: Any, shape: tuple[int, ...] | None, item: T.Type, span: Span | None
) -> Any:
    """The value as numbers of a type: one number, or an array (of `shape`, if that is known)."""
    if not (T.is_number(item) or item == T.BOOL):
        raise fail(
            "E856",
            f"`{address}` holds values of type `{item}`, and only numbers can be set",
            span=span,
        )
    place = _Binder(Parameter(address, item, span), "call", ((address, 0),))
    given = value if hasattr(value, "__array__") else np.array(value, object)
    dims = np.ndim(given)
    if shape is not None and dims and np.shape(given) != shape:
        wanted = f"an array of {by(shape)}" if shape else "a single value"
        raise place.error("E604", f"must be {wanted}, and is {describe(value)}")
    return leaf(item, dims, False, value, place)


def _check_values(address: str, value: Any, at: Named) -> None:
    choice = at.choice
    if choice is None or choice.count is None:
        return
    bad = np.asarray(value)[np.asarray(value) >= choice.count]
    if bad.size:
        raise fail(
            "E857",
            f"`{address}` is drawn from `{choice.family}`, whose values are 0 to "
            f"{choice.count - 1}; {bad.flat[0]} is none of them",
            span=at.span,
        )


def _innermost(t: T.Type) -> T.Type:
    while isinstance(t, T.Array):
        t = t.item
    return t


class _Binder(Place):
    """Where a value that is set stands, in messages."""

    def error(
        self, code: str, message: str, *, index: Iterable[int] = (), hint: str | None = None
    ) -> DiagnosticError:
        p = self.parameter
        note = Note(f"`{p.name}` has the type `{p.type}`", p.span)
        code = "E857" if code == "E605" else "E856"
        hint = "a value that is set keeps to the type of the name" if code == "E857" else None
        message = f"the value for `{p.name}` {message}"
        return DiagnosticError(Diagnostic(code, message, p.span, (note,), hint))
