"""Markov kernels and what they move."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E860": Code(
        "a kernel for a choice that there is not",
        """
`on` names random choices of the program, by the names that results have. A name stands for all
choices below it, `theta[3]` for one element.

    kernels.random_walk().on("sigma")       # of a model that draws `mu` and `tau`
    kernels.random_walk().on("mu", "tau")
""",
    ),
    "E861": Code(
        "a kernel that cannot move a choice",
        """
Gradients and slices move real numbers, `gibbs` choices of finitely many values; `random_walk` and
`prior` move both.

    kernels.hmc().on("mu", "z")                             # z ~ categorical(…)
    kernels.hmc().on("mu").then(kernels.gibbs().on("z"))
""",
    ),
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
