"""The fixed table of names that generated code may use besides its own: `q_…`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from ppl.semantics.diagnostics import Span, fail
from ppl.semantics.machine import gaussian, memoise, nested_draws, rational, settings
from ppl.semantics.machine.arrays import WHOLE, leaves
from ppl.semantics.machine.distributions.combinators import log_prob
from ppl.semantics.machine.distributions.family import Family
from ppl.semantics.machine.nested import normalize
from ppl.semantics.machine.scalars import SCALAR
from ppl.semantics.machine.state import Dead, State, dead, keep, mark, note, refill
from ppl.semantics.machine.values import ARGS, FAMILY, equal

NEVER = -math.inf


def _inverse(p: float, mean: float, scale: float) -> float:
    return NormalDist(mean, scale).inv_cdf(p)


#: what `NormalDist.inv_cdf` calls, at (p, mean, scale), without the call of a method
_probit: Callable[[float, float, float], float]
_probit = getattr(statistics, "_normal_dist_inv_cdf", _inverse)


# No frame is false: `None` ends a run, and `()` stops it at a suspension point.


def suspend(s: State, k: Any, v: Any) -> Any:
    """The block of a suspension point: the run goes on in its parent, with `v`."""
    return (), (k[1], v)


def finished(s: State, k: Any, v: Any) -> Any:
    """The block of the outermost frame."""
    return None, v


def kept(s: State, k: Any, v: Any) -> Any:
    """The block that records a value bound by `~`."""
    keep(s, k[2], v, k[3])
    return k[1], v


# ------------------------------------------------------------------------------------ distributions


def run(s: State, m: Any, path: Any) -> Any:
    """Draw from a distribution."""
    family = m[FAMILY]
    if family.name == "dirac":
        return m[ARGS][0]
    return s.draw(path, family, m[ARGS])


def run_block(s: State, k: Any, v: Any) -> Any:
    return k[1], run(s, k[2], k[3])


def callable_of(s: State, f: Any) -> Callable[..., Any]:
    """A function of the language as a Python function."""
    return lambda *args: s.code.apply(s, f, args)


def expectation(d: Any, f: Callable[[Any], Any], span: Span | None) -> Any:
    """The mean of f over the values of a distribution."""
    family, args = d[FAMILY], d[ARGS]
    if family.values is None and type(family).support is Family.support:
        raise fail(
            "E807",
            f"`expectation` goes over all values, and `{family.name}` does not have finitely many",
            span=span,
            hint="draw from it: the mean of many draws, `mean(xs)`, is near",
        )
    out: Any = 0
    for x, p in family.support(*args):
        out = out + p * f(x)
    return out


# --------------------------------------------------------------------------------------- structures


def gather(acc: Any) -> tuple[Any, ...]:
    """The tuple of a linked list, newest first."""
    out = []
    while acc is not None:
        acc, v = acc
        out.append(v)
    out.reverse()
    return tuple(out)


def gather_some(acc: Any) -> tuple[Any, ...]:
    """Likewise of 1-tuples and ()."""
    return tuple(v for part in gather(acc) for v in part)


def outside(xs: Any, i: Any, span: Span | None) -> Any:
    message = f"index {i} is out of range for {_kind(xs)} of length {len(xs)}"
    raise fail("E709", message, span=span)


def _kind(xs: Any) -> str:
    return "a text" if type(xs) is str else "an array"


def take(xs: Any, indices: Any, span: Span | None) -> Any:
    return tuple(
        take(xs, i, span)
        if type(i) is tuple
        else xs[i]
        if -1 < i < len(xs)
        else outside(xs, i, span)
        for i in indices
    )


def cut(xs: Any, lo: int, hi: int, span: Span | None) -> Any:
    if not 0 <= lo <= hi <= len(xs):
        message = f"the slice {lo}:{hi} leaves {_kind(xs)} of length {len(xs)}"
        raise fail("E703", message, span=span)
    return xs[lo:hi]


def columns(xs: Any, i: Any, span: Span | None) -> Any:
    if type(i) is tuple:
        return tuple(take(row, i, span) for row in xs)
    return tuple(row[i] if -1 < i < len(row) else outside(row, i, span) for row in xs)


def columns_slice(xs: Any, lo: int, hi: int, span: Span | None) -> Any:
    return tuple(cut(row, lo, hi, span) for row in xs)


def zipping(span: Span | None, first: Any, *rest: Any) -> Any:
    """What a loop over `zip` goes over."""
    n = len(first)
    for a in rest:
        if len(a) != n:
            shown = " and ".join(str(len(x)) for x in (first, *rest))
            raise fail("E704", f"`zip` of arrays of different lengths: {shown}", span=span)
    return zip(first, *rest)  # noqa: B905


def zipped(span: Span | None, *arrays: Any) -> Any:
    return tuple(zipping(span, *arrays))


# -------------------------------------------------------------------------------------------- casts

_LEGAL: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "checked_nat": ("negative", lambda x: x >= 0),
    "checked_pos": ("negative", lambda x: x >= 0),
    "checked_prob": ("not between 0 and 1", lambda x: -1e-9 <= x <= 1 + 1e-9),
    "checked_int": ("not a whole number", lambda x: x == math.floor(x)),
}


def _checked(op: str, to: Callable[[Any], Any]) -> Callable[[Any, Span | None], Any]:
    what, legal = _LEGAL[op]

    def check(x: Any, span: Span | None) -> Any:
        if type(x) is tuple:
            return tuple([check(v, span) for v in x])
        if not legal(x):
            kind = op.removeprefix("checked_")
            raise fail("E710", f"a number cast to {kind} is {what}: {x}", span=span)
        return to(x)

    return check


def _to_bool(x: Any, span: Span | None) -> Any:
    return tuple([_to_bool(v, span) for v in x]) if type(x) is tuple else x != 0


def _same(x: Any) -> Any:
    return x


def ode(stiff: bool) -> Callable[..., Any]:
    """States at `ts` by SciPy's solvers; a state is flattened to a vector and back."""

    def solve(rhs: Any, y0: Any, t0: float, ts: Any, rtol: float, atol: float) -> Any:
        from scipy.integrate import solve_ivp

        def flow(t: float, y: Any) -> Any:
            return leaves((rhs(t, _shaped(y.tolist(), y0)),))

        start = leaves((y0,))
        method = "LSODA" if stiff else "DOP853"
        found = solve_ivp(
            flow, (t0, ts[-1]), start, method=method, t_eval=list(ts), rtol=rtol, atol=atol
        )
        if not found.success:
            raise Dead
        return tuple(_shaped(y, y0) for y in found.y.T.tolist())

    return solve


