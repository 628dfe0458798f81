"""Methods of inference and their settings."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E801": Code(
        "a site that cannot be drawn",
        """
Methods that run the model forward (importance, prior simulation) draw every site. `flat` is a
density without a sampler.

    mu ~ flat()               # nuts, hmc, map, laplace
    mu ~ normal(0, 100)       # any method
""",
    ),
    "E802": Code(
        "a trace without a value for a site",
        """
Replaying a program takes the value of every random choice from a trace, by the choice's path.

    {"mu": 0.3}                             # for a model that draws `mu` and `tau`
    {"mu": 0.3, "tau": 1.5}
""",
    ),
    "E803": Code(
        "a discrete site under a gradient method",
        """
Gradient methods move real numbers. Discrete choices with finitely many values are summed out
exactly; one without a bound cannot be.

    k ~ poisson(3)                          # no bound
    k ~ truncate(poisson(3), 0, 40)         # summed out
""",
    ),
    "E805": Code(
        "discrete choices that are coupled",
        """
Finite choices are summed out one by one, which needs the elements of an array of choices to be
independent given everything else. Mixing them (their sum, one choice used at another's place)
leaves a table over all combinations.

    zs ~ for y in ys { bernoulli(0.3) }
    observe n ~ poisson(sum(indicator(zs)))                     # all of zs at once
    for (z, y) in zip(zs, ys) { observe y ~ normal(mu[indicator(z)], 1) }    # one by one
""",
    ),
    "E806": Code(
        "a loop whose state cannot be summed out",
        """
A loop that carries a finite choice from step to step is summed by a forward recursion. Everything
else it carries must not depend on those choices, since it would have one value for each history.

    z ~ fold z = z0 for y in ys { z ~ categorical(a[z]); observe y ~ normal(mu[z], 1); return z }
    x ~ fold x = 0 for y in ys { up ~ bernoulli(0.5); return if up { x + 0.1 } else { x * 0.9 } }

The second needs a method that draws the choices: importance, smc, mcmc.
""",
    ),
    "E807": Code(
        "a program with too many paths, or infinitely many",
        """
Exact inference runs every possible execution. All random choices must have finitely many values,
and together not too many.

    x ~ normal(0, 1)        # nuts, importance
    x ~ bernoulli(0.3)      # exact
""",
    ),
    "E808": Code(
        "a site to non-centre that is not there",
        """
`noncenter` names continuous sites by their path, as results do.

    theta ~ for _ in y { normal(mu, tau) }
    ppl.nuts(noncenter=["theta[1]"])    # wrong: an element of the site
    ppl.nuts(noncenter=["theta"])
""",
    ),
    "E809": Code(
        "a site that cannot be non-centred",
        """
Non-centring moves a site in standardised coordinates, x = location + scale * u. Only families with
a location and a scale have them.

    theta ~ for _ in y { normal(mu, tau) }      # noncenter = theta
    tau ~ gamma(2, 1)                           # cannot be
""",
    ),
    "E810": Code(
        "no starting point",
        """
A gradient method starts where the log density and its gradient are finite. None was found among
random points and draws from the prior. Most often an observation lies outside the support of what
it is observed from, or an expression is not a number near zero.

    observe -1 ~ exponential(rate)          # impossible whatever `rate` is
    observe 1 ~ exponential(rate)
""",
    ),
    "E811": Code(
        "a setting of an inference method out of range",
        """
Numbers of draws and chains are at least one, `target_accept` lies between 0 and 1, and so on.

    nuts(chains=0)
    nuts(chains=4)
""",
    ),
    "E812": Code(
        "no mode found",
        """
The optimiser did not reach a point where the gradient vanishes. The density may have no mode: in a
hierarchical model it often grows without bound as a scale goes to zero with its effects.

    tau ~ flat(0, inf)
    theta ~ for _ in range(8) { normal(mu, tau) }      # unbounded as tau -> 0
    tau ~ gamma(2, 0.1)                                # zero density at 0
""",
    ),
    "E813": Code(
        "the mode has no Gaussian approximation",
        """
The Laplace approximation needs the log density to curve down in every direction at its mode. Where
it is flat, a combination of sites is not determined by prior and data.

    a ~ flat()
    b ~ flat()
    observe y ~ normal(a + b, 1)            # a - b can be anything
    a ~ normal(0, 10)
    b ~ normal(0, 10)
""",
    ),
    "E814": Code(
        "nothing for a gradient method to move",
        """
Every site is discrete and can be summed out, so the answer is known exactly without sampling.

    ppl run coins.ppl --method nuts
    ppl run coins.ppl --method exact
""",
    ),
    "E815": Code(
        "an unknown method",
        """
`ppl.infer` takes a method, or a method's name.

    ppl.infer(target, ppl.nuts)
    ppl.infer(target, ppl.nuts(chains=2))
""",
    ),
    "E816": Code(
        "an unknown setting of a method",
        """
Settings are the keyword arguments of a method, and `--set NAME=VALUE` on the command line.

    --method nuts --set target_acept=0.9
    --method nuts --set target_accept=0.9
""",
    ),
    "E817": Code(
        "something that is not a target, or not a posterior",
        """
A model is a function of its data; what is inferred and simulated is the model applied to data.
Predictions are made from a posterior, which `ppl.infer` gives.

    ppl.infer(models.line, ppl.nuts())                  # the model
    ppl.infer(models.line(x=x, y=y), ppl.nuts())        # the model on its data
""",
    ),
    "E818": Code(
        "an unknown model",
        """
The models of a file are attributes of what `ppl.load` gives, by the names they are declared with.

    ppl.load("line.ppl").lines      # the file says `model line(…)`
    ppl.load("line.ppl").line
""",
    ),
    "E819": Code(
        "a kernel that cannot move a site",
        """
Gibbs sampling by enumeration runs the program once for every value of a site, so that there must be
finitely many, and not too many. A random walk moves numbers one by one, which those of a
probability vector or of a covariance matrix cannot be, since they depend on one another (compiled
programs move their free coordinates instead). Gradients and slices move real numbers only.

    k ~ poisson(3); kernels.gibbs().on("k")                  # infinitely many values
    k ~ poisson(3); kernels.random_walk().on("k")            # steps of one up and down
    p ~ dirichlet([2, 3, 4]); kernels.prior().on("p")        # drawn again as a whole
""",
    ),
    "E866": Code(
        "a proposal that is none",
        """
A program that proposes draws new values for sites of the model, and does nothing else: each of its
sites is named as the one that it is for, and it scores nothing, so that the density of what it
draws is the product of those of its sites.

    model q(old_x: real) { e ~ normal(0, 0.1); x ~ normal(old_x + e, 0.1) }    # no `e` there
    model q(old_x: real) { x ~ normal(old_x, 0.2) }
""",
    ),
    "E867": Code(
        "a function that is no involution",
        """
A reversible jump takes the values of a trace and auxiliary values to those of another trace, and to
the auxiliary values that lead back: applied twice, the function gives what it was given. It takes
as many continuous values to as many, which is what the auxiliary values are for, and its Jacobian,
where it is given, is that of the function.

    def double(x, u): return {"s": 2 * x["s"]}, {}                      # and does not come back
    def scale(x, u): return {"s": u["f"] * x["s"]}, {"f": 1 / u["f"]}
""",
    ),
    "E868": Code(
        "a guide of weight zero",
        """
What a guide scores says which particles are likely to be needed later. One that it gives up would
never be drawn again, though the model may need it: its scores are positive, and its parameters
legal.

    model guide(ys: [real]) { …; condition abs(y - x) < 3; … }              # gives particles up
    model guide(ys: [real]) { …; factor log(0.01 + exp(-abs(y - x))); … }
""",
    ),
    "E874": Code(
        "data that a model cannot go on with",
        """
A filter goes on with more data where the model goes over them step by step, in a loop of its own,
and reads each row where the loop comes to it: then more rows change nothing that was computed so
far. What follows the loop may read anything.

    let m = mean(ys); h ~ fold h = m for y in ys { … }          # more rows would change the start
    h ~ fold h = 0.0 for t in range(len(ys)) { … ys[t] … }      # all of ys, in every step
    h ~ fold h = 0.0 for (t, y) in enumerate(ys) { … }
    h ~ fold h = 0.0 for (x, y) in zip(xs, ys) { … }            # extended by rows of both
""",
    ),
    "E875": Code(
        "a posterior without particles that go on",
        """
`extend` goes on with the particles of `smc`, in the process that ran them. Other methods have none,
files do not keep them, and those of a guided filter go on only where the guide's own last loop over
data went side by side with the model's, on XLA.

    ppl.infer(model(ys=ys), ppl.pgibbs()).extend(ys=more)            # runs of whole programs
    ppl.infer(model(ys=ys), ppl.smc()).extend(ys=more)
""",
    ),
    "E876": Code(
        "trajectories that compiled code does not draw backwards",
        """
Compiled code draws the past of a trajectory by the density of its next step alone. That is right
where the program ends in a loop whose state after a step is made of the step's choices, and whose
steps read nothing else that differs between particles. The machine replays all that is still to
come instead, for any program, at the cost of the square of the steps.

    x ~ normal(phi * x, 0.5); … return x                      # the state is the choice
    e ~ normal(0, 1); let z = phi * x + e; … return z         # the state has all choices in it
    phi ~ uniform(0, 1); xs ~ scan … phi …                   # and each has its own phi
""",
    ),
    "E877": Code(
        "parameters that are not drawn first",
        """
`smc2` draws parameters before anything else, as the model draws them up to its first suspension
point, and gives each a filter for all other choices. So parameters come first, and their laws
depend on each other alone.

    z ~ bernoulli(0.5); m ~ normal(if z { 3 } else { 0 }, 1); …      # smc2(parameters="m")
    m ~ normal(0, 1); s ~ half_normal(abs(m)); …                     # smc2(parameters="m,s")
""",
    ),
    "E878": Code(
        "particles that compiled code does not move",
        """
Compiled code moves the particles of `rmsmc` in the coordinates of a density, of as many numbers for
every particle. A program whose choices have none (draws in loops without a bound, laws on sets that
free numbers are not mapped onto) is the machine's, which moves values; `ppl.infer` goes over to it
by itself (W717) unless engine='xla' was asked for.

    ppl.infer(target, ppl.rmsmc())                      # on either
    ppl.infer(target, ppl.rmsmc(), engine="machine")
""",
    ),
    "E879": Code(
        "a kernel in values that is not compiled",
        """
Proposals that are programs, and involutions, are compiled where every run draws the same sites:
none of those that they move is drawn in a branch, they ask for nothing that some runs do not have,
and JAX can trace a function of values, which tests none of them. `ppl.infer` goes over to the
machine by itself otherwise, unless engine='xla' was asked for.

    def turn(x, u): return ({**x, "n": 2 - x["n"]}, u) if x["a"] else (x, u)      # the machine's
    def turn(x, u): return {**x, "n": jnp.where(x["a"], 2 - x["n"], x["n"])}, u
""",
    ),
    "E882": Code(
        "a filter of `pmmh` that is not compiled",
        """
Compiled, `pmmh` walks through parameters that are whole continuous sites; others walk on the
machine, or are left to the particles. With a correlation it moves the random numbers of its filter
a little: they stand in one vector, of which every draw is a function, on the line, of finitely many
values, and of normal vectors. Other vectors have no such function here, and a loop without a bound
reads who knows how many. `ppl.infer` goes over to the machine by itself, unless engine='xla' was
asked for.

    xs ~ scan p = p0 for y in ys { p ~ dirichlet(20 * p); … }                  # the machine's
    xs ~ scan u = u0 for y in ys { u ~ multi_normal_cholesky(u, l); … }        # compiled
""",
    ),
}
