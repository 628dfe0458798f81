"""What distributions can and cannot do."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E720": Code(
        "a measure without a sampler is drawn from",
        """
`flat`, `flat_ordered` and `flat_simplex` are Lebesgue measures: densities, not probability
distributions, so nothing can be drawn from them. Methods that only use the density (nuts, hmc) take
them as improper priors; methods that draw from the prior need a proper one.

    model m(y: real) { mu ~ flat(); observe y ~ normal(mu, 1) }          # not with smc
    model m(y: real) { mu ~ normal(0, 100); observe y ~ normal(mu, 1) }  # with any method
""",
    ),
    "E721": Code(
        "a distribution without a distribution function is truncated",
        """
`truncate(d, lower, upper)` divides by the probability of the bounds, which is computed from the
distribution function of `d`. A few distributions on the line (`von_mises`) have none that can be
computed, and distributions of vectors have none at all.

    x ~ truncate(von_mises(0, 2), 0, 1)                      # wrong
    x ~ truncate(normal(0, 2), 0, 1)                         # right
    x ~ von_mises(0, 2); condition x >= 0 and x <= 1         # right: not renormalised
""",
    ),
    "E722": Code(
        "a mixture has discrete and continuous components",
        """
A density is with respect to a reference measure: counting for discrete distributions, length for
continuous ones. A mixture of both has a density for neither.

    x ~ mixture([0.5, 0.5], [dirac(0.0), normal(0, 1)])      # wrong
    zero ~ bernoulli(0.5)                                    # right
    x ~ if zero { return 0.0 } else { normal(0, 1) }
""",
    ),
    "E723": Code(
        "a discrete site under a method that needs gradients",
        """
Gradient methods move in unconstrained real coordinates, which discrete values do not have. Sum the
site out (finite sites are summed out automatically where that is exact), or use a method that
draws it.

    k ~ poisson(3)          # wrong with nuts
    lambda ~ gamma(3, 1)    # right
""",
    ),
    "E724": Code(
        "the values of a site cannot be listed",
        """
Enumeration needs finitely many values whose number is known when the program is compiled, and at
most ten thousand of them.

    k ~ poisson(3)                      # wrong: infinitely many
    n ~ poisson(3); k ~ binomial(n, p)  # wrong: how many depends on a draw
    k ~ binomial(10, p)                 # right
""",
    ),
    "E725": Code(
        "a counterfactual of a distribution without a noise map",
        """
A counterfactual replays the noise behind what was seen. Which noise that is does not follow from a
distribution; it is a choice, which the table of distributions makes for most (the quantile, the
standardised value, one Gumbel per category). Those that declare none are refused.

    g ~ gamma(2, 1)                    # wrong: two natural constructions disagree
    g ~ weibull(2, 1)                  # right: by its quantile
""",
    ),
    "W710": Code(
        "a cast that fails where chains went",
        """
The draws are fine, but near them there are points at which a cast fails. The density is zero
there, so that chains never stay: they draw from the posterior given that the cast does not fail.
Say so, or use a function that cannot fail.

    x ~ normal(0, 1)
    observe y ~ normal(0, (x + 1) as pos)              # silently given that x >= -1
    condition x >= -1                                  # right, if that is meant; before the cast
    observe y ~ normal(0, softplus(x + 1))             # right, if it is not
""",
    ),
    "W726": Code(
        "a law without a density",
        """
A parameter is outside its range when the program runs: a scale of 0 (`pos` includes it), or bounds
that have crossed. Such a law has no density, and a run that meets it has weight zero. Written in
the program, a scale of 0 is an error (E404).

    s ~ binomial(3, 0.5)
    observe y ~ normal(mu, s)             # no density where s = 0
    observe y ~ normal(mu, s + 0.1)       # right, if it may be small
""",
    ),
}
