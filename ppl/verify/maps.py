"""Maps and continuous kernels as functions of JAX: their Jacobians, and balance point by point.

    Bijection    forward(x) -> y, log_determinant(x) -> log |det of the Jacobian|, inverse(y) -> x
    Integrator   step(q, p) -> (q, p): of Hamilton's equations
    Involution   map(x) -> x, accept(x, mapped) -> probability
    Metropolis   propose(x, noise) -> x, accept(x, proposed) -> probability

`check(subject, program, contract)`: `program` says which law a kernel keeps, by the density of its
free coordinates; a log density of a vector and the vector's length, as a pair, will do, and without
any it is `banana`. Points are taken at random, from
a hash of the subject's names, so that a check has one verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import DiagnosticError, fail
from ppl.verify.contracts import ChangesVariables, Contract, Invariant, KeepsVolume, Reversible
from ppl.verify.rounding import SINGLE, single
from ppl.verify.runnable import Runnable
from ppl.verify.sequential import seed_of
from ppl.verify.subjects import Numeric, wrong
from ppl.verify.verdict import Counterexample, Report, Verdict

#: points, or pairs of points, that are tried
POINTS = 24
#: differences of logarithms, or of coordinates that are about 1, that are rounding
TOLERANCE = 1e-8
#: logarithms of probabilities go down to about -745
UNDERFLOW = 700.0
#: whether numbers are of single precision; `bool()`, unless it is said, says no
Rounded = Callable[[], bool]


@dataclass(frozen=True)
class Bijection(Numeric):
    """forward(x) -> y of as many numbers; log_determinant(x), a number; inverse(y) -> x, if there
    is one. Points of `size` numbers, standard normal; or `points` (n, size), where they must lie in
    a domain."""

    forward: Callable[[Any], Any]
    log_determinant: Callable[[Any], Any]
    inverse: Callable[[Any], Any] | None = None
    size: int = 3
    points: Any = None
    takes = (ChangesVariables,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        import jax
        import jax.numpy as jnp

        x = _points(self.size, self.forward) if self.points is None else np.asarray(self.points)

        def at(x: Any) -> Any:
            y = self.forward(x)
            if jnp.shape(y) != jnp.shape(x):
                raise wrong(
                    f"the map takes {jnp.shape(x)} numbers and gives {jnp.shape(y)}",
                    "a map between coordinates has as many of them on both sides",
                )
            stated = jnp.asarray(self.log_determinant(x))
            if stated.shape != ():
                raise wrong(
                    f"the log determinant of one point has the shape {stated.shape}",
                    "it is one number: sum it over the coordinates",
                )
            back = x if self.inverse is None else self.inverse(y)
            return stated, jnp.linalg.slogdet(jax.jacfwd(self.forward)(x))[1], back

        stated, true, back = _every(at, x)
        sides = [("log determinant", true, stated)]
        sides += [(f"x[{i}] that comes back", x[:, i], back[:, i]) for i in range(x.shape[1])]
        return compared(sides, x, contract, "", rounded=partial(_rounded, at, x))


@dataclass(frozen=True)
class Integrator(Numeric):
    """step(q, p) -> (q, p), of `size` numbers each."""

    step: Callable[[Any, Any], tuple[Any, Any]]
    size: int = 3
    takes = (KeepsVolume,)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        import jax
        import jax.numpy as jnp

        n = self.size

        def one(x: Any) -> Any:
            q, p = self.step(x[:n], x[n:])
            return jnp.concatenate([q, p])

        def at(x: Any) -> Any:
            turned = jnp.concatenate([jnp.ones(n), -jnp.ones(n)])
            back = turned * one(turned * one(x))
            return jnp.linalg.slogdet(jax.jacfwd(one)(x))[1], back

        x = _points(2 * n, self.step)
        volume, back = _every(at, x)
        names = [f"{'qp'[i // n]}[{i % n}] that comes back" for i in range(2 * n)]
        sides = [("log determinant", np.zeros(len(x)), volume)]
        sides += [(name, x[:, i], back[:, i]) for i, name in enumerate(names)]
        return compared(sides, x, contract, "", rounded=partial(_rounded, at, x))


@dataclass(frozen=True)
class Involution(Numeric):
    """map(x) -> x, which undoes itself; accept(x, mapped) -> the probability of going there.

    x has the program's free coordinates, and then `extra` standard normal ones, momenta for
    instance: Hamiltonian Monte Carlo is leapfrog steps with the momenta turned round at the end.
    """

    map: Callable[[Any], Any]
    accept: Callable[[Any, Any], Any]
    extra: int = 0
    takes = (Reversible, Invariant)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        log_density, size, source = _target(program, contract)
        x = self.points(size)
        at = partial(self.at, log_density)
        return self.judged(_every(at, x), x, contract, source, partial(_rounded, at, x))

    def points(self, size: int) -> Any:
        """Where a density of so many coordinates is tried: (n, size + extra)."""
        return _points(size + self.extra, self.map)

    def at(self, log_density: Callable[[Any], Any], x: Any) -> Any:
        """What `judged` wants to know of one point; it may be traced."""
        import jax
        import jax.numpy as jnp

        size = len(x) - self.extra

        def joint(x: Any) -> Any:
            return log_density(x[:size]) - 0.5 * jnp.sum(x[size:] ** 2)

        y = self.map(x)
        again = self.map(y)
        volume = jnp.linalg.slogdet(jax.jacfwd(self.map)(x))[1]
        there = joint(x) + jnp.log(self.accept(x, y))
        back = joint(y) + jnp.log(self.accept(y, again)) + volume
        there, back = _flows(there, back, joint(x), joint(y) + volume)
        return there, back, again, y

    def judged(
        self, found: Any, x: Any, contract: Contract, source: str, rounded: Rounded = bool
    ) -> Verdict:
        """The verdict on what was found at the points."""
        there, back, again, y = found
        sides = [(f"x[{i}] that comes back", x[:, i], again[:, i]) for i in range(x.shape[1])]
        sides.append(("log flow of the move", back, there))
        return compared(sides, x, contract, source, y, rounded)


@dataclass(frozen=True)
class Metropolis(Numeric):
    """propose(x, noise) -> x, with standard normal noise of as many numbers as x; accept(x,
    proposed) -> the probability of going there.

    The density of a proposal is not asked for: it is that of the noise, by the proposal's Jacobian.
    The noise that leads back is found by Newton's method, in one round if proposals are affine
    functions of noise.
    """

    propose: Callable[[Any, Any], Any]
    accept: Callable[[Any, Any], Any]
    rounds: int = 8
    takes = (Reversible, Invariant)

    def verdict(self, program: Any, contract: Contract) -> Verdict:
        log_density, size, source = _target(program, contract)
        pairs = self.points(size)
        at = partial(self.at, log_density)
        return self.judged(_every(at, pairs), pairs, contract, source, partial(_rounded, at, pairs))

    def points(self, size: int) -> Any:
        """Where a density of so many coordinates is tried, each with noise: (n, 2 size)."""
        return _points(2 * size, self.propose)

    def at(self, log_density: Callable[[Any], Any], pair: Any) -> Any:
        """What `judged` wants to know of one point and its noise; it may be traced."""
        import jax
        import jax.numpy as jnp

        def density(x: Any, z: Any) -> Any:
            slope = jnp.linalg.slogdet(jax.jacfwd(self.propose, 1)(x, z))[1]
            return -0.5 * jnp.sum(z**2) - slope

        def leading(y: Any, x: Any, z: Any) -> Any:
            for _ in range(self.rounds):
                slope = jax.jacfwd(self.propose, 1)(y, z)
                z = z - jnp.linalg.solve(slope, self.propose(y, z) - x)
            return z

        x, z = jnp.split(pair, 2)
        y = self.propose(x, z)
        w = leading(y, x, -z)
        there = log_density(x) + density(x, z) + jnp.log(self.accept(x, y))
        back = log_density(y) + density(y, w) + jnp.log(self.accept(y, x))
        there, back = _flows(
            there, back, log_density(x) + density(x, z), log_density(y) + density(y, w)
        )
        return there, back, jnp.max(jnp.abs(self.propose(y, w) - x)), y

    def judged(
        self, found: Any, pairs: Any, contract: Contract, source: str, rounded: Rounded = bool
    ) -> Verdict:
        """The verdict on what was found at the points."""
        there, back, missed, y = found
        x = np.split(pairs, 2, axis=1)[0]
        if not (missed <= 1e-6).all():
            why = "no noise was found that leads from a proposal back to where it came from"
            return Verdict("INCONCLUSIVE", contract, why, Report("numeric"))
        sides = [("log flow of the move", back, there)]
        return compared(sides, x, contract, source, y, rounded)


def _flows(there: Any, back: Any, proposed: Any, returned: Any) -> tuple[Any, Any]:
    """Logarithms of flows, given those of proposals before they are accepted, down to where
    probabilities are still numbers: one that is 0 by underflow is as good as any other there."""
    import jax.numpy as jnp

    least = jnp.maximum(proposed, returned) - UNDERFLOW
    return jnp.maximum(there, least), jnp.maximum(back, least)


def banana(z: Any) -> Any:
    """A log density of two coordinates that is neither symmetric nor normal."""
    return -0.5 * (z[0] / 1.3) ** 2 - 0.5 * (z[1] - 0.4 * z[0] ** 2 + 0.3) ** 2 / 0.6


def _points(size: int, *about: Any) -> Any:
    return np.random.default_rng(seed_of(size, *about)).normal(size=(POINTS, size))


def _every(f: Callable[[Any], Any], x: Any) -> Any:
    """`f` at every point, in double precision; operation by operation, which costs less than to
    compile it.

    Raises:
        DiagnosticError: E742, JAX cannot trace it.
    """
    import jax
    import jax.numpy as jnp

    from ppl.semantics.precision import precision

    try:
        with precision("double"):
            return jax.tree.map(np.asarray, jax.vmap(f)(jnp.asarray(x)))
    except DiagnosticError:
        raise
    except (jax.errors.JAXTypeError, TypeError, ValueError) as error:
        first = str(error).split("\n")[0]
        raise wrong(f"JAX cannot run it: {first}", "write it with `jax.numpy`") from None


def _target(program: Any, contract: Contract) -> tuple[Callable[[Any], Any], int, str]:
    """The log density of flat free coordinates, how many there are, and the program's text."""
    temperature = getattr(contract, "temperature", 1.0)
    if temperature != 1:
        raise fail("E746", f"temperature = {temperature}: densities are checked at 1 alone")
    if program is None:
        return banana, 2, ""
    if isinstance(program, tuple) and len(program) == 2 and callable(program[0]):
        return program[0], int(program[1]), ""
    model = Runnable.of(program)
    density, data = model.target.density, model.target.data
    if not density.size:
        raise fail("E745", f"`{model.target.name}` has no continuous choices")
    return (
        lambda z: density.log_density(data, density.unflatten(z)), density.size, model.source
    )  # fmt: skip


