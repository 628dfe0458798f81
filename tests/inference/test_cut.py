"""A function cut at its loops is that function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ppl.inference.cut import Cut


def test_each_output_of_a_loop_stays_the_one_that_it_is():
    """Twelve of one shape: sorted as texts, the tenth would come second."""

    def f(x):
        def step(carry, t):
            return carry + t, [carry * k + t for k in range(12)]

        return jax.lax.scan(step, x, jnp.arange(5.0))

    last, rows = Cut.of(f, 0.5)(0.5)
    want, expected = f(0.5)
    assert last == want
    for got, row in zip(rows, expected, strict=True):
        assert np.array_equal(got, row)