def _shaped(flat: list[float], like: Any) -> Any:
    """The numbers of `flat` in the structure of `like`."""
    rest = iter(flat)

    def build(x: Any) -> Any:
        return tuple([build(v) for v in x]) if type(x) is tuple else next(rest)

    return build(like)


_COMMON: dict[str, Any] = {
    "dead": dead,
    "never": NEVER,
    "forever": math.inf,
    "keep": keep,
    "note": note,
    "mark": mark,
    "refill": refill,
    "suspend": suspend,
    "kept": kept,
    "set_at": settings.set_at,
    "put": settings.put,
    "put_block": settings.put_block,
    "seen": settings.seen,
    "run": run,
    "run_block": run_block,
    "log_prob": log_prob,
    "callable": callable_of,
    "expectation": expectation,
    "normalize": normalize,
    "normalize_importance": nested_draws.importance,
    "normalize_importance_block": nested_draws.importance_block,
    "normalize_rejection": nested_draws.rejection,
    "normalize_rejection_block": nested_draws.rejection_block,
    "bounded": nested_draws.bounded,
    "gaussian_process": gaussian.gaussian_process,
    "gaussian_process_block": gaussian.gaussian_process_block,
    "mem": memoise.mem,
    "mem_block": memoise.mem_block,
    "lazy": memoise.lazy,
    "lazy_block": memoise.lazy_block,
    "force": memoise.force,
    "whole": memoise.whole,
    "push": list.append,
    "tuple": tuple,
    "len": len,
    "pairs": enumerate,
    "irange": range,
    "gather": gather,
    "gather_some": gather_some,
    "outside": outside,
    "take": take,
    "slice": cut,
    "columns": columns,
    "columns_slice": columns_slice,
    "zip": zipped,
    "zipping": zipping,
    "equal": equal,
    "probit": _probit,
    "log1p_of": math.log1p,
    "checked_nat": _checked("checked_nat", _same),
    "checked_pos": _checked("checked_pos", _same),
    "checked_prob": _checked("checked_prob", _same),
    "checked_int": _checked("checked_int", int),
    "checked_bool": _to_bool,
    "ode": ode(False),
    "ode_stiff": ode(True),
}


def table(*, is_rational: bool, settable: bool = False) -> dict[str, Any]:
    """Every name, in floating point or in rational arithmetic; in code whose names may be set, runs
    of weight zero may go on."""
    out = {**SCALAR, **WHOLE, **_COMMON}
    if is_rational:
        out |= {op: rational.scalar(op) for op in SCALAR} | rational.WHOLE
    if settable:
        out["dead"] = settings.dead
    return {f"q_{name}": f for name, f in out.items()}
