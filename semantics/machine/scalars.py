"""The elementwise rows of the table of primitives on numbers: total on their types but for whole
numbers divided by zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ppl.semantics.machine import special

nan, inf = math.nan, math.inf


def div(a: Any, b: Any) -> float:
    """a / b as IEEE 754 has it."""
    if b:
        try:
            return a / b
        except OverflowError:
            return inf if (a > 0) == (b > 0) else -inf
    if a != a or a == 0:
        return nan
    negative = (a < 0) != (math.copysign(1.0, b) < 0)
    return -inf if negative else inf


def power(a: Any, b: Any) -> Any:
    """a ^ b; an int only for two ints with b >= 0; NaN for a root of a negative number."""
    if type(b) is int:
        if type(a) is int:
            return a**b if b >= 0 else int(div(1, a**-b)) if a else 0
    elif a < 0 and b != math.floor(b):
        return nan
    try:
        return a**b
    except ZeroDivisionError:
        return inf
    except OverflowError:
        return -inf if a < 0 and b % 2 == 1 else inf


class ByZero(Exception):
    """A whole number divided by zero, of which there is no infinite or undefined one."""


def floordiv(a: Any, b: Any) -> Any:
    if b:
        return a // b
    if type(a) is type(b) is int:
        raise ByZero
    return nan if a == 0 else math.copysign(inf, a)


def mod(a: Any, b: Any) -> Any:
    if b:
        return a % b
    if type(a) is type(b) is int:
        raise ByZero
    return nan


def _real(f: Callable[[float], float], outside: float = nan) -> Callable[[Any], float]:
    """A function of `math` made total."""

    def total(x: Any) -> float:
        try:
            return f(x)
        except OverflowError:
            return inf
        except ValueError:
            return outside

    return total


def to_int(f: Callable[[float], Any]) -> Callable[[Any], int]:
    def whole(x: Any) -> int:
        return f(x) if -inf < x < inf else 0

    return whole


def sign(x: Any) -> int:
    return (x > 0) - (x < 0)


def smaller(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b


def larger(a: Any, b: Any) -> Any:
    return a if a > b or a != a else b


def log1m_exp(x: float) -> float:
    return special.log1m_exp(x) if x == x else x


def atanh(x: float) -> float:
    if -1 < x < 1:
        return math.atanh(x)
    return math.copysign(inf, x) if abs(x) == 1 else nan


SCALAR: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": div,
    "floordiv": floordiv,
    "mod": mod,
    "pow": power,
    "neg": lambda a: -a,
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
    "exp": special.safe_exp,
    "expm1": _real(math.expm1),
    "log": special.safe_log,
    "log1p": lambda x: math.log1p(x) if x > -1 else -inf if x == -1 else nan,
    "log1m": special.log1m,
    "log1p_exp": special.softplus,
    "log1m_exp": log1m_exp,
    "log_diff_exp": special.log_diff_exp,
    "log_sum_exp": special.log_add_exp,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else nan,
    "square": lambda x: x * x,
    "abs": abs,
    "sign": sign,
    "floor": to_int(math.floor),
    "ceil": to_int(math.ceil),
    "round": to_int(round),
    "trunc": to_int(math.trunc),
    "sin": _real(math.sin),
    "cos": _real(math.cos),
    "tan": _real(math.tan),
    "asin": _real(math.asin),
    "acos": _real(math.acos),
    "atan": math.atan,
    "atan2": math.atan2,
    "sinh": lambda x: math.sinh(x) if abs(x) < 710 else math.copysign(inf, x),
    "cosh": _real(math.cosh),
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": _real(math.acosh),
    "atanh": atanh,
    "sigmoid": special.sigmoid,
    "logit": lambda p: special.safe_log(p) - special.log1m(p),
    "softplus": special.softplus,
    "log_sigmoid": lambda x: -special.softplus(-x),
    "lgamma": special.lgamma,
    "digamma": special.digamma,
    "trigamma": special.trigamma,
    "lbeta": special.lbeta,
    "lchoose": special.log_choose,
    "lfactorial": lambda n: special.lgamma(n + 1),
    "erf": math.erf,
    "erfc": math.erfc,
    "erf_inv": special.erf_inv,
    "Phi": special.Phi,
    "inv_Phi": special.inv_Phi,
    "log_Phi": special.log_Phi,
    "gamma_p": special.gamma_p,
    "gamma_q": special.gamma_q,
    "inc_beta": special.inc_beta,
    "bessel_i0e": special.bessel_i0e,
    "bessel_i1e": special.bessel_i1e,
    "min": smaller,
    "max": larger,
    "hypot": math.hypot,
    "indicator": int,
    "to_real": float,
    "score_if": lambda c: 0.0 if c else -inf,
}
