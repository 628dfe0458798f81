"""Metropolis-Hastings whose proposals are drawn by a program, where every run draws the same sites.

The program q is given present values, and draws new ones for the sites at the same paths as its
own; the other sites keep their coordinates. Law: `Reversible(posterior)`. Let γ be the density of
the values of the sites that q draws, and of the coordinates of the others. The ratio is

    γ(x') q(x | x') / (γ(x) q(x' | x)).

Other sites keep their coordinates, not their values, where the bounds of their values depend on
what is proposed: so they stay within these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ppl.inference.kernels.programmed import Proposal, Values, names_asked, values_asked
from ppl.inference.kernels.xla.move import (
    Move,
    Path,
    Point,
    Step,
    Target,
    metropolis,
    nothing_tuned,
    rate_of,
    real,
)
from ppl.semantics import ir
from ppl.semantics import types as T
from ppl.semantics.analysis import static_params
from ppl.semantics.analysis.forms import walk
from ppl.semantics.diagnostics import fail
from ppl.semantics.keys import key
from ppl.semantics.mixed import InValues
from ppl.semantics.omega import Key, path_hash
from ppl.semantics.xla.axes import Arr
from ppl.semantics.xla.data import split_static
from ppl.semantics.xla.placed import telling
from ppl.semantics.xla.program import NOTHING, Bound, inside_loops
from ppl.semantics.xla.state import total
from ppl.semantics.xla.values import Rec, RValue, leaves, map_leaves

#: arrays by the paths of sites
Arrays = Mapping[str, Any]


class Helper:
    """A program beside the one that is inferred: its parameters get values of that one's sites, or
    what is given as `data`. sites: what it draws, by path, arrays of these shapes.

    Raises:
        DiagnosticError: as `values_asked`; E866, it scores; E879, what it draws differs from run to
            run, or in size.
    """

    def __init__(self, model: Any, data: Values, values: InValues):
        self.name, self.values, program = model.name, values, model.program
        self.wanted = values_asked(model, data, values.program)
        if any(
            isinstance(n, ir.Observe | ir.Score) for f in program.functions for n in walk(f.body)
        ):
            raise fail(
                "E866",
                f"the program `{self.name}` scores, so that the density of its draws is not known",
                hint="let it draw only: no observe, factor or condition",
            )
        static, types = static_params(program), {p.name: p.type for p in program.entry.params}
        for name in static & self.wanted.keys():
            raise _unfit(f"`{name}` of `{self.name}` decides sizes")
        self.types = {name: types[name] for name in self.wanted}
        given = {name: t for name, t in types.items() if name in data}
        fixed, self.data = split_static(data, given, static)
        self.bound = Bound(program, fixed)
        form = values.form(lambda d, position: self.draw(values.named(d, position), Key(key(0)))[1])
        self.sites = {name: x.shape for name, x in form.items()}

    def draw(self, now: Mapping[str, RValue], omega: Any) -> tuple[Any, Arrays, Any]:
        """Draws at these values of the program, and the log of their density."""
        return self._run(now, omega, {})

    def log_density(self, now: Mapping[str, RValue], draws: Arrays) -> Any:
        """Of draws at these values of the program."""
        return self._run(now, None, {name: Arr(jnp.asarray(x)) for name, x in draws.items()})[2]

    def _run(
        self, now: Mapping[str, RValue], omega: Any, given: Mapping[str, Arr]
    ) -> tuple[Any, Arrays, Any]:
        data = {**self.data, **self._asked(now)}
        _, state = self.bound.execute(data, rule=telling, omega=omega, given=given, record=NOTHING)
        pairs = {path: inside_loops(pair) for path, pair in state.sites.items()}
        log_q = total((f.score for f in state.scores), ()).data + sum(
            jnp.sum(s.data) for _, s in pairs.values()
        )
        return state.omega, {path: x.data for path, (x, _) in pairs.items()}, log_q

    def _asked(self, now: Mapping[str, RValue]) -> dict[str, RValue]:
        for name in names_asked(self.wanted):
            if name not in now:
                raise _unfit(f"`{name}`, which `{self.name}` asks for, is not there in every run")
        out: dict[str, RValue] = {}
        for p, w in self.wanted.items():
            t = self.types[p]
            if isinstance(w, str):
                out[p] = _as(now[w], t)
            else:
                assert isinstance(t, T.Record)
                out[p] = Rec(
                    w, tuple(_as(now[n], item) for n, (_, item) in zip(w, t.fields, strict=True))
                )
        return out


def _as(value: RValue, t: T.Type) -> RValue:
    """A value as a parameter takes it: whole numbers may be real ones there."""
    while isinstance(t, T.Array):
        t = t.item
    if not (T.is_number(t) and T.is_real(t)):
        return value
    return map_leaves(lambda a: Arr(jnp.asarray(a.data, float), a.axes), value)


def proposal(kernel: Proposal, path: Path, helper: Helper) -> Move:
    """Moves the sites of `helper`, which are sites of the target of the same shapes."""
    label, names = path[-1], frozenset(helper.sites)

    def step(target: Target, point: Point, tuned: Any, omega: Any, adapting: Any) -> Step:
        density, data, in_values = target.density, target.data, helper.values
        position = target.position(point.z, point.k)
        now = in_values.named(data, position)
        old = drawn(now, names)
        inner = omega.enter(path_hash(path) >> 1)  # it draws at paths of its own
        inner, new, there = helper.draw(now, inner)
        omega = omega.leave(inner)
        changed, after = in_values.placed(data, position, names, new)
        _, before = in_values.placed(data, position, names)
        back = helper.log_density(in_values.named(data, changed), old)
        z = density.flatten(changed) if density.sites else point.z
        proposed = target.point(z, density.flatten_discrete(changed))
        log_ratio = after - before + back - there
        omega, point, _, moved = metropolis(point, proposed, log_ratio, omega, path)
        return Step(point, tuned, omega, {rate_of(label): real(moved)})

    return Move(nothing_tuned, step, {rate_of(label): jnp.nan})


def drawn(now: Mapping[str, RValue], names: frozenset[str]) -> dict[str, Any]:
    """The values of sites, as arrays led by their loops."""
    return {name: leaves(now[name])[0].data for name in names}


def check_sites(helper: Helper, density: Any) -> None:
    """Raise E866 if a site that a proposal draws is none of the program, or of another shape."""
    sites = frozenset(s.path for s in (*density.sites, *density.discrete))
    for name in helper.sites:
        if name not in sites:
            raise fail(
                "E866",
                f"`{helper.name}` draws `{name}`, which is no site of the program",
                hint="name its sites as those that they are to replace; what helps to draw them "
                "belongs into an involution",
            )
    names = frozenset(helper.sites)
    in_values: InValues = helper.values
    form = in_values.form(lambda d, position: drawn(in_values.named(d, position), names))
    for name, x in form.items():
        if x.shape != helper.sites[name]:
            raise fail(
                "E866",
                f"`{helper.name}` draws {shown(helper.sites[name])} for `{name}`, and the program "
                f"{shown(x.shape)}",
                hint="let it draw as many, in loops of the same lengths",
            )
    in_values.form(lambda d, position: in_values.placed(d, position, names))


def shown(shape: tuple[int, ...]) -> str:
    return f"an array {shape}" if shape else "one value"


def _unfit(why: str) -> Exception:
    return fail(
        "E879",
        f"{why}, which compiled code does not do",
        hint="leave the choice of the engine to the compiler: engine='auto'",
    )


def unfit_if_untraceable(f: Any) -> Any:
    """What `f` gives; where JAX cannot trace it, E879."""
    try:
        return f()
    except (jax.errors.JAXTypeError, TypeError) as error:
        raise _unfit(f"JAX cannot trace the function: {str(error).splitlines()[0]}") from None
