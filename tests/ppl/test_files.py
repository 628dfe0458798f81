"""Data files: the same fields from every format, and refusals that say what is wrong."""

from __future__ import annotations

import json
import pickle

import h5netcdf
import numpy as np
import pytest

from ppl.data import bind
from ppl.files import read_data
from ppl.places import Parameter
from ppl.semantics.diagnostics import DiagnosticError
from ppl.semantics.types import BOOL, NAT, REAL, TEXT, Array, Option

Y, K, B = [0.5, -1.5, 2.25], [3, 0, 7], [True, False, True]
DECLARED = [Parameter("y", Array(REAL)), Parameter("k", Array(NAT)), Parameter("b", Array(BOOL))]


def write_json(path):
    path.write_text(json.dumps({"y": Y, "k": K, "b": B}))


def write_csv(path):
    path.write_text("y,k,b\n0.5,3,true\n-1.5,0,FALSE\n\n2.25, 7 ,true\n")


def write_tsv(path):
    path.write_text("y\tk\tb\n0.5\t3\t1\n-1.5\t0\t0\n2.25\t7\t1\n", encoding="utf-8-sig")


def write_npz(path):
    np.savez(path, y=np.array(Y), k=np.array(K), b=np.array(B))


def write_nc(path):
    with h5netcdf.File(path, "w") as file:
        file.dimensions["i"] = 3
        file.create_variable("i", ("i",), data=np.arange(3))
        file.create_variable("y", ("i",), data=np.array(Y))
        file.create_variable("k", ("i",), data=np.array(K))
        file.create_variable("b", ("i",), data=np.array(B).astype(np.int8))


@pytest.mark.parametrize("write", [write_json, write_csv, write_tsv, write_npz, write_nc])
def test_every_format_gives_the_same_values(write, tmp_path):
    path = tmp_path / f"data.{write.__name__.removeprefix('write_')}"
    write(path)
    bound = bind(DECLARED, read_data(path))
    assert bound.values["y"].tolist() == Y and bound.values["y"].dtype == np.float64
    assert bound.values["k"].tolist() == K and bound.values["k"].dtype == np.int64
    assert bound.values["b"].tolist() == B and bound.values["b"].dtype == np.bool_
    assert not bound.warnings  # the coordinate `i` of the NetCDF file is no loose end


def test_csv_cells_that_are_empty_are_holes(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text('y,name\n1,"a, b"\nNA,c\n3,\n')
    types = [Parameter("y", Array(Option(NAT))), Parameter("name", Array(TEXT))]
    bound = bind(types, read_data(path))
    assert bound.values["y"].mask.tolist() == [False, True, False]
    assert bound.values["name"].tolist() == ["a, b", "c", ""]


def test_netcdf_fill_values_are_holes(tmp_path):
    path = tmp_path / "d.nc"
    with h5netcdf.File(path, "w") as file:
        file.dimensions["i"] = 3
        v = file.create_variable("y", ("i",), data=np.array([4, -99, 6], np.int32), fillvalue=-99)
        assert v.shape == (3,)
    bound = bind([Parameter("y", Array(Option(NAT)))], read_data(path))
    assert bound.values["y"].mask.tolist() == [False, True, False]
    assert bound.values["y"].compressed().tolist() == [4, 6]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.json", "[1, 2]", "not an object"),
        ("d.json", "{", "Expecting"),
        ("d.json", '{"y": 1, "y": 2}', "stands twice"),
        ("d.json", b"\xff\xfe\x00", "decode"),
        ("d.json", '{"y":' * 100_000, "too deeply"),
        ("d.json", '{"y": ' + "9" * 10_000 + "}", "digits"),
        ("d.csv", "", "the first line must name the columns"),
        ("d.csv", "y,y\n1,2\n", "each name once"),
        ("d.csv", "y,\n1,2\n", "name every column"),
        ("d.csv", "y,z\n1,2\n1\n", "line 3 has 1 cells, the header 2"),
        ("d.csv", 'y\n"a\n', "line"),
        ("d.npz", b"not an archive", "cannot be read"),
        ("d.npz", pickle.dumps({"y": Bomb()}), "cannot be read"),
        ("d.nc", b"not netcdf", "cannot be read"),
        ("d.xlsx", b"", "suffix `.xlsx`"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_unreadable_files(name, content, says, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DiagnosticError) as caught:
        read_data(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E607" and name in diagnostic.message and says in diagnostic.message


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, y=np.array([Bomb()], dtype=object))
    with pytest.raises(DiagnosticError, match="E607"):
        read_data(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DiagnosticError, match="No such file"):
        read_data(tmp_path / "none.json")


def test_a_cell_that_is_no_number_is_named(tmp_path):
    (tmp_path / "d.csv").write_text("y\n1.5\nNA\n2.5\noops\n4\n")
    with pytest.raises(DiagnosticError) as raised:
        bind([Parameter("y", Array(REAL))], read_data(tmp_path / "d.csv"))
    (found,) = raised.value.diagnostics
    assert found.code == "E603" and found.message.startswith("`y[3]` is the text 'oops'")
