"""Chains of programs that an earlier process compiled.

Tracing a model and lowering it to XLA takes longer than everything else in a run whose code is in
JAX's cache. So the compiled programs of a run are kept whole (`ppl.keeping`), with the little that
the host needs to know of them: which numbers are which. A later run with the same key loads them,
and needs neither the evaluator nor NumPyro.

The key is a hash of all that the programs depend on: the IR, what is known of the data when it is
compiled, their shapes, the method's settings, our own sources, versions, options, devices. Whatever
is not plain (no point to start from, an index out of range, functions in the result) is left to
those who trace: the draws are the same, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache, partial
from hashlib import sha256
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np

import ppl.inference
import ppl.lang
import ppl.semantics
from ppl.cache import programs_folder
from ppl.failing import failing_casts
from ppl.holes import drawn
from ppl.inference import executables
from ppl.inference.sampling import Draws, Programs, choose_mode, lanes_of, sample
from ppl.methods import about_run, name_of, noncentred
from ppl.posterior import Posterior
from ppl.sampling import sampled
from ppl.semantics import types as T
from ppl.semantics.analysis import static_params
from ppl.semantics.density import unflatten
from ppl.semantics.ir_print import show
from ppl.semantics.jax_compat import surroundings, thawed
from ppl.semantics.keys import seed_words
from ppl.semantics.precision import Precision, default_precision, precision
from ppl.settings import together
from ppl.target import Target

SOURCES = (".py", ".json", ".lark", ".ppl")
#: settings that programs do not depend on
HOST = frozenset(("draws", "chains", "thin", "mode"))


class _Unfit(Exception):
    """Data that programs which are kept cannot be given."""


# ------------------------------------------------------------------------------------------- keys


def kept_for(method: Any, target: Target, scope: Precision) -> tuple[Path, list[Any]] | None:
    """The file that the programs of a run are kept in, and the arrays that they are given; None if
    they cannot be kept."""
    folder = programs_folder()
    if folder is None or jax.process_count() > 1 or jax.default_backend() != "cpu":
        return None  # on accelerators it has not been tried
    try:
        known, leaves = data_of(target, default_precision())
    except _Unfit:
        return None
    late = () if target.collapsed is None else sorted(target.collapsed.late)
    settings = {f.name: getattr(method, f.name) for f in fields(method) if f.name not in HOST}
    about = (
        *(show(target.program), late, known, [(x.shape, x.dtype.str) for x in leaves]),
        *(name_of(method), sorted(settings.items()), scope, surroundings(), _sources()),
    )
    return folder / f"{sha256(repr(about).encode()).hexdigest()}.programs", leaves


@cache
def _sources() -> str:
    """Of which code programs are: our own by the sizes and times of its files, and the packages
    installed beside NumPyro by their versions."""
    found: list[Any] = []
    for package in (ppl, ppl.lang, ppl.semantics, ppl.inference):
        for root in package.__path__:
            for folder, _, names in os.walk(root):
                files = [os.path.join(folder, n) for n in names if n.endswith(SOURCES)]
                found += [(f, s.st_size, s.st_mtime_ns) for f in files for s in (os.stat(f),)]
    spec = find_spec("numpyro")
    installed = Path(str(spec and spec.origin)).parent.parent
    found += [name for name in os.listdir(installed) if name.endswith(".dist-info")]
    return sha256(repr(sorted(map(str, found))).encode()).hexdigest()


def data_of(target: Target, numbers: Precision) -> tuple[list[Any], list[np.ndarray]]:
    """What programs know of a target's data, and the arrays that they are given: the leaves of
    `target.data`, which is made by the evaluator.

    Raises:
        _Unfit: the data are of another kind.
    """
    static, entry = static_params(target.program), target.program.entry
    known, given = [], {}
    for p in entry.params:
        leaves = list(_leaves(target.plain[p.name], p.type, _DTYPES[numbers]))
        arrays = [x for x in leaves if isinstance(x, np.ndarray)]
        fixed = [(x.shape, x.dtype.str, x.tobytes()) for x in arrays if p.name in static]
        known.append((p.name, [x for x in leaves if isinstance(x, str)], fixed))
        if p.name not in static:
            given[p.name] = arrays
    for path, (scored, value, mask) in together(target.settings).items():
        given[f"{path}/="] = [value.astype(_DTYPES[numbers].get(value.dtype.kind, "f8"))]
        given |= {} if mask is None else {f"{path}/?": [mask]}
        known.append((path, scored, mask is not None))
    return known, [x for name in sorted(given) for x in given[name]]


#: by kinds of numbers
_DTYPES = {
    "double": {"b": np.dtype("?"), "i": np.dtype("i8"), "f": np.dtype("f8")},
    "single": {"b": np.dtype("?"), "i": np.dtype("i4"), "f": np.dtype("f4")},
}


def _leaves(value: Any, t: T.Type, dtypes: Mapping[str, Any], depth: int = 0) -> Iterator[Any]:
    """The texts and arrays in a value, inside so many arrays, which are held by columns."""
    match t:
        case T.Base(name="unit"):
            pass
        case T.Base(name="text") if not depth:
            yield str(value)
        case T.Option(item=item):
            yield from _leaves(np.ma.getdata(value) if depth else value, item, dtypes, depth)
        case T.Array(item=item):
            yield from _leaves(value, item, dtypes, depth + 1)
        case T.Tuple(items=items):
            for v, item in zip(value, items, strict=True):
                yield from _leaves(v, item, dtypes, depth)
        case T.Record(fields=parts):
            for name, item in parts:
                yield from _leaves(value[name], item, dtypes, depth)
        case _ if T.is_number(t) or t == T.BOOL:
            kind = "b" if t == T.BOOL else "f" if T.is_real(t) else "i"
            array = np.asarray(value, dtypes[kind])
            # nested empty arrays have lost dimensions
            yield array.reshape(array.shape + (0,) * (depth - array.ndim))
        case _:
            raise _Unfit


# --------------------------------------------------------------------------------------- programs


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is known of kept programs on the host, as JSON can hold it.

    mode, chains: how lanes were made, and of how many chains each is. coordinates: the shapes of
    free coordinates by site. data, state, outputs: how many arrays there are of each. row: shapes
    and types of what is recorded. block: how many draws, `full` at most, the outputs are of; 0 if
    they are not kept. Which output is which: `draws` by name, `result` as a tree (`planned`), and
    `faults`.
    """

    mode: Any
    chains: int
    coordinates: dict[str, list[int]]
    data: int
    state: int
    row: dict[str, tuple[list[int], str]]
    full: int
    block: int = 0
    outputs: int = 0
    draws: Mapping[str, int] = field(default_factory=dict)
    result: Any = None
    faults: Sequence[int] = ()

    def fits(self, method: Any, data: Sequence[Any]) -> bool:
        """Whether chains with these settings on these data are run in this way."""
        size, plan = sum(prod(shape) for shape in self.coordinates.values()), method.schedule
        mode = choose_mode(size, data, plan, method.mode)
        return (mode, np.size(lanes_of(mode, plan.chains)[0])) == (self.mode, self.chains)

    @property
    def blank(self) -> dict[str, Any]:
        """A record of one state."""
        return {k: np.zeros(shape, dtype) for k, (shape, dtype) in self.row.items()}

    def position(self, record: dict[str, Any]) -> dict[str, Any]:
        """The coordinates in a record, which are taken out of it."""
        return unflatten({k: tuple(s) for k, s in self.coordinates.items()}, record.pop("z"))


