"""Contracts: which law a transformer preserves, and so which masses must be equal.

Write γ for the program's measure over whole traces, Z for its mass, π = γ / Z.

| contract | subjects | says |
|---|---|---|
| `Measure` | samplers, passes, resamplers | what comes out means the same measure as what goes in |
| `ProperlyWeighted` | samplers, resamplers | E[Σ w f(x)] = ∫ γ f for every f |
| `Posterior` | the same | E[Σ w f(x)] / E[Σ w] = ∫ π f for every f |
| `Invariant` | kernels | π K = π |
| `Reversible` | kernels | π(x) K(x, y) = π(y) K(y, x) for all x and y |
| `Enumerates` | enumerations | the atoms that come out are those of γ, each once |
| `SameDensity` | distributions | draws have the law that the density says |
| `Approximates` | samplers, resamplers | nothing exactly; the distance from π is measured |
| `SameLaw` | functions that draw | two of them have one law |
| `ChangesVariables` | maps | the stated log determinant is that of the Jacobian |
| `KeepsVolume` | integrators | with momenta turned round, its own inverse; determinant 1 |
| `UnbiasedGradient` | gradient estimators | E[estimate] is the gradient of the objective |
| `Calibrated` | methods of inference | parameters rank evenly among the draws of their posteriors |

Taking for f the indicator of each whole trace is enough for every f. Evidence alone is not: errors
in ancestors, and whatever only permutes particles, leave it as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import inf

from ppl.semantics.diagnostics import fail

Masses = Mapping[Hashable, float]
#: by (from, to): π(from) K(from, to)
Flows = Mapping[tuple[Hashable, Hashable], float]
#: expected and found
Sides = tuple[Masses, Masses]


class _AsTheyAre:
    """The masses themselves are compared."""

    unit = "mass"

    def sides(self, law: Masses, found: Masses) -> Sides:
        return law, found


class _Normalised:
    """Both sides are divided by their sums first."""

    unit = "probability"

    def sides(self, law: Masses, found: Masses) -> Sides:
        return normalised(law), normalised(found)


@dataclass(frozen=True)
class _OfKernels:
    """About the posterior, or that with the scores raised to the power `temperature`."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < inf:
            raise fail(
                "E746", f"temperature = {self.temperature}: it must be positive, and not infinite"
            )


@dataclass(frozen=True)
class Measure(_AsTheyAre):
    """The same unnormalised measure, evidence included."""

    says = "the measure is kept, evidence included"


@dataclass(frozen=True)
class ProperlyWeighted(_AsTheyAre):
    """E[Σ w f(x)] = ∫ γ f for every f. Naesseth, Lindsten and Schön, "Nested sequential Monte Carlo
    methods" (2015)."""

    says = "the expected weight of every trace is its mass"


@dataclass(frozen=True)
class Posterior(_Normalised):
    """The same normalised law: E[Σ w f(x)] / E[Σ w] = ∫ π f."""

    says = "normalised, the expected weights are the posterior"


@dataclass(frozen=True)
class Enumerates(_AsTheyAre):
    """The atoms of the measure, each of them once, with exact masses."""

    says = "the listed atoms are those of the measure"


@dataclass(frozen=True)
class SameDensity(_AsTheyAre):
    """A sampler and a density are of one distribution: P(x drawn) = exp(log density of x)."""

    says = "draws have the law that the density says"
    unit = "probability"


@dataclass(frozen=True)
class Approximates(_Normalised):
    """An honest label for what preserves nothing exactly: beam search, best of n, truncation.

    The total variation distance from the posterior is measured. `within` is how far it may be;
    without it there is nothing to pass or fail, and the verdict is INCONCLUSIVE and says the
    distance.
    """

    how: str
    within: float | None = None

    def __post_init__(self) -> None:
        if self.within is not None and not 0 <= self.within <= 1:
            raise fail("E746", f"within = {self.within}: a distance is between 0 and 1")

    @property
    def says(self) -> str:
        near = "" if self.within is None else f", within {self.within:g} in total variation"
        return f"the posterior is approximated by {self.how}{near}"


@dataclass(frozen=True)
class Invariant(_OfKernels):
    """π K = π, for the posterior, or for that with the scores raised to the power `temperature`."""

    says = "one step leaves the law of the state as it was"
    unit = "probability"

    def sides(self, law: Masses, found: Flows) -> Sides:
        out: dict[Hashable, float] = {}
        for (_, y), flow in found.items():
            out[y] = out.get(y, 0.0) + flow
        return normalised(law), out


@dataclass(frozen=True)
class Reversible(_OfKernels):
    """π(x) K(x, y) = π(y) K(y, x): detailed balance, which implies `Invariant`."""

    says = "every move is as likely as its reverse"
    unit = "probability of the move"

    def sides(self, law: Masses, found: Flows) -> Sides:
        return {(x, y): found.get((y, x), 0.0) for x, y in found}, found


@dataclass(frozen=True)
class SameLaw:
    """Two functions that draw have one law, or one has a law that is stated."""

    says = "draws have the law of the reference"


@dataclass(frozen=True)
class ChangesVariables:
    """The stated log |determinant| is that of the map's Jacobian, and the inverse undoes it."""

    says = "the log determinant is that of the Jacobian"


@dataclass(frozen=True)
class KeepsVolume:
    """An integrator of Hamilton's equations: with momenta turned round it undoes itself, and its
    Jacobian has determinant 1. The acceptance of Hamiltonian Monte Carlo needs both."""

    says = "the map undoes itself with momenta turned round, and keeps volume"


@dataclass(frozen=True)
class UnbiasedGradient:
    """E[estimate] = ∇ E[objective], for the gradient by the parameters of both."""

    says = "the expected estimate is the gradient of the expected objective"


@dataclass(frozen=True)
class Calibrated:
    """Parameters drawn from the prior have even ranks among the draws of the posterior given data
    that they generate, whatever function of parameters and data they are ranked by. Talts et al.,
    "Validating Bayesian inference algorithms with simulation-based calibration" (2018)."""

    says = "parameters from the prior rank evenly among the draws of their posteriors"


#: contracts about finite measures, which have two sides to compare
Compared = (
    Measure
    | ProperlyWeighted
    | Posterior
    | Enumerates
    | SameDensity
    | Approximates
    | Invariant
    | Reversible
)
Contract = Compared | SameLaw | ChangesVariables | KeepsVolume | UnbiasedGradient | Calibrated


def normalised(masses: Masses) -> Masses:
    """Divided by their sum, if there is any mass."""
    total = sum(masses.values())
    return {k: m / total for k, m in masses.items()} if total > 0 else masses
