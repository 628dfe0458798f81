"""The cell magic, in a real IPython shell without a kernel."""

from __future__ import annotations

import pytest

MODEL = "model coin(heads: nat) { p ~ beta(2, 3); observe heads ~ binomial(4, p); return p }\n"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config)
    made.run_line_magic("load_ext", "ppl.notebook")
    yield made
    made.run_line_magic("unload_ext", "ppl.notebook")


def test_models_of_a_cell_are_bound(shell):
    done = shell.run_cell(f"%%ppl\n{MODEL}model other() {{ x ~ normal(0, 1); return x }}")
    assert done.success
    assert repr(shell.user_ns["coin"]) == "<model coin(heads: nat)>"
    assert shell.user_ns["other"]().name == "other"
    assert shell.run_cell("target = coin(heads=3)").success


def test_under_a_name(shell):
    assert shell.run_cell(f"%%ppl models\n{MODEL}").success
    assert [m.name for m in shell.user_ns["models"]] == ["coin"] and "coin" not in shell.user_ns


def test_problems_are_rendered_and_bind_nothing(shell, capsys):
    bad = "%%ppl\nmodel bad(y: [real]) { observe y ~ normal(0, y[0]); return 1 }"
    assert not shell.run_cell(bad).success
    error = capsys.readouterr().err
    assert "error[E401]" in error and "<cell " in error and "Traceback" not in error
    assert "bad" not in shell.user_ns
    assert not shell.run_cell("%%ppl two names\n" + MODEL).success
    assert "one name" in capsys.readouterr().err
    shell.run_cell("%%ppl\nfn f(x) { x }")
    assert "no model" in capsys.readouterr().err


def test_warnings_are_shown(shell, capsys):
    shell.run_cell("%%ppl\nmodel m() { x ~ normal(0, 1); y ~ normal(0, 1); return y }")
    assert "W501" in capsys.readouterr().err and "m" in shell.user_ns


def test_diagnostics_of_other_cells_come_without_a_traceback(shell, capsys):
    shell.run_cell(f"%%ppl\n{MODEL}")
    shell.run_cell('coin(heads="three")')
    said = capsys.readouterr()
    assert "error[E603]" in said.err and "Traceback" not in said.out + said.err
    shell.run_cell("1 / 0")
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_imports_of_cells_are_of_the_folder(shell, tmp_path):
    (tmp_path / "shapes.ppl").write_text("fn area(x) { x * x }\n")
    code = 'import "shapes.ppl" as shapes\nmodel m() { x ~ normal(shapes.area(3), 1); return x }'
    assert shell.run_cell(f"%%ppl\n{code}").success and "m" in shell.user_ns
