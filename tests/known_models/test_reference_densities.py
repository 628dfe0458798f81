"""The reference models' compiled densities against hand-written ones, exactly.

At random points the two differ by one constant (what half-normals are truncated to), and their
gradients do not differ. The points are drawn on unconstrained coordinates; the hand-written
densities see the constrained values, so that supports and maps are checked too. Jacobians are left
out on both sides: bijections have tests of their own. The differential equation is solved by two
different solvers, so that model agrees to their tolerances.
"""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import ppl
from ppl.semantics.precision import precision
from ppl.semantics.xla.axes import Arr
from tests.oracles.reference_densities import REFERENCES

FOLDER = Path(__file__).parent.parent.parent / "benchmarks" / "reference"
POINTS = 4
#: near which unconstrained point, by site, when 0 is far from where the model makes sense
CENTRES = {
    "lotka_volterra": {
        "birth": np.log(0.5),
        "predation": np.log(0.03),
        "death": np.log(0.8),
        "growth": np.log(0.025),
        "sigma": np.log(0.3),
        "z_init": np.log([30.0, 6.0]),
    }
}
#: values only, to the tolerance of the compiled solver; gradients of solvers have their own tests
SOLVERS_DIFFER = {"lotka_volterra": 3e-3}


def setup(name):
    data = json.loads((FOLDER / name / "data.json").read_text())
    return ppl.load(FOLDER / name / "model.ppl")[name](**data), data


def array(value):
    return value.data if isinstance(value, Arr) else value


@pytest.mark.parametrize("name", REFERENCES)
def test_density_is_the_hand_written_one(name):
    target, data = setup(name)
    reference = REFERENCES[name]
    rng = np.random.default_rng(11)
    with precision():
        density = target.density
        points = {
            s.path: CENTRES.get(name, {}).get(s.path, 0.0)
            + 0.2 * rng.normal(size=(POINTS, *s.unconstrained_shape))
            for s in density.sites
        }
        sites = set(reference.supports(data))
        assert {s.path for s in density.sites} == sites

        def gap(p):
            values = density.constrain(target.data, p, jax.random.key(0))
            ours = density.log_density_no_jacobian(target.data, p)
            return ours - reference.log_density(data, {k: array(values[k]) for k in sites})

        if name in SOLVERS_DIFFER:
            gaps = jax.jit(jax.vmap(gap))(points)
            np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=SOLVERS_DIFFER[name])
            return
        gaps, gradients = jax.jit(jax.vmap(jax.value_and_grad(gap)))(points)
        values = jax.jit(jax.vmap(lambda p: density.log_density(target.data, p)))(points)
    tolerance = 1e-12 * (1e3 + np.max(np.abs(values)))
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=tolerance)
    for site, gradient in gradients.items():
        np.testing.assert_allclose(gradient, 0, atol=10 * tolerance, err_msg=site)
