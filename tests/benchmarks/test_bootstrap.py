"""Filters that are compared have to estimate the same thing: what differs is refused."""

import numpy as np
import pytest

from benchmarks.bootstrap import same_law

A = np.random.default_rng(3).normal(-1200, 0.4, 16)


def test_estimates_of_one_law_may_be_compared():
    same_law(A, np.random.default_rng(4).normal(-1200, 0.4, 16))


@pytest.mark.parametrize("wrong", [A + 3, -1200 + 20 * (A + 1200)], ids=["mean", "spread"])
def test_other_estimates_may_not(wrong):
    with pytest.raises(RuntimeError, match="not the same thing"):
        same_law(A, wrong)
