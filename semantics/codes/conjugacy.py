"""Sites integrated out because they are conjugate given the rest."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E880": Code(
        "no site to integrate or sum out",
        """
`rao_blackwellize` takes the names of sites as results show them, bound by `~` to draws from beta,
gamma, dirichlet or normal distributions (and from uniform(0, 1) and exponential, which are betas
and gammas). Without names it integrates out all that are conjugate given the rest, and there has to
be one. So it is with `marginalize` and draws from bernoulli and categorical distributions.

    p ~ beta(2, 3); observe y ~ bernoulli(p)
    target.rao_blackwellize("q")                    # there is no q
    target.rao_blackwellize("p")
""",
    ),
    "E881": Code(
        "a site that cannot be integrated or summed out",
        """
A site can be integrated out if everything that is scored depends on it through observations that
its family is conjugate to: bernoulli, binomial and geometric by a beta; poisson, exponential and
gamma by a gamma, or a multiple of it, as rate; categorical and multinomial by a dirichlet; normal
and lognormal by a mean that is affine in a normal. What is only returned, or drawn from it and
never scored, does not matter.

    p ~ beta(2, 3); observe y ~ bernoulli(sqrt(p))              # no beta
    p ~ beta(2, 3); observe y ~ bernoulli(p); return sqrt(p)    # a beta again
    mu ~ normal(0, 1); observe y ~ normal(mu * mu, 1)           # not affine
    mu ~ normal(0, 1); observe y ~ normal(a + b * mu, 1)        # affine

A finite choice can be summed out if what is scored by it is not drawn by it as well.

    k ~ bernoulli(0.3); x ~ normal(if k { 1 } else { 0 }, 1); observe y ~ normal(x, 1)  # drawn
    k ~ bernoulli(0.3); observe y ~ normal(if k { 1 } else { 0 }, 1)

Of a hierarchy `theta ~ normal(mu, tau)` whose elements are scored, `mu` goes with `theta`:
rao_blackwellize("theta", "mu").
""",
    ),
}