def _rounded(f: Callable[..., Any], x: Any) -> bool:
    """Whether what a function gives at points is computed in single precision."""
    from ppl.semantics.precision import precision

    with precision("double"):
        return single(f, x[0])


def compared(
    sides: list[tuple[str, Any, Any]],
    x: Any,
    contract: Contract,
    source: str,
    to: Any = None,
    rounded: Rounded = bool,
) -> Verdict:
    """PASS if both numbers of every side agree at every point; else FAIL at the worst. `rounded` is
    asked whether they are of single precision, if they almost agree."""
    allowed = TOLERANCE
    report = Report("numeric", compared=len(sides) * len(x))
    worst = 0.0
    for unit, expected, found in sides:
        expected, found = np.asarray(expected, float), np.asarray(found, float)
        with np.errstate(invalid="ignore"):  # of infinities
            off = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
        off = np.where(found == expected, 0.0, np.where(np.isnan(off), np.inf, off))
        i = int(np.argmax(off))
        if allowed < off[i] <= SINGLE and rounded():
            allowed = SINGLE
        if off[i] > allowed:
            at = f"x = {np.array2string(x[i], precision=6)}"
            if to is not None:
                at += f"\n   to     x = {np.array2string(to[i], precision=6)}"
            example = Counterexample(source, at, unit, expected[i], found[i], None, ())
            why = f"it is not so that {contract.says}: {unit}"
            return Verdict("FAIL", contract, why, report, example, distance=float(off[i]))
        worst = max(worst, float(off[i]))
    return Verdict("PASS", contract, contract.says, report, smallest_effect=allowed, distance=worst)