def planned(tree: Any) -> Any:
    """A tree of the numbers of outputs as JSON.

    Raises:
        ValueError: there is something else in it.
    """
    match tree:
        case int():
            return tree
        case None:
            return ["none"]
        case str():
            return ["text", tree]
        case dict():
            return {name: planned(v) for name, v in tree.items()}
        case tuple() | list():
            return ["tuple" if isinstance(tree, tuple) else "list", *map(planned, tree)]
    raise ValueError(f"no plain result: {tree!r}")


def filled(plan: Any, outputs: Sequence[Any]) -> Any:
    """The tree that was planned, of the outputs themselves."""
    match plan:
        case int():
            return outputs[plan]
        case ["text", text]:
            return text
        case ["tuple", *items]:
            return tuple(filled(v, outputs) for v in items)
        case ["list", *items]:
            return [filled(v, outputs) for v in items]
        case dict():
            return {name: filled(v, outputs) for name, v in plan.items()}


@dataclass(frozen=True, eq=False)
class Kept:
    """Compiled programs: what `step_programs` and `recovering` have. Those from a file take data as
    a list of arrays, and states are lists."""

    form: Form
    start: Callable[..., Any]
    advance: Callable[..., Any]
    prior: Callable[..., Any] | None = None
    recover: Callable[..., Any] | None = None


