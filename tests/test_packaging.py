"""The packages under their clean names: wheel, sdist, symlinks, lazy imports."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import ppl
from ppl.lang.stdlib import MODULES

FOLDERS = {
    "ppl": "ppl",
    "ppl.lang": "lang",
    "ppl.semantics": "semantics",
    "ppl.inference": "inference",
}
HEAVY = {"jax", "jaxlib", "numpyro", "optax", "diffrax", "arviz", "matplotlib", "xarray", "pandas"}


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def sources(root: Path) -> dict[str, str]:
    """Every module file in the tree: its path inside a wheel, and in the repository."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in (root / folder).rglob("*.py"):
            inside = path.relative_to(root / folder)
            if any((root / folder / p).is_symlink() for p in inside.parents):
                continue
            found[f"{package.replace('.', '/')}/{inside.as_posix()}"] = str(path.relative_to(root))
    return found


def test_every_package_of_the_tree_is_listed(root, project):
    setuptools = project["tool"]["setuptools"]
    folders = {Path(name).parent.as_posix().replace("/", ".") for name in sources(root)}
    assert sorted(setuptools["packages"]) == sorted(folders)
    assert setuptools["package-dir"] == FOLDERS


def test_every_package_has_an_init(root, project):
    files = sources(root)
    for package in project["tool"]["setuptools"]["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in files


def test_symlinks_give_the_same_names_from_the_root(root):
    for package, folder in FOLDERS.items():
        if package != "ppl":
            link = root / package.replace(".", "/")
            if link.exists():  # an sdist has none
                assert link.is_symlink() and link.readlink() == Path("..") / folder


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> Path:
    """A wheel and an sdist of the tracked tree, built away from the working tree."""
    out = tmp_path_factory.mktemp("built")
    copy = out / "tree"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, check=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        source, target = root / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_file():
            target.write_bytes(source.read_bytes())
    script = (
        "from setuptools import build_meta as b; "
        f"b.build_sdist({str(out)!r}); b.build_wheel({str(out)!r})"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return out


def test_the_wheel_holds_every_module_and_data_file(root, built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        entry = next(n for n in names if n.endswith("entry_points.txt"))
        assert "ppl = ppl.cli:main" in file.read(entry).decode()
    assert set(sources(root)) <= names
    assert {"ppl/py.typed", "ppl/lang/grammar.lark", "ppl/lang/prelude.ppl"} <= names
    assert {f"ppl/lang/library/{name}.ppl" for name in MODULES} <= names
    strays = {n for n in names if not n.startswith(("ppl/", "quasiborel-"))}
    assert not strays


def test_the_sdist_can_be_built_from(root, built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {n.partition("/")[2] for n in file.getnames()}
    assert set(sources(root).values()) <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "lang/grammar.lark", "ppl/py.typed"} <= names


def imported(code: str, root: Path) -> set[str]:
    """The top-level modules that a fresh interpreter has after running `code`."""
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(run.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import ppl",
        "import ppl.lang, ppl.lang.parser",
        "import ppl.semantics, ppl.semantics.ir, ppl.semantics.signatures, ppl.semantics.codes",
        "import ppl.semantics.ir_print, ppl.semantics.ir_parse, ppl.semantics.ir_verify",
        "import ppl.inference",
        "import ppl; ppl.DiagnosticError",
    ],
)
def test_imports_are_light(code, root):
    assert not imported(code, root) & (HEAVY | {"numpy"})


@pytest.mark.parametrize("command", ["check", "ir"])
def test_commands_that_read_programs_import_no_jax(command, root):
    model = "examples/eight_schools/model.ppl"
    code = f"import ppl.cli; ppl.cli.main([{command!r}, {model!r}], standalone_mode=False)"
    assert not imported(code, root) & (HEAVY | {"numpy"})


def test_results_and_data_import_no_jax(root):
    assert not imported("import ppl; ppl.Posterior, ppl.read_data, ppl.bind", root) & HEAVY


def test_every_public_name_can_be_had():
    for name in ppl.__all__:
        assert getattr(ppl, name) is not None, name
    assert set(ppl.__all__) <= set(dir(ppl))


def test_modules_do_not_hide_functions_of_their_name(root):
    code = "import ppl.infer, ppl.predict; assert not hasattr(ppl.infer, '__path__')"
    imported(code + "; assert callable(ppl.infer) and callable(ppl.predict)", root)


def test_an_unknown_name_suggests():
    with pytest.raises(AttributeError, match="did you mean `Posterior`"):
        _ = ppl.Posterier


def test_the_version_is_the_distributions(project):
    assert ppl.__version__ == project["project"]["version"]


@pytest.mark.parametrize("name", ["lang", "semantics", "inference"])
def test_the_linter_refuses_the_other_name_of_a_package(name, project):
    banned = project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert name in banned and "TID251" in project["tool"]["ruff"]["lint"]["select"]
