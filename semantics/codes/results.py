"""Posteriors."""

from __future__ import annotations

from ppl.semantics.codes.page import Code

PAGES: dict[str, Code] = {
    "E891": Code(
        "a posterior has no draws of that name",
        """
Draws are named by site: the binders and loop indices of the run, as in `theta[3]` or `step/x`. The
model's returned value is `posterior.result`.

    posterior["Theta"]      # wrong
    posterior["theta"]      # right
""",
    ),
    "E892": Code(
        "the method gives no evidence",
        """
The log evidence is the logarithm of the model's total mass. Exact enumeration, importance sampling
and sequential Monte Carlo estimate it; Markov chains such as NUTS draw from the posterior and know
nothing of its mass.

    ppl.infer(target, ppl.nuts()).log_evidence                # wrong
    ppl.infer(target, ppl.importance(10_000)).log_evidence    # right
""",
    ),
    "E893": Code(
        "not a saved posterior",
        """
`ppl.load_posterior` reads files that `Posterior.save` wrote (NetCDF, with the suffix `.nc`).

    ppl.load_posterior("data.nc")           # wrong: some other NetCDF file
    posterior.save("posterior.nc")          # right
    ppl.load_posterior("posterior.nc")
""",
    ),
    "E894": Code(
        "a result cannot be written",
        """
The folder does not exist, or the file may not be written there, or a plot's suffix names no format.

    ppl run model.ppl --data d.json --out missing/folder/posterior.nc      # wrong
    mkdir -p missing/folder                                                # right: make it first
""",
    ),
    "E895": Code(
        "every draw has weight zero",
        """
Not one draw agrees with the observations: an observed value lies outside its distribution's
support, a `condition` never holds, or the prior is so far from the data that all weights underflow.

    sigma ~ uniform(0, 1)
    observe y ~ uniform(0, sigma)        # wrong for y = 3: its density is always zero
    sigma ~ uniform(0, 10)               # right: some draws can produce y
""",
    ),
    "E898": Code(
        "a checkpoint that cannot be used",
        """
A checkpoint is a folder in which chains and particles write down how far they are. A run goes on
from it with the program, data, method, settings and seed that it began with. Methods that take one
step have none (exact, map, laplace), nor, on the machine, has smc with a guide or trajectories; and
runs there have none if they hold what no file can, such as functions of Python.

    ppl run model.ppl --data d.json --checkpoint run.ckpt --seed 1
    ppl run model.ppl --data d.json --checkpoint run.ckpt --seed 2    # wrong: another run
    ppl run model.ppl --data d.json --checkpoint other.ckpt --seed 2  # right: a folder of its own
""",
    ),
    "E897": Code(
        "an expectation without control variates",
        """
`posterior.expect` corrects a mean by functions of the gradient of the log density, whose means are
known. It needs continuous choices in a program that XLA runs, data without holes, a function that
is finite at every draw, and a few draws for each coefficient.

    posterior.expect(lambda p: 1 / p["count"])            # wrong: infinite where a count is 0
    posterior.expect(lambda p: p["mu"] ** 2, degree=2)    # right
""",
    ),
    "E896": Code(
        "a posterior without its model",
        """
A posterior that was inferred in this process predicts for the data it was given. One that was
loaded from a file needs to be told the model and the data to predict for.

    ppl.load_posterior("p.nc").predict()
    ppl.load_posterior("p.nc").predict(model(x=x, y=y))
""",
    ),
}
