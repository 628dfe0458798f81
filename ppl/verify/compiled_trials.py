"""Trials of compiled code: the subject runs with a key, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.semantics import keys
from ppl.semantics.omega import Key
from ppl.semantics.precision import precision
from ppl.verify.columns import RESULT, Columns, identified
from ppl.verify.compiled import Lanes, checked
from ppl.verify.runnable import Atom, Law, Runnable


def weights_by_atom(
    run: Callable[[Lanes, Any], Any], model: Runnable, law: Law
) -> Callable[[int], Mapping[Any, float]]:
    """From a seed to the weights of one run of the subject, by the execution that each row is."""
    target = model.target.sampler
    shapes: dict[str, tuple[int, ...]] = {}

    @jax.jit
    def once(data: Any, seed: Any) -> Any:
        out = checked(run(Lanes(target.bound, data), Key(keys.wrap(seed))))
        n = out.log_weights.shape[0]
        shapes.update({k: v.shape[1:] for k, v in out.values.items()})
        flat = [jnp.reshape(v, (n, -1)).astype(float) for v in out.values.values()]
        return out.log_weights, jnp.concatenate(flat, axis=1) if flat else jnp.zeros((n, 0))

    known: dict[bytes, Any] = {}

    def trial(seed: int) -> Mapping[Any, float]:
        words = np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
        with precision(None):
            log_weights, rows = map(np.asarray, once(target.data, words))
        rows = np.ascontiguousarray(rows + 0.0)  # of two zeros, one
        columns, out = Columns(shapes), dict[Any, float]()
        for log_weight, row in zip(log_weights, rows, strict=True):
            if log_weight > -np.inf:
                key = row.tobytes()
                if key not in known:
                    (atom,) = identified(row[None], columns, law.executions)
                    alone = all(name.startswith(RESULT) for name in shapes)
                    known[key] = Atom(None, atom.result) if alone else atom
                out[known[key]] = out.get(known[key], 0.0) + float(np.exp(log_weight))
        return out

    return trial