@lru_cache(maxsize=64)
def load(file: Path) -> Kept | None:
    """What is kept in a file; None if nothing that can be used is."""
    found = executables.read(file)
    if found is None or not found[1]:
        return None
    about, contents = found
    try:
        form = Form(**about)
        data, state, record = [0] * form.data, [0] * form.state, dict.fromkeys(form.row, 0)
        position = dict.fromkeys(form.coordinates, 0)
        trees = {
            "start": ((data, 0, 0), (state, record, 0)),
            "prior": ((data, 0, 0), (state, record, 0)),
            "advance": ((data, state, record, 0, 0, 0), (state, record)),
            "recover": ((data, position, 0, 0), [0] * form.outputs),
        }
        shared = jax.device_count() if form.mode == "devices" else 1
        with ThreadPoolExecutor() as pool:
            made = {
                k: pool.submit(thawed, content, *trees[k], devices=shared)
                for k, content in contents.items()
            }
        return Kept(form, **{k: program.result() for k, program in made.items()})
    except (TypeError, ValueError, KeyError):
        executables.forget(file)
        return None


# ------------------------------------------------------------------------------------------- runs


def infer_kept(
    method: Any, target: Target, seed: int, progress: bool, scope: Precision
) -> Posterior | None:
    """The posterior, by programs that are kept; None if there are none, or they do not do."""
    place = kept_for(method, target, scope)
    kept = None if place is None else load(place[0])
    if place is None or kept is None or not kept.form.fits(method, place[1]):
        return None
    with precision():  # the data's, which may be another than the chains'
        data = jax.device_put(place[1])
    try:
        return run_kept(lambda: kept, data, method, target, seed, progress, scope)
    except jax.errors.JaxRuntimeError:  # if it is not the programs, those who trace will say so
        refuse(place[0])
    except NoStart:
        pass
    return None


def refuse(file: Path) -> None:
    """Leave word that these programs cannot be kept: others are then in JAX's cache, at least."""
    executables.write(file, {}, {})


class NoStart(Exception):
    """A chain found no point to start from."""


def run_kept(
    made: Callable[[], Kept],
    data: Any,
    method: Any,
    target: Target,
    seed: int,
    progress: bool,
    scope: Precision,
) -> Posterior:
    """The posterior of chains of these programs, which are made while progress is shown.

    Raises:
        NoStart: one of them has nowhere to start.
        Interrupted: see `sampled`.
    """
    words, about = seed_words(seed), about_run(method, target.name, seed)

    def run(report: Any) -> Draws:
        kept = made()
        form = kept.form

        def begin(lane: Any) -> Any:
            for start in (kept.start, kept.prior):
                state, _, ok = start(data, words, lane) if start else (None, None, False)
                if np.all(np.asarray(ok)):
                    return state
            raise NoStart

        programs = Programs(form.mode, begin, kept.advance, form.blank, form.position)
        return sample(programs, data, method.schedule, scope, progress=report)

    def finish(draws: Draws) -> Posterior:
        found = _posterior(made(), target, data, draws, about)
        if found is not None:
            return found
        from ppl.executions import from_positions

        return from_positions(target, draws, free=free(), **about)

    def free() -> Any:
        from ppl.semantics.xla.sites import Free

        return Free(noncentred=noncentred(method))

    doubt = partial(failing_casts, target, free=free)
    return sampled(run, finish, progress, method, doubt)


def _posterior(
    kept: Kept, target: Target, data: Any, draws: Draws, about: Mapping[str, Any]
) -> Posterior | None:
    """The posterior of the executions at these draws (see `from_positions`); None if they are too
    few for the program, or something went wrong in one of them."""
    form, recover = kept.form, kept.recover
    shape = next(iter(draws.position.values())).shape[:2]
    n = shape[0] * shape[1]
    if recover is None or form.block != min(form.full, n):
        return None
    rows = {k: x.reshape(n, *x.shape[2:]) for k, x in draws.position.items()}
    parts = []
    for k, first in enumerate(range(0, n, form.block)):
        at = np.minimum(np.arange(first, first + form.block), n - 1)
        here = {path: x[at] for path, x in rows.items()}
        parts.append(jax.tree.leaves(recover(data, here, about["seed"], k)))
    flat = [np.concatenate(column)[:n] for column in zip(*parts, strict=True)]
    if any(flat[i].any() for i in form.faults):
        return None
    outputs = [x.reshape(*shape, *x.shape[1:]) for x in flat]
    named = {name: outputs[i] for name, i in form.draws.items()}
    return Posterior(
        draws=drawn(target.holes, named) if target.holes else named,
        result=filled(form.result, outputs),
        stats=dict(draws.stats),
        remarks=target.warnings,
        target=target.itself,
        **about,
    )
