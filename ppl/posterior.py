"""What inference returns: named draws, their weights, the evidence, and what to think of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.methods import checked_count, checked_seed
from ppl.semantics.diagnostics import Diagnostic, Note, fail, suggest
from ppl.trees import leaves, map_leaves, named_arrays, on_host, same

if TYPE_CHECKING:
    from ppl.convergence import Convergence
    from ppl.expectations import Expectation
    from ppl.summary import Summary
    from ppl.target import Target


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from a posterior, all arrays led by (chain, draw).

    Weighted draws (importance sampling, particles, exact enumeration) carry `log_weights`, (chain,
    draw), whose normaliser is irrelevant; without it all draws weigh the same. A draw that a run
    did not make (in a branch not taken) is NaN. Arrays may live on a device; they are fetched when
    they are first read.
    """

    #: by site path, e.g. "theta", "hs/h"; each (chain, draw, *shape)
    draws: Mapping[str, Any]
    #: the model's return value: a tree of arrays (chain, draw, …), or functions over draws
    result: Any = None
    #: (chain, draw), by ArviZ's names: diverging, acceptance_rate, tree_depth, n_steps, energy, lp
    stats: Mapping[str, Any] = field(default_factory=dict)
    log_weights: Any = None
    #: the estimate of the logarithm of the total mass, and its standard error, where there is one
    evidence: float | None = None
    evidence_se: float | None = None
    model: str = ""
    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    #: the draws enumerate the whole posterior, with exact weights
    exact: bool = False
    #: exact probabilities of the options of finite sites, by site: (*plates and steps, options)
    marginals: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: what particles did at their suspension points, in order: `effective_sample_size` before each,
    #: whether they `resampled` there, the `log_evidence` of what was scored so far, and, where that
    #: is kept, how many `lineages` of those there go on to the end; each (points,). Also
    #: `ancestors`: whom each particle after a point goes on from (points, particles), and where
    #: compiled particles move the `acceptance_rate`. Of populations that follow temperatures each
    #: is (replica, step), and there are also `temperature`, `acceptance_rate`, the number of
    #: `moves` and the share that `moved`. Files do not keep it
    points: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: what the method itself has to warn of
    remarks: tuple[Diagnostic, ...] = ()
    #: the model and its data, if this process inferred it; files do not keep it
    target: Target | None = field(default=None, repr=False)
    #: the particles of `smc` where the loop over data ended, if they can go on from there; of
    #: replicas, the posterior of each
    standing: Any = field(default=None, repr=False)

    def __getitem__(self, name: str) -> np.ndarray:
        """The draws of a site, (chain, draw, *shape), or of an element: `posterior["theta[3]"]`.

        What the model returns and does not bind by `~` has a name too: its field, or `result`.

        Raises:
            DiagnosticError: E891, there is no such site or element.
        """
        if not isinstance(name, str):
            raise fail(
                "E891", f"draws have names, and {name!r} is none", hint='write posterior["x"]'
            )
        if name in self.named:  # an element of what differs between executions is a name itself
            return self.named[name]
        site, _, rest = name.partition("[")
        if site not in self.named:
            known = ", ".join(f"`{n}`" for n in list(self.named)[:12]) or "none"
            message = f"the posterior has no draws named `{site}` (it has: {known})"
            raise fail("E891", message, hint=suggest(site, self.named))
        array = self.named[site]
        if not rest:
            return array
        try:
            index = tuple(int(i) for i in rest.removesuffix("]").split(","))
        except ValueError:
            raise fail("E891", f"`[{rest}` is not an index such as `[3]` or `[0, 2]`") from None
        shape = array.shape[2:]
        if len(index) > len(shape) or any(
            not -n <= i < n for i, n in zip(index, shape, strict=False)
        ):
            sizes = " x ".join(map(str, shape)) or "no"
            raise fail("E891", f"there is no `{name}`: each draw of `{site}` has {sizes} entries")
        return array[(slice(None), slice(None), *index)]

    def __contains__(self, name: object) -> bool:
        return name in self.named

    @cached_property
    def named(self) -> Mapping[str, np.ndarray]:
        """Draws by site, then the arrays in the result that are not already among them."""
        named = {name: on_host(array) for name, array in self.draws.items()}
        for name, array in named_arrays(self.result, ""):
            if array.shape[:2] != self.shape:
                continue
            if name in named and not same(named[name], array):
                name = f"result.{name}"
            if not (name.startswith("result") and any(same(d, array) for d in named.values())):
                named.setdefault(name, array)
        return named

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(chains, draws)."""
        if self.log_weights is not None:
            chains, draws = self.log_weights.shape
            return chains, draws
        leaders = [*self.draws.values(), *self.stats.values()]
        if not leaders:
            leaders = [leaf for leaf in leaves(self.result) if hasattr(leaf, "shape")]
        shape = tuple(leaders[0].shape[:2]) if leaders else (0, 0)
        return shape[0], shape[1]

    @property
    def weights(self) -> np.ndarray:
        """Normalised weights, (chain, draw)."""
        if self.log_weights is None:
            return np.full(self.shape, 1 / max(1, np.prod(self.shape)))
        log = np.asarray(self.log_weights, dtype=np.float64)
        top = log.max()
        if top == np.inf:
            raise fail(
                "E895",
                "a draw has infinite weight, so that there is no posterior to summarise",
                hint="look at each `factor`: it is finite, or -infinity for what is impossible",
            )
        if not np.isfinite(top):
            raise fail(
                "E895",
                "every draw has weight zero, so that there is no posterior to summarise",
                notes=tuple(Note(r.message) for r in self.remarks if r.code == "W726"),
                hint="no draw agrees with the observations: look at the model's supports and data",
            )
        weights = np.exp(log - top)
        return weights / weights.sum()

    @property
    def log_evidence(self) -> float:
        """The logarithm of the model's total mass.

        Raises:
            DiagnosticError: E892, the method gives no evidence.
        """
        if self.evidence is None:
            raise fail(
                "E892",
                f"`{self.method or 'this method'}` draws from the posterior and gives no evidence",
                hint="infer with `exact` or `importance`",
            )
        return self.evidence

    @property
    def effective_sample_size(self) -> float:
        """(Σ w)² / Σ w²: how many equally weighted draws the weights are worth (Kish)."""
        return float(1 / np.sum(self.weights**2))

    @cached_property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is doubtful about the draws and what to do about it."""
        from ppl.advice import advise

        return (*self.remarks, *advise(self))

    @cached_property
    def scalars(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The name of every numeric scalar, and their draws, (chain, draw, scalar), in float64."""
        from ppl.summary import scalars

        return scalars(self)

    @cached_property
    def twins(self) -> Mapping[str, str]:
        """Sites inside another name whose values are just its own, `xs/x` in `xs`, and that name:
        what both are is summarised once."""
        from ppl.summary import twins

        return twins(self.named)

    @cached_property
    def convergence(self) -> Convergence:
        """Bulk and tail effective sample sizes and R-hat of `scalars`, each (scalar,)."""
        from ppl.convergence import convergence

        return convergence(self.scalars[1])

    def summary(self) -> Summary:
        """Mean, sd, 5 % and 95 % quantiles; for chains bulk and tail sample sizes and R-hat too.

        It prints as a table; `summary()["theta[3]", "mean"]` is a number.
        """
        from ppl.summary import summarise

        return summarise(self)

    def chosen(self, n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The chain and the draw of each of `n` draws chosen by weight, (n,) each."""
        weights = self.weights.ravel()
        rng = np.random.default_rng(checked_seed(seed) % 2**64)
        points = (rng.random() + np.arange(n)) / n
        at = np.minimum(np.searchsorted(np.cumsum(weights), points), len(weights) - 1)
        chain, draw = np.unravel_index(rng.permutation(at), self.shape)
        return chain, draw

    def resample(self, n: int, *, seed: int) -> Posterior:
        """`n` equally weighted draws in one chain, chosen by weight (systematic resampling)."""
        chain, draw = self.chosen(checked_count("n", n), seed=seed)

        def take(array: Any) -> np.ndarray:
            return on_host(array)[chain, draw][None]

        return replace(
            self,
            draws={k: take(v) for k, v in self.draws.items()},
            stats={k: take(v) for k, v in self.stats.items()},
            result=map_leaves(take, self.result),
            log_weights=None,
            exact=False,
            standing=None,
        )

    def marginal(self, name: str, *others: str) -> Posterior:
        """The law of these sites or elements alone. Of an exact posterior it has each value once,
        with its probability.

        Raises:
            DiagnosticError: E891, there is no such site or element.
        """
        from importlib import import_module  # by name: it stands above its posteriors

        return import_module("ppl.marginal").marginal(self, (name, *others))

    def extend(
        self, data: Mapping[str, Any] | None = None, /, *, progress: bool = True, **rows: Any
    ) -> Posterior:
        """The posterior of more data: the same particles of `smc`, which go on from where the
        loop over the data ended, with these rows, by parameter. See `ppl.extend`.

        Raises:
            DiagnosticError: E874, the model cannot go on with more of such data; E875, the
                posterior has no particles that could; E601 to E606, as for the model's data.
        """
        from importlib import import_module  # by name: it stands above its posteriors

        extend = import_module("ppl.extend").extend
        return extend(self, {**(data or {}), **rows}, progress=progress)

    def predict(self, target: Target | None = None, *, seed: int = 0) -> Posterior:
        """New observations for every draw: of the same data, or of a target with other data.

        See `ppl.predict`.

        Raises:
            DiagnosticError: E896, the posterior was loaded from a file and no target is given.
        """
        import ppl  # by name, since prediction stands above its posteriors

        return ppl.predict(self, self._for(target), seed=seed)

    def log_likelihood(self, target: Target | None = None, *, seed: int = 0) -> dict[str, Any]:
        """The log probability of every observation in every draw, by name, (chain, draw, …).

        Of the same data, or of a target with other data. See `ppl.likelihood.log_likelihood`.

        Raises:
            DiagnosticError: E896, the posterior was loaded from a file and no target is given.
        """
        from importlib import import_module  # by name: it stands above its posteriors

        return import_module("ppl.likelihood").log_likelihood(self, self._for(target), seed=seed)

    def expect(self, f: Any, *, degree: int = 1, seed: int = 0) -> Expectation:
        """The posterior expectation of a function of the draws, with less variance than its mean:
        control variates made of the gradient of the log density. See `ppl.expectations.expect`.

        Raises:
            DiagnosticError: E897, there are no control variates; E896, the posterior was loaded
                from a file.
        """
        from importlib import import_module  # by name: it stands above its posteriors

        expect = import_module("ppl.expectations").expect
        return expect(self, f, self._for(None), degree=degree, seed=seed)

    def _for(self, target: Target | None) -> Target:
        target = self.target if target is None else target
        if target is None:
            raise fail(
                "E896",
                "this posterior does not know its model and data, and so cannot predict",
                hint="give them: posterior.predict(model(y=y))",
            )
        return target

    def to_arviz(self, *, log_likelihood: bool = False):
        """As ArviZ's `InferenceData`; `/` in names becomes `.`; weighted draws are resampled.

        `log_likelihood` adds the group of that name, which `arviz.loo` and `arviz.waic` need.
        """
        from ppl.plots import to_arviz

        return to_arviz(self, log_likelihood=log_likelihood)

    def plot(self, path: str | Path, *, names: list[str] | None = None) -> None:
        """Write a trace plot (for weighted draws, densities) of the first sites or of `names`."""
        from ppl.plots import plot

        plot(self, Path(path), names)

    def plot_points(self, path: str | Path) -> None:
        """Write a plot of `points`: how many particles were worth something, when they were
        resampled, how many lineages are left, and the evidence so far.

        Raises:
            DiagnosticError: E891, there are none; E894, the file cannot be written.
        """
        from ppl.plots import plot_points

        plot_points(self, Path(path))

    def plot_ancestry(self, path: str | Path) -> None:
        """Write a plot of who descends from whom: the particles from point to point.

        Raises:
            DiagnosticError: E891, that is not known; E894, the file cannot be written.
        """
        from ppl.plots import plot_ancestry

        plot_ancestry(self, Path(path))

    def save(self, path: str | Path) -> None:
        """Write everything but functions to a NetCDF file, which ArviZ can read as well."""
        from ppl.storage import save

        save(self, Path(path))

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all arrays in NumPy's form, and the functions of the result that can
        be; W895 warns of others (the machine's)."""
        from ppl.storage import portable

        state = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("draws", "stats"):
            state[name] = {k: on_host(v) for k, v in state[name].items()}
        weights = self.log_weights
        state["log_weights"] = None if weights is None else np.asarray(weights)
        return state | {"result": portable(self.result), "standing": None}

    def __repr__(self) -> str:
        chains, length = self.shape
        names = ", ".join(list(self.draws)[:6]) + (", …" if len(self.draws) > 6 else "")
        of = f"{self.model or 'a model'} by {self.method or 'hand'}"
        return f"<Posterior of {of}: {chains} x {length} draws of {names}>"


def load_posterior(path: str | Path) -> Posterior:
    """A posterior that `Posterior.save` wrote.

    Raises:
        DiagnosticError: E893, the file is no saved posterior.
    """
    from ppl.storage import load

    return load(Path(path))


class Interrupted(KeyboardInterrupt):
    """Inference was stopped by the user; `posterior` has the draws made so far, if any."""

    def __init__(self, posterior: Posterior | None):
        self.posterior = posterior
        nothing = ": there are no draws yet" if posterior is None else ""
        super().__init__("stopped by the user" + nothing)
