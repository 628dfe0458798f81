"""Populations that follow temperatures are properly weighted, for whole lineages: exactly, by tapes that
enumerate the particles' draws, resampling, proposals and acceptances through the production code."""

from collections import Counter
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from ppl.inference.annealing import Annealing, Bridge, Control, anneal
from ppl.inference.movers import Mover, Walkers, accept
from ppl.inference.population import Population
from ppl.inference.rejuvenate import few, resample_move, waste_free
from ppl.inference.resample import Resample
from ppl.inference.temperatures import next_temperature
from ppl.semantics import distributions as D
from ppl.semantics.enumerate import Enumerator
from ppl.semantics.precision import precision

PRIOR, LIKELIHOOD = np.array([0.5, 0.2, 0.3]), np.array([0.05, 0.9, 0.35])
LADDER = np.array([0.25, 0.6, 1.0])

# A particle is its lineage, the states before and after each of its moves, as the digits of one number
# to the base of three: the state is the last digit, and the first one is 1, so that all count.


def log_density(x, t):
    return jnp.log(PRIOR)[x % 3] + t * jnp.log(LIKELIHOOD)[x % 3]


def start(omega, n):
    omega, x = few(omega, jnp.asarray(PRIOR), n)
    return omega, x + 3, jnp.zeros(n)


def walk(omega, target, walkers, tuning, scale):
    """One step to a neighbour, up or down for all particles alike; states beyond the end have no
    mass. If the tuning is above a half, nothing moves."""
    omega, up = omega.draw(("", "way"), D.make("bernoulli", (0.5,)), ())
    state = walkers.x % 3 + jnp.where(up, 1, -1)
    inside = (state >= 0) & (state < 3) & (tuning < 0.5)
    proposed = jnp.clip(state, 0, 2) + 3 * walkers.x
    there = jnp.where(inside, target(proposed), -jnp.inf)
    stayed = walkers.x % 3 + 3 * walkers.x
    ratio = there - walkers.log_density
    return accept(omega, Walkers(stayed, walkers.log_density), Walkers(proposed, there), ratio)


WALK = Mover(
    lambda x, weights: jnp.zeros(()),
    lambda target, x: Walkers(x, target(x)),
    walk,
    lambda x, y, tuning: jnp.ones(()),
    0.5,
)
TUNED = replace(WALK, tune=lambda x, weights: weights @ (x % 3 == 1))
BRIDGE = Bridge(start, log_density, affine=True)


def kernel(t):
    """The walk as a matrix."""
    pi = PRIOR * LIKELIHOOD**t
    k = np.zeros((3, 3))
    for i, j in ((0, 1), (1, 0), (1, 2), (2, 1)):
        k[i, j] = 0.5 * min(1, pi[j] / pi[i])
    return k + np.diag(1 - k.sum(axis=1))


def lineages(moves, ladder=LADDER):
    """The masses that lineages must have: those of one particle alone that is weighted, and moved
    a number of times out of those in `moves`, each equally likely."""
    out, before = {(i,): p for i, p in enumerate(PRIOR)}, 0.0
    for t, numbers in zip(ladder, moves, strict=True):
        out = {s: p * LIKELIHOOD[s[-1]] ** (t - before) for s, p in out.items()}
        k, made, before = kernel(t), Counter(), t
        for m in range(max(numbers) + 1):
            if m in numbers:
                made.update({s: p / len(numbers) for s, p in out.items()})
            out = {(*s, j): p * k[s[-1], j] for s, p in out.items() for j in range(3)}
        out = made
    return {s: p for s, p in out.items() if p > 0}


def digits(x):
    out = []
    while x > 2:
        x, last = divmod(int(x), 3)
        out.append(last)
    assert x == 1
    return tuple(reversed(out))


class Enumerated:
    """E[Σ w δ_lineage] over all tapes. `rejuvenate(setting)` is how populations are made anew, where
    `setting` is a traced number; so all of them are compiled once."""

    def __init__(self, rejuvenate, n, *, ladder=LADDER, mover=WALK):
        def run(data, tape):
            setting, plan = data
            how = Annealing(BRIDGE, rejuvenate(setting), mover.tune, n, 3, ladder)
            tape, out = anneal(how, tape, plan, keep=setting)  # where there is a plan
            return (out.x, out.log_weights, out.reports), tape

        self.paths = Enumerator(run, length=32, batches=(4096,))

    def __call__(self, setting=0.0, plan=None):
        """The masses by lineage; at each temperature the share of paths that resampled there."""
        with precision():
            found = self.paths((setting, plan))
        x, log_weights, reports = found.outputs
        p = np.exp(found.log_probability)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        states, at = np.unique(x, return_inverse=True)
        mass = np.bincount(at.ravel(), (p[:, None] * np.exp(log_weights)).ravel())
        masses = {digits(s): m for s, m in zip(states, mass, strict=True) if m > 0}
        return masses, reports.resampled.mean(axis=0)


def agree(masses, known):
    assert masses.keys() == known.keys()
    for lineage in known:
        assert masses[lineage] == pytest.approx(known[lineage], abs=1e-13), lineage


def resampling(threshold):
    return resample_move(WALK, Resample("systematic", threshold), 1)


ONCE = lineages([(1,)] * 3)


@pytest.fixture(scope="module")
def by_threshold():
    return Enumerated(resampling, 3)


@pytest.mark.parametrize(
    ("threshold", "often"), [(1.0, [1, 0.99, 0.89]), (0.85, [0, 0.67, 0.48]), (0.0, [0, 0, 0])]
)
def test_three_particles_are_properly_weighted_however_they_are_resampled(
    by_threshold, threshold, often
):
    """Annealed importance sampling is that which never resamples."""
    masses, due = by_threshold(threshold)
    np.testing.assert_allclose(due, often, atol=0.01)
    agree(masses, ONCE)


