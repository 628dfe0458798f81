"""The primitive functions of `signatures.PRIMITIVES`, on JAX arrays.

Five tables, by how the evaluator lowers a row:

- `ELEMENTWISE`: broadcasting functions of arrays;
- `REDUCTIONS`: `(xs, axes) -> array`, summing out the named axes;
- `BATCHED`: arguments carry leading batch dimensions (as many on each, sizes equal or 1) before the
  event dimensions of their signature, and so does the result; static arguments are Python ints;
- `EINSUM`: the rows that are sums of products, as subscripts of the event dimensions;
- `STRUCTURAL`: the rows that only rearrange dimensions, which are the evaluator's own.
"""

from ppl.semantics.functions.arrays import BATCHED, EINSUM, STRUCTURAL
from ppl.semantics.functions.casts import CHECKED
from ppl.semantics.functions.elementwise import ELEMENTWISE
from ppl.semantics.functions.ode import solve_ode
from ppl.semantics.functions.reductions import REDUCTIONS, logsumexp

__all__ = [
    "BATCHED",
    "CHECKED",
    "EINSUM",
    "ELEMENTWISE",
    "REDUCTIONS",
    "STRUCTURAL",
    "logsumexp",
    "solve_ode",
]
