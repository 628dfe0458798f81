"""Warnings, numbered as errors are."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "W301": Code(
        "an arm that is never reached",
        """
The arms before it take all that it takes: a variable takes every value. Constructors begin with a
capital letter.

    match t { leaf => 0, Node(l, r) => 1 }
    match t { Leaf => 0, Node(l, r) => 1 }
""",
    ),
    "W401": Code(
        "an observation that may lie outside the support",
        """
The data are declared with a wider range than the distribution draws. Values outside have weight
0.

    model m(y: [int]) { observe y ~ poisson(3) … }
    model m(y: [nat]) { observe y ~ poisson(3) … }
""",
    ),
    "W501": Code(
        "a latent variable that nothing uses",
        """
Nothing depends on the draw, so its posterior is its prior. Often another variable was meant.

    tau ~ half_normal(1)
    theta ~ normal(mu, 1)         # normal(mu, tau)
""",
    ),
    "W601": Code(
        "a data field is not used",
        """
The file has a field that no parameter of the model is named after. Nothing is wrong if it belongs
to other models; if it should have been used, the names differ.

    model m(y: [real]) { … }

    {"y": [1, 2], "n": 2}      # warns: n is not used
    {"y": [1, 2]}              # right
""",
    ),
    "W717": Code(
        "a program that ran on the machine after all",
        """
The compiler chose XLA, and found while compiling that sizes depend on what is drawn, that the state
of a loop changes in form or size, that a loop without a bound takes too many steps to keep what
each draws, or that particles have to stop where they cannot (E730). The machine ran the program
instead: the law is the same, the random numbers are others, and it is slower. Say so to be rid of
the remark.

    ppl.infer(target, ppl.importance())                      # tries XLA first
    ppl.infer(target, ppl.importance(), engine="machine")
""",
    ),
    "W502": Code(
        "a function that hides a built-in one",
        """
A program's own function is what its name means everywhere in the file, so a built-in function or
distribution of that name cannot be called there.

    fn count(xs) { 3 * len(xs) }       # `count(y)` in this file is this one
    fn weighted(xs) { 3 * len(xs) }    # right
""",
    ),
    "W855": Code(
        "a name was set that no execution came to",
        """
On the machine, names are known when a program runs. None of the executions had a site of this name:
it is spelt differently, or stands in a branch that was never taken.

    n ~ pick(0)                               # recursive: `pick` runs `stop` again and again
    target.do({"n/pick/stop": 1})             # wrong: no such path
    target.do({"n/else/pick/stop": 1})        # right: the names that results show
""",
    ),
    "W888": Code(
        "values that no chain came to",
        """
Programs run forward, weighted by their scores, have a value of a choice with a sizeable share of
the weight, and no draw of any chain has it: the chains do not get there by the moves that they
make. It happens where choices can only change together, as here, where a change of `a` alone, or of
`b` alone, is impossible.

    a ~ categorical([0.2, 0.3, 0.5])
    b ~ categorical([0.4, 0.4, 0.2])
    condition a == b

    ppl.mcmc(kernel=kernels.prior(block=True).on("a", "b"))    # both at once
""",
    ),
    "W889": Code(
        "particles that collapsed",
        """
At a suspension point nearly all weight was on one or two particles, so that everything after it
descends from them. More particles help; so does a guide that proposes by what is observed next, or
a model that scores in smaller steps.

    ppl.infer(target, ppl.smc(particles=100))                       # collapses at an outlier
    ppl.infer(target, ppl.smc(particles=10_000))                    # more particles
    ppl.infer(target, ppl.smc(particles=100, guide=guide(y=y)))     # or a guide
""",
    ),
    "W890": Code(
        "few lineages are left",
        """
Each time that particles are resampled, some leave no descendants. After many times all of them come
from a few of those at the beginning, so that what was drawn early has only a few different values,
whatever the weights say. The evidence and late choices are not concerned.

    ppl.smc(particles=10_000)
    ppl.pgibbs(particles=100, sites="hs", then=kernels.random_walk().on("mu", "sigma"))
