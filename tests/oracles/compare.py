"""Values of the oracles and of the engines in one form, so that their laws can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Any

from tests.oracles import rational

#: mass of each (result, sites drawn on the way)
Joint = Mapping[tuple[Hashable, frozenset[tuple[str, Hashable]]], float]


def plain(x: Any) -> Hashable:
    """Tuples for arrays, tuples and records (by sorted field), floats rounded to nine digits."""
    if isinstance(x, rational.Record):
        return tuple((k, plain(v)) for k, v in x.fields)
    if isinstance(x, Mapping):
        return tuple((k, plain(x[k])) for k in sorted(x))
    if isinstance(x, (tuple, list)):
        return tuple(map(plain, x))
    if hasattr(x, "tolist"):  # NumPy's and JAX's arrays and scalars
        return plain(x.tolist())
    if isinstance(x, (float, Fraction)):
        return round(float(x), 9)
    return x


def plain_joint(law: rational.Law) -> dict[tuple, float]:
    """The rational oracle's joint law in that form."""
    out: defaultdict[tuple, Fraction] = defaultdict(Fraction)
    for (result, sites), w in law.joint.items():
        out[plain(result), frozenset((k, plain(v)) for k, v in sites)] += w
    return {k: float(w) for k, w in out.items()}


def results(joint: Joint) -> dict[Hashable, float]:
    """The law of the result alone."""
    out: defaultdict[Hashable, float] = defaultdict(float)
    for (result, _), w in joint.items():
        out[result] += w
    return dict(out)


def distance(p: Mapping, q: Mapping) -> float:
    """The largest difference of mass at one point."""
    return max((abs(p.get(k, 0.0) - q.get(k, 0.0)) for k in {*p, *q}), default=0.0)
