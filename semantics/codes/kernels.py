"""Markov kernels and what they move."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E862": Code(
        "a choice whose law a kernel cannot use",
        """
`elliptical_slice` needs choices that are Gaussian given the others (their means and scales may be
random); it and `prior` need to know their laws, which must not depend on choices that are
summed out. Choices that a kernel names are not summed out.

    kernels.elliptical_slice().on("tau")    # tau ~ half_normal(1)
    kernels.elliptical_slice().on("theta").then(kernels.random_walk().on("tau"))
""",
    ),
    "E863": Code(
        "a kernel that leaves a choice where it is",
        """
A chain whose kernel never moves some choice does not reach the posterior.

    kernels.random_walk().on("mu")          # of a model that draws `mu` and `tau`
    kernels.random_walk().on("mu").then(kernels.slice().on("tau"))
""",
    ),
}
