"""Posteriors as NetCDF-4 files, in the groups ArviZ uses and with our own notes beside them.

`posterior` and `sample_stats` are as in ArviZ's schema; `result` holds the leaves of the model's
return value, and the attribute `quasiborel` of the file everything that is no array. Booleans are
int8 with the attribute `dtype = "bool"`, as xarray writes them. `/` cannot stand in a name: it
becomes `.`, and the attribute `path` keeps the site's own name.
"""

from __future__ import annotations

import json
import math
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppl.encoding import decode, encode
from ppl.posterior import Posterior
from ppl.semantics.diagnostics import Diagnostic, DiagnosticError, Note, fail
from ppl.trees import leaves, on_host

#: of the file format; a reader refuses a newer one. 2: values that are no arrays, as texts
VERSION = 2


class ResultNotSaved(UserWarning):
    """W895: the result holds something that no file can hold."""


def save(posterior: Posterior, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        DiagnosticError: E894, the file cannot be written.
    """
    import h5netcdf

    tree, result = _flatten(posterior.result)
    note = _note(posterior, tree)
    stats = {k: on_host(v) for k, v in posterior.stats.items()}
    if posterior.log_weights is not None:
        stats["log_weight"] = on_host(posterior.log_weights)
    partial = path.with_name(path.name + ".part")
    try:
        with h5netcdf.File(partial, "w") as file:
            file.attrs["quasiborel"] = json.dumps(_plain(note))
            _write(file.create_group("posterior"), {k: posterior[k] for k in posterior.draws})
            if stats:
                _write(file.create_group("sample_stats"), stats)
            if result:
                _write(file.create_group("result"), result)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise fail("E894", f"{path} cannot be written: {error}") from error


def _note(posterior: Posterior, tree: Any) -> dict[str, Any]:
    """Everything that is no array."""
    return {
        "version": VERSION,
        "model": posterior.model,
        "method": posterior.method,
        "settings": dict(posterior.settings),
        "seed": posterior.seed,
        "exact": posterior.exact,
        "evidence": posterior.evidence,
        "evidence_se": posterior.evidence_se,
        "result": tree,
        "remarks": [_write_diagnostic(d) for d in posterior.remarks],
    }


class Stream:
    """A file that is written draw by draw, as `save` writes it whole."""

    def __init__(self, path: Path, shape: tuple[int, int]):
        self.path, self.shape = path, shape
        self._partial = path.with_name(path.name + ".part")
        self._groups: dict[str, dict[str, Any]] = {}
        self._tree: Any = None
        self._file: Any = None

    def __enter__(self) -> Stream:
        import h5netcdf

        try:
            self._file = h5netcdf.File(self._partial, "w")
        except OSError as error:
            raise fail("E894", f"{self.path} cannot be written: {error}") from error
        return self

    def add(self, draws: Posterior, first: int) -> None:
        """Draws (1, m) that are rows `first`, `first` + 1, … of all, chain after chain.

        Raises:
            DiagnosticError: E894, the file cannot be written, or draws differ in size.
        """
        self._tree, result = _flatten(draws.result)
        groups = {"posterior": {k: draws[k] for k in draws.draws}, "result": result}
        groups["sample_stats"] = {k: on_host(v) for k, v in draws.stats.items()}
        try:
            for name, arrays in groups.items():
                if arrays and name not in self._groups:
                    self._groups[name] = _write(self._file.create_group(name), arrays, self.shape)
                for path in self._groups.get(name, {}).keys() - arrays.keys():
                    raise self._unequal(path)
                for path, array in arrays.items():
                    self._put(self._groups[name].get(path), path, array[0], first)
        except OSError as error:
            raise fail("E894", f"{self.path} cannot be written: {error}") from error

    def _put(self, variable: Any, path: str, rows: np.ndarray, first: int) -> None:
        if variable is None or variable.shape[2:] != rows.shape[1:]:
            raise self._unequal(path)
        rows = rows.astype(np.int8) if rows.dtype == bool else rows
        at = 0
        while at < len(rows):
            chain, draw = divmod(first + at, self.shape[1])
            count = min(len(rows) - at, self.shape[1] - draw)
            variable[chain, draw : draw + count] = rows[at : at + count]
            at += count

    def _unequal(self, path: str) -> DiagnosticError:
        return fail(
            "E894",
            f"{self.path} cannot be written: draws of `{path}` differ in size",
            hint="infer without `stream`, and save the posterior",
        )

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._file.close()
        if kind is not None:
            self._partial.unlink(missing_ok=True)

    def finish(self, like: Posterior) -> None:
        """What is said of the draws is as of these; then the file has its name."""
        self._file.attrs["quasiborel"] = json.dumps(_plain(_note(like, self._tree)))
        self._file.close()
        self._partial.replace(self.path)


def streamed(path: Path) -> Posterior:
    """The posterior in a file, whose draws are read when they are asked for."""
    return load(path, lazily=True)


@dataclass(frozen=True, eq=False)
class OnDisk:
    """An array in a file: read whenever it is made one of NumPy's."""

    path: Path
    group: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        import h5netcdf

        with h5netcdf.File(self.path, "r") as file:
            array = _array(file.groups[self.group].variables[self.name])
        return array if dtype is None else array.astype(dtype)


def load(path: Path, *, lazily: bool = False) -> Posterior:
    import h5netcdf

    try:
        with h5netcdf.File(path, "r") as file:
            note = json.loads(str(file.attrs["quasiborel"]))
            if note["version"] > VERSION:
                raise fail("E893", f"{path} was written by a newer version of quasiborel")
            at = path if lazily else None
            groups = file.groups
            draws = _read(groups["posterior"], at)
            stats = _read(groups["sample_stats"], at) if "sample_stats" in groups else {}
            result = _read(groups["result"], at) if "result" in groups else {}
    except (OSError, KeyError, ValueError, TypeError) as error:
        message = f"{path} is not a posterior that `save` wrote"
        raise fail("E893", message, hint="write one with posterior.save(path)") from error
    return Posterior(
        draws=draws,
        result=None if note["result"] is None else _unflatten(note["result"], result),
        stats={k: v for k, v in stats.items() if k != "log_weight"},
        log_weights=stats.get("log_weight"),
        evidence=_number(note["evidence"]),
        evidence_se=_number(note["evidence_se"]),
        remarks=tuple(_read_diagnostic(d) for d in note["remarks"]),
        **{k: note[k] for k in ("model", "method", "settings", "seed", "exact")},
    )


# --------------------------------------------------------------------------------------- arrays


def _write(
    group: Any, arrays: Mapping[str, np.ndarray], lead: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Variables of these arrays, by path; with `lead`, of arrays led by it, without values yet."""
    import h5py

    taken: set[str] = set()
    variables: dict[str, Any] = {}
    for path, array in arrays.items():
        name = file_name(path, taken)
        shape = array.shape if lead is None else (*lead, *array.shape[2:])
        dimensions = ["chain", "draw", *(f"{name}_dim_{i}" for i in range(array.ndim - 2))]
        for dimension, size in zip(dimensions, shape, strict=True):
            if dimension not in group.dimensions:
                group.dimensions[dimension] = size
                group.create_variable(dimension, (dimension,), data=np.arange(size))
        is_text, is_bool = array.dtype.kind in "UO", array.dtype == bool
        kind = h5py.string_dtype() if is_text else np.dtype(np.int8) if is_bool else array.dtype
        variable = group.create_variable(name, tuple(dimensions), dtype=kind)
        if lead is None:
            variable[...] = array.astype(object if is_text else kind)
        if is_bool:
            variable.attrs["dtype"] = "bool"
        variable.attrs["path"] = path
        variables[path] = variable
    return variables


def file_name(path: str, taken: set[str]) -> str:
    """A site's name in files and in ArviZ: without `/`, and not yet taken."""
    name = path.replace("/", ".")
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _read(group: Any, file: Path | None = None) -> dict[str, Any]:
    """Arrays by path; with `file`, numbers are left there until they are asked for."""
    out: dict[str, Any] = {}
    for name, variable in group.variables.items():
        if name in group.dimensions:
            continue
        path, kind = str(variable.attrs["path"]), variable.dtype
        if file is None or not isinstance(kind, np.dtype) or kind.kind == "O":
            out[path] = _array(variable)
            continue
        kind = np.dtype(bool) if variable.attrs.get("dtype") == "bool" else kind
        at = group.name.strip("/")
        out[path] = OnDisk(file, at, name, tuple(variable.shape), kind)
    return out


def _array(variable: Any) -> np.ndarray:
    array = np.asarray(variable[...])
    if variable.attrs.get("dtype") == "bool":
        array = array.astype(bool)
    if array.dtype == object:
        array = np.array([_text(v) for v in array.flat], dtype=object).reshape(array.shape)
        array = array.astype(np.str_)
    return array


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --------------------------------------------------------------------------------------- results


def _flatten(result: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The shape of a tree as JSON, and its leaves by number; None if a leaf is no array."""
    arrays: dict[str, np.ndarray] = {}

    def walk(tree: Any) -> Any:
        if tree is None:
            return {"none": True}
        if isinstance(tree, Mapping):
            return {"dict": [[k, walk(v)] for k, v in tree.items()]}
        if isinstance(tree, (tuple, list)):
            return {type(tree).__name__: [walk(v) for v in tree]}
        array, kind = on_host(tree), "leaf"
        if array.dtype == object:
            kind = "values"
            texts = [encode(v) for v in array.flat]
            array = np.array(texts, dtype=object).reshape(array.shape)
        arrays[str(len(arrays))] = array
        return {kind: str(len(arrays) - 1)}

    if result is None:
        return None, {}
    try:
        if all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves(result)):
            return walk(result), arrays
    except (TypeError, RecursionError):  # values that hold functions, or nest beyond all measure
        pass
    _warn_of_functions(stacklevel=5)
    return None, {}


def portable(result: Any) -> Any:
    """The result if it can be pickled; else None, with W895."""
    if all(isinstance(leaf, np.ndarray) and leaf.dtype != object for leaf in leaves(result)):
        return result
    try:
        pickle.dumps(result)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
        _warn_of_functions(stacklevel=5)
        return None
    return result


def _warn_of_functions(*, stacklevel: int) -> None:
    warnings.warn(
        "[W895] the result holds functions, which no file can: it was not saved (draws were)",
        ResultNotSaved,
        stacklevel=stacklevel,
    )


def _unflatten(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "leaf":
        return arrays[value]
    if kind == "values":
        out = np.empty(arrays[value].shape, object)
        for index, text in np.ndenumerate(arrays[value]):
            out[index] = decode(str(text))
        return out
    if kind == "none":
        return None
    if kind == "dict":
        return {k: _unflatten(v, arrays) for k, v in value}
    items = [_unflatten(v, arrays) for v in value]
    return tuple(items) if kind == "tuple" else items


# ----------------------------------------------------------------------------------------- notes


def _plain(value: Any) -> Any:
    """As JSON has it: infinities are texts, and what has no JSON form is its own text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _write_diagnostic(d: Diagnostic) -> dict[str, Any]:
    notes = [n.message for n in d.notes]
    return {"code": d.code, "message": d.message, "notes": notes, "hint": d.hint}


def _read_diagnostic(d: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(d["code"], d["message"], None, tuple(map(Note, d["notes"])), d["hint"])
