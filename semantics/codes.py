"""Every diagnostic code: a title and what `ppl explain CODE` says.

E0xx text and limits · E1xx syntax · E2xx names · E3xx shapes of types · E4xx numbers and supports
E5xx effects and sites · E6xx data · E7xx running · E8xx inference · W… warnings, numbered alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """`page` is prose with an example that goes wrong and one that is right."""

    title: str
    page: str


CODES: dict[str, Code] = {
    "E601": Code(
        "a parameter has no data",
        """
Every parameter of a model needs a value, found by its name: a field of the data file, or a named
argument in Python.

    model m(y: [real], sigma: pos) { … }

    {"y": [1.0, 2.0]}                    # wrong: nothing for sigma
    {"y": [1.0, 2.0], "sigma": 0.5}      # right
""",
    ),
    "E602": Code(
        "a parameter's data are misspelt",
        """
No field has the parameter's name, but one comes close. Names are compared letter by letter,
capitals included.

    model m(sigma: pos) { … }

    {"Sigma": 0.5}      # wrong
    {"sigma": 0.5}      # right
""",
    ),
    "E603": Code(
        "data of the wrong kind",
        """
A value is not of the kind that the parameter's type asks for: a text or a boolean where a number is
needed, a fraction where a whole number is needed, a value that is not a function for a function.
Whole numbers may be written `3.0`; booleans may be written 0 and 1; nothing else is converted.

    model m(counts: [nat]) { … }

    {"counts": [2, 3.5]}      # wrong: 3.5 is no whole number
    {"counts": [2, 3]}        # right
""",
    ),
    "E604": Code(
        "data of the wrong shape",
        """
An array has more or fewer dimensions than the parameter's type, its rows are of unequal length, or
a tuple has too few or too many components. `[real]` has one dimension, `[[real]]` two.

    model m(x: [[real]]) { … }

    {"x": [[1, 2], [3]]}         # wrong: ragged
    {"x": [[1, 2], [3, 4]]}      # right

Ragged data are held as one flat array and the offsets at which its groups begin.
""",
    ),
    "E605": Code(
        "data out of range",
        """
A number lies outside the range of its type: `nat` and `pos` are at least 0, `prob` lies between 0
and 1, whole numbers have 64 bits, and reals are double precision.

    model m(sigma: [pos]) { … }

    {"sigma": [1.5, -2]}      # wrong
    {"sigma": [1.5, 2]}       # right
""",
    ),
    "E606": Code(
        "a hole in data that may have none",
        """
A value is missing (null in JSON, NA or an empty cell in CSV, NaN in arrays), and the parameter's
type does not allow it. With `?` after the element's type, each hole becomes a latent variable.

    model m(y: [real]) { … }       # wrong for {"y": [1.0, null]}
    model m(y: [real?]) { … }      # right: the hole is inferred
""",
    ),
    "E607": Code(
        "a data file cannot be read",
        """
The file is not what its suffix says, or has no suffix that is known. A JSON file holds one object;
a CSV file names its columns in the first line; an NPZ file holds arrays without pickled objects; a
NetCDF file is of version 4.

    [1, 2, 3]               # wrong: which parameter is this?
    {"y": [1, 2, 3]}        # right
""",
    ),
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
}
