"""Data files as named fields: JSON, CSV, NPZ, NetCDF.

Nothing here knows about models; `ppl.data` gives the fields to a model's parameters. Reading runs
no code of the file's: arrays of pickled objects are refused.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppl.semantics.diagnostics import DiagnosticError, fail

#: cells of a CSV file that mean "no value"
MISSING = frozenset({"", "NA", "NaN", "nan", "null", "None"})


@dataclass(frozen=True)
class Fields:
    """Named values and where they come from."""

    values: Mapping[str, Any]
    #: how to name the place in a message: "data.json"; None for arguments in Python
    origin: str | None = None
    #: fields nobody has to use, such as the coordinates of a NetCDF file
    spare: frozenset[str] = frozenset()

    def describe(self, name: str) -> str:
        return f"argument `{name}`" if self.origin is None else f"field `{name}` of {self.origin}"


def read_data(path: str | Path) -> Fields:
    """The fields of a data file; the format is told by the suffix.

    `.json` is an object; `.csv` and `.tsv` have a header and a column a field; `.npz` holds arrays;
    `.nc` is NetCDF-4.

    Raises:
        DiagnosticError: E607, the file cannot be read as what its suffix says.
    """
    path = Path(path)
    readers = {
        ".json": _json,
        ".csv": _csv,
        ".tsv": _csv,
        ".npz": _npz,
        ".nc": _netcdf,
        ".netcdf": _netcdf,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _unreadable(path, f"the suffix `{path.suffix}` is none of {', '.join(readers)}")
    try:
        return reader(path)
    except DiagnosticError:
        raise
    except RecursionError:
        raise _unreadable(path, "it nests too deeply") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(
            path, str(error).strip().split("\n")[0] or type(error).__name__
        ) from error


def _unreadable(path: Path, why: str) -> DiagnosticError:
    return fail(
        "E607",
        f"{path.name} cannot be read as data: {why}",
        hint="data are JSON (.json), CSV (.csv, .tsv), NumPy (.npz) or NetCDF (.nc) files",
    )


def _json(path: Path) -> Fields:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            if key in out:
                raise ValueError(f"the key `{key}` stands twice in one object")
            out[key] = value
        return out

    data = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    if not isinstance(data, dict):
        raise ValueError("the outermost value is not an object {…} of named fields")
    return Fields(data, path.name)


def _csv(path: Path) -> Fields:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(rows)]
        except StopIteration:
            raise ValueError("it is empty; the first line must name the columns") from None
        except csv.Error as error:
            raise ValueError(str(error)) from None
        if "" in header or len(set(header)) < len(header):
            raise ValueError("the first line must name every column, each name once")
        body: list[list[str]] = []
        try:
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"line {rows.line_num} has {len(row)} cells, the header {len(header)}"
                    )
                body.append([cell.strip() for cell in row])
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num}: {error}") from None
    columns = zip(*body, strict=True) if body else [()] * len(header)
    return Fields({n: _column(c) for n, c in zip(header, columns, strict=True)}, path.name)


def _column(cells: tuple[str, ...]) -> list[Any]:
    """One type for a whole column: bool, int, real or text; None where a cell is missing."""
    present = [c for c in cells if c not in MISSING]
    lower = {c.lower() for c in present}
    if present and lower <= {"true", "false"}:
        return [None if c in MISSING else c.lower() == "true" for c in cells]
    for parse in (int, float) if not any("_" in c for c in present) else ():
        try:
            return [None if c in MISSING else parse(c) for c in cells]
        except ValueError:
            pass
    return list(cells)


def _npz(path: Path) -> Fields:
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is not an archive of named arrays (write it with np.savez)")
        arrays = {name: file[name] for name in file.files}
    fields = {
        k: {n: a[n] for n in a.dtype.names} if a.dtype.names else a for k, a in arrays.items()
    }
    return Fields(fields, path.name)


def _netcdf(path: Path) -> Fields:
    import xarray

    with xarray.open_dataset(path, engine="h5netcdf", decode_times=False) as file:
        values = {str(name): np.asarray(v.values) for name, v in file.variables.items()}
        spare = frozenset(str(name) for name in file.coords)
    return Fields(values, path.name, spare)