""",
    ),
    "W891": Code(
        "divergent transitions",
        """
At a divergence the numerical trajectory of Hamiltonian Monte Carlo left the true one: the posterior
bends too sharply there for the step size, and the draws miss that region. Few divergences are often
cured by smaller steps; many by writing the model with its scale outside.

    theta ~ for _ in y { normal(mu, tau) }                          # a funnel in (theta, tau)

    z ~ for _ in y { normal(0, 1) }                                 # the same law without it
    let theta = [mu + tau * zi for zi in z]

    ppl.nuts(target_accept=0.95)                                    # smaller steps
""",
    ),
    "W892": Code(
        "chains that disagree",
        """
R-hat compares the spread between chains with the spread within them (rank-normalised and split:
Vehtari et al. 2021); above 1.01 the chains have not mixed. Run longer; if that does not help, look
for two modes, for components that can swap labels, or for directions the data say nothing about.

    ppl.nuts(draws=100, warmup=50)            # too short
    ppl.nuts(draws=2_000, warmup=2_000)
""",
    ),
    "W893": Code(
        "few effective draws",
        """
Neighbouring draws of a chain are alike, so that they tell as much as a smaller number of
independent ones: the effective sample size. Below 100 a chain, means and quantiles (and R-hat
itself) are not to be relied on. Take more draws, or mend the model's geometry.

    ppl.nuts(draws=100)
    ppl.nuts(draws=4_000)
""",
    ),
    "W894": Code(
        "weights on few particles",
        """
Nearly all of the weight lies on a few particles: the proposal (for plain importance sampling, the
prior) hardly meets the posterior. The evidence is then too low more often than not. Take a method
that approaches the posterior in steps.

    ppl.importance(1_000)            # thirty observations, a vague prior
    ppl.nuts()
""",
    ),
    "W895": Code(
        "a result was not saved",
        """
The model's result holds functions or other Python objects, which a file cannot. The named draws and
everything else were saved; the loaded posterior has no `result`.

    posterior.save("f.nc")                       # saves the named draws only
    np.save("f.npy", posterior.result(xs))       # saves the function's values
""",
    ),
    "W896": Code(
        "a run that was stopped",
        """
Ctrl-C ended the run before it had all its draws; what there was by then was kept. Chains are cut to
one length, and those that had hardly begun are left out. The draws are good ones, only fewer.

    except ppl.Interrupted as stop:
        posterior = stop.posterior      # None if warm-up was not over
""",
    ),
    "W898": Code(
        "particles that hardly move",
        """
At some temperature nearly all particles stayed where resampling had put them, many of them on one
place: what they say of the posterior is what was left of the start. Take more moves, another
kernel, or standardised coordinates for the sites of a hierarchy.

    ppl.tempered_smc(kernel="random_walk", moves=1)
    ppl.tempered_smc(kernel="hmc", noncenter=["theta"])
""",
    ),
    "W899": Code(
        "temperatures that did not suffice",
        """
The likelihood is so much narrower than the prior that the temperatures a run may choose were used
up, and the last step was a long one: weights after it are worth few particles. Give a prior
that is closer to the data, let each step lose more, or give the temperatures.

    sigma ~ half_cauchy(1000)
    ppl.tempered_smc(threshold=0.2)
""",
    ),
    "W897": Code(
        "a chain that never moved",
        """
No proposal of a chain was accepted after warm-up, so that all its draws are one and the same, or
the names that a kernel was given mean no random choice of any draw. Moves are too bold, or change
one choice where only several together can change.

    ppl.mcmc(kernel=kernels.prior(block=True))                       # everything at once, far away
    ppl.mcmc(kernel=kernels.random_walk(scale=0.1).on("mu", "s"))    # small steps of two sites
""",
    ),
}