def test_all_states_of_waste_free_chains_are_properly_weighted():
    masses, _ = Enumerated(lambda _: waste_free(WALK, 3), 6)()
    agree(masses, lineages([(0, 1)] * 3))


def last_states(masses):
    out = np.zeros(3)
    for lineage, mass in masses.items():
        out[lineage[-1]] += mass
    return out


def test_what_an_earlier_run_chose_is_kept_to_and_particles_that_tune_their_own_kernel_are_not_proper():
    """Temperatures, numbers of moves and tunings of the plan, in place of the run's own."""
    moves = (1, 2, 1)
    plan = Control(LADDER, np.array(moves), np.ones(3), np.array([0.1, 0.4, 0.9]))
    rejuvenate = lambda _: resample_move(TUNED, Resample("systematic", 1.0), 1)  # noqa: E731
    expected = Enumerated(rejuvenate, 3, ladder=np.array([0.7, 0.8, 1]), mover=TUNED)
    kept, _ = expected(True, plan)
    walks = lineages([(1,), (2,), (0,)])  # the last tuning has nothing move, which is a move
    agree(kept, {(*s, s[-1]): mass for s, mass in walks.items()})
    own, _ = expected(False, plan)
    error = last_states(own) / (PRIOR * LIKELIHOOD) - 1
    assert np.max(np.abs(error)) > 1e-3, error


# ------------------------------------------------------------------- bugs that must not go unnoticed


BUGS = (
    "none",
    "rejuvenation against the final target",
    "weights kept after resampling",
    "mean before resampling lost",
    "positions and weights of different particles",
    "cumulative weights taken as increments",
)


def with_bug(number):
    """Rejuvenation with one of the bugs; compiled once for all of them."""
    inner = resampling(1.0)
    has = lambda name: number == BUGS.index(name)  # noqa: E731

    def rejuvenate(omega, x, population, target, control, held):
        before = jnp.max(jnp.where(LADDER < control.temperature - 1e-9, LADDER, 0.0))
        again = before * (log_density(x, 1.0) - log_density(x, 0.0))
        cumulative = jnp.where(has("cumulative weights taken as increments"), again, 0.0)
        population = population.scored(cumulative)
        other = has("positions and weights of different particles")
        x = jnp.where(other, jnp.roll(x, 1), x)
        final = has("rejuvenation against the final target")
        aim = lambda x: jnp.where(final, log_density(x, 1.0), target(x))  # noqa: E731
        omega, x, after, control, happened = inner(omega, x, population, aim, control, held)
        weights = after.log_weights
        kept = has("weights kept after resampling") & happened[0]
        lost = has("mean before resampling lost") & happened[0]
        weights = jnp.where(kept, population.log_weights, weights)
        weights = jnp.where(lost, weights - after.log_mass, weights)
        return omega, x, Population(weights), control, happened

    return rejuvenate


@pytest.fixture(scope="module")
def by_bug():
    return Enumerated(with_bug, 2)


@pytest.mark.parametrize("bug", BUGS)
def test_historical_bugs_are_found(by_bug, bug):
    masses, _ = by_bug(BUGS.index(bug))
    if bug == "none":
        agree(masses, ONCE)
        return
    with pytest.raises(AssertionError):
        agree(masses, ONCE)


# ------------------------------------------------------------------------------ the next temperature

WEIGHTS = np.log([0.1, 0.25, 0.3, 0.35, 0.0001])
SCORES = np.array([-3.0, 2.0, 1.5, -0.5, 1.0])


def effective(log_weights):
    w = np.exp(log_weights - np.max(log_weights))
    return w.sum() ** 2 / (w**2).sum()


def check_solver(solver, scores, t=0.2, share=0.7):
    """It leaves the share of the effective size of those that are possible, and it is the first
    temperature that does."""
    chosen = float(solver(t, Population(WEIGHTS), lambda s: (s - t) * scores, share=share))
    assert t < chosen <= 1
    possible = scores > -np.inf
    size = lambda s: effective((WEIGHTS + (s - t) * scores)[possible])  # noqa: E731
    wanted = share * effective(WEIGHTS[possible])
    if chosen == 1:
        assert size(1.0) >= wanted
    else:
        assert size(chosen) == pytest.approx(wanted, rel=1e-9)


def solver(*args, **settings):
    with precision():
        return next_temperature(
            jnp.asarray(args[0]), Population(jnp.asarray(WEIGHTS)), *args[2:], **settings
        )


CASES = {
    "inside": SCORES * 3,
    "some impossible": np.where(SCORES > 1.6, -np.inf, SCORES * 4),
    "all the way": SCORES * 0.1,
}


@pytest.mark.parametrize("scores", CASES.values(), ids=CASES)
def test_the_next_temperature_leaves_a_share_of_the_effective_size(scores):
    check_solver(solver, scores)


def test_a_sign_lost_in_the_solver_is_found():
    """Temperatures chosen by the wrong sign leave every law right, and the weights useless."""

    def wrong(t, population, increments, *, share):
        return solver(t, population, lambda s: -increments(s), share=share)

    with pytest.raises(AssertionError):
        check_solver(wrong, CASES["inside"])


def test_temperatures_rise_however_steep_the_likelihood_and_end_where_nothing_is_left():
    steep = SCORES * 1e13
    assert 0.2 < float(solver(0.2, None, lambda s: (s - 0.2) * steep, share=0.5)) < 0.2 + 1e-12
    assert float(solver(0.2, None, lambda s: np.full(5, -np.inf), share=0.5)) == 1
