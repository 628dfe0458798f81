"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ppl.cli import COMMANDS, main
from ppl.semantics.codes import CODES

SCHOOLS = "examples/eight_schools"
GOOD = "model m(y: [real]) {\n  mu ~ normal(0, 1)\n  observe y ~ normal(mu, 1)\n  return mu\n}\n"
BAD = "model m(y: [real]) {\n  mu ~ normal(0, 1\n}\n"
ILL_TYPED = "model m(y: [real]) {\n  mu ~ normal(0, true)\n  observe y ~ normal(mu, 1)\n}\n"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Run `ppl` in this process, in an empty folder with three model files."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"good": GOOD, "bad": BAD, "ill": ILL_TYPED}.items():
        Path(f"{name}.ppl").write_text(text)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def process(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ppl.cli", *arguments],
        cwd=root, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call, command):
    result = call(command, "--help")
    assert result.exit_code == 0 and "Usage:" in result.stdout
    assert command in call("--help").stdout


# ----------------------------------------------------------------------------------------- check


def test_check_prints_the_models(call):
    result = call("check", "good.ppl")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "good.ppl: model m(y: [real])\n"


@pytest.mark.parametrize(("file", "line"), [("bad.ppl", 3), ("ill.ppl", 2)])
def test_check_renders_diagnostics(call, file, line):
    result = call("check", file, "good.ppl")
    assert result.exit_code == 1
    assert (
        f"--> {file}:{line}:" in result.stderr
        and "^" in result.stderr
        and "error[E" in result.stderr
    )
    assert "model m" in result.stdout, "the other file is checked all the same"


def test_check_as_json(call):
    result = call("check", "ill.ppl", "--json")
    assert result.exit_code == 1 and result.stderr == ""
    (found,) = [d for d in json.loads(result.stdout)["diagnostics"] if d["severity"] == "error"]
    assert found["code"] in CODES
    assert found["span"]["file"] == "ill.ppl" and found["span"]["line"] == 2
    assert found["span"]["column"] == 1 + ILL_TYPED.split("\n")[1].index("true")
    assert json.loads(call("check", "good.ppl", "--json").stdout) == {"diagnostics": []}


def test_a_file_that_is_no_text(call):
    Path("latin.ppl").write_bytes("# é".encode("latin-1"))
    result = call("check", "latin.ppl")
    assert result.exit_code == 1 and "E007" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "none.ppl"),
        ("chekc", "good.ppl"),
        ("run", "good.ppl", "--draws", "0"),
        ("run", "good.ppl", "--seed", "-1"),
        ("run", "good.ppl", "other"),
        ("run", "good.ppl", "--out", "none/p.nc"),
        ("run", "good.ppl", "--stream", "none/p.nc"),
        ("ir", "good.ppl", "--after", "nonsense"),
        ("explain", "E9999"),
    ],
)
def test_usage_errors_exit_with_two(call, arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr and "Traceback" not in result.stderr


def test_a_misspelt_command_suggests(call):
    assert "Did you mean `check`?" in call("chekc").stderr


def test_checking_answers_at_once(root):
    # 0.3 s on a quiet machine, on which importing click takes 0.05 s. Both are processor time, and
    # the least of five: other work on the machine slows both alike, and only ever adds
    import resource

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=root, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [
        (seconds("-m", "ppl.cli", "check", f"{SCHOOLS}/model.ppl"), seconds("-c", "import click"))
        for _ in range(5)
    ]
    check, click = (min(column) for column in zip(*pairs, strict=True))
    assert check < 6 * click


# ------------------------------------------------------------------------------ ir, fmt, explain


def test_ir_prints_a_program_that_reads_back(call):
    from ppl.semantics.ir_parse import read
    from ppl.semantics.ir_print import show

    result = call("ir", "good.ppl")
    assert result.exit_code == 0
    assert show(read(result.stdout)).rstrip() == result.stdout.rstrip()


def test_fmt_writes_and_checks(call):
    Path("loose.ppl").write_text(GOOD.replace("  mu ~", "      mu   ~"))
    assert call("fmt", "--check", "loose.ppl").exit_code == 1
    assert "      mu   ~" in Path("loose.ppl").read_text()
    assert call("fmt", "loose.ppl").exit_code == 0
    assert Path("loose.ppl").read_text() == GOOD
    assert call("fmt", "--check", "loose.ppl", "good.ppl").exit_code == 0


def test_fmt_leaves_what_does_not_parse(call):
    result = call("fmt", "bad.ppl")
    assert result.exit_code == 1 and "error[E" in result.stderr
    assert Path("bad.ppl").read_text() == BAD


def test_explain(call):
    result = call("explain", "e602")
    assert result.exit_code == 0 and CODES["E602"].page.strip() in result.stdout
    assert call("explain", "error[E602]".removeprefix("error")).exit_code == 0
    assert "did you mean `E602`" in call("explain", "E6022").stderr
    listed = call("explain").stdout
    assert all(code in listed for code in CODES)


# ------------------------------------------------------------------------------------------- run


def test_data_errors_name_the_parameter_and_the_field(call):
    Path("d.json").write_text('{"yy": [1, 2]}')
    result = call("run", "good.ppl", "--data", "d.json")
    assert result.exit_code == 1
    assert "E602" in result.stderr and "good.ppl:1:9" in result.stderr and "`yy`" in result.stderr
    assert "has no field" in call("run", "good.ppl").stderr


def test_run_integrates_out_what_is_asked_for(call):
    """All draws weigh the same: nothing is left to guess."""
    Path("y.json").write_text('{"y": [1.0, 2.5, 0.5]}')
    run = ("run", "good.ppl", "--data", "y.json", "--method", "importance", "--engine", "machine")
    result = call(*run, "--set", "particles=40", "--rao-blackwellize", "all")
    assert result.exit_code == 0
    assert "effective sample size 40.0" in result.stdout
    assert call(*run, "--rao-blackwellize", "nu").exit_code == 1
    refused = call(*run, "--marginalize", "mu")
    assert refused.exit_code == 1 and "E881" in refused.stderr
    shown = call("ir", "good.ppl", "--after", "rao_blackwellize").stdout
    assert 'keep "mu" run normal(posterior.1, posterior.2)' in shown


def test_run_fits_prints_saves_and_plots(root, tmp_path):
    import ppl

    result = process(
        root, "run", f"{SCHOOLS}/model.ppl", "--data", f"{SCHOOLS}/data.json", "--seed", "1",
        "--draws", "200", "--warmup", "200", "--chains", "2", "--set", "target_accept=0.9",
        "--out", str(tmp_path / "p.nc"), "--plot", str(tmp_path / "p.png"),
        "--stream", str(tmp_path / "s.nc"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    posterior = ppl.load_posterior(tmp_path / "p.nc")
    assert posterior["theta"].shape == (2, 200, 8)
    assert posterior.settings["target_accept"] == 0.9 and posterior.seed == 1
    assert result.stdout.rstrip("\n") == str(posterior.summary())
    assert (ppl.load_posterior(tmp_path / "s.nc")["theta"] == posterior["theta"]).all()
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_unknown_methods_and_settings_are_usage_errors(call):
    Path("d.json").write_text('{"y": [1, 2]}')
    result = call("run", "good.ppl", "--data", "d.json", "--method", "nutz")
    assert result.exit_code == 2 and "did you mean `nuts`" in result.stderr
    result = call("run", "good.ppl", "--data", "d.json", "--set", "target_acept=0.9")
    assert result.exit_code == 2 and "did you mean `target_accept`" in result.stderr
    assert call("run", "good.ppl", "--data", "d.json", "--set", "draws").exit_code == 2


GROUPS = """
model groups(y: [real]) {
  k ~ categorical([0.2, 0.3, 0.5])
  theta ~ for v in y { z ~ categorical([0.5, 0.3, 0.2]); return z + k }
  observe y ~ normal(theta, 1)
  return k
}
"""
RUN_GROUPS = ("run", "groups.ppl", "--data", "d.json", "--method", "exact")


def test_names_can_be_set(call):
    import ppl

    Path("groups.ppl").write_text(GROUPS)
    Path("d.json").write_text('{"y": [1.5, 0, 4]}')
    settings = ("--given", "k=2", "--do", "theta[1]=5", "--do", "theta/z[2] = 0")
    result = call(*RUN_GROUPS, *settings, "--out", "p.nc")
    assert result.exit_code == 0, result.stderr
    target = ppl.compile(GROUPS).groups(y=[1.5, 0, 4])
    target = target.given(k=2).do({"theta[1]": 5, "theta/z[2]": 0})
    wanted = ppl.infer(target, "exact").log_evidence
    assert ppl.load_posterior("p.nc").log_evidence == wanted
    assert f"log evidence {wanted:.4f}" in result.stdout
    assert wanted != ppl.infer(ppl.compile(GROUPS).groups(y=[1.5, 0, 4]), "exact").log_evidence


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        (("--do", "k"), 2, "--do takes NAME=VALUE, not `k`"),
        (("--given", "k=two"), 2, "--given: the value for `k` is JSON"),
        (("--do", "k=1", "--do", "k=2"), 2, "--do has two values for `k`"),
        (("--do", "kk=1"), 1, "did you mean `k`?"),
        (("--do", "k=7"), 1, "E857"),
        (("--do", "theta[3]=1"), 1, "E855"),
        (("--do", "y=[1, 2, 3]"), 1, "`y` is data"),
        (("--given", "theta=1"), 1, "`theta` is computed"),
    ],
)
def test_what_cannot_be_set(call, settings, code, says):
    Path("groups.ppl").write_text(GROUPS)
    Path("d.json").write_text('{"y": [1.5, 0, 4]}')
    result = call(*RUN_GROUPS, *settings)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr and "Traceback" not in result.stderr


def test_an_interrupted_run_keeps_the_draws_made(call, monkeypatch):
    import numpy as np

    import ppl
    from ppl.posterior import Interrupted, Posterior

    made = Posterior({"mu": np.random.default_rng(0).normal(size=(2, 30))}, method="nuts")

    def stop(*_, **__):
        raise Interrupted(made)

    monkeypatch.setattr(import_module("ppl.infer"), "infer", stop)
    Path("d.json").write_text('{"y": [1, 2]}')
    result = call("run", "good.ppl", "--data", "d.json", "--out", "p.nc")
    assert result.exit_code == 130 and "interrupted" in result.stderr
    assert "2 chains of 30 draws" in result.stdout
    assert ppl.load_posterior("p.nc")["mu"].shape == (2, 30)


def test_control_c_ends_a_run_with_the_draws_so_far(root, tmp_path):
    import signal

    import ppl

    (tmp_path / "m.ppl").write_text(GOOD)
    (tmp_path / "d.json").write_text('{"y": [1, 2]}')
    # far more draws than there is patience for: a run that does not hear the signal times out
    running = subprocess.Popen(
        [sys.executable, "-c", TELLS_WHEN_IT_SAMPLES, "run", "m.ppl", "--data", "d.json",
         "--chains", "2", "--warmup", "50", "--draws", "100000000", "--out", "p.nc"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        while "sampling" not in (line := running.stdout.readline()):
            assert line, running.communicate()[1]
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 130, err
    assert "interrupted" in err and "Traceback" not in err
    posterior = ppl.load_posterior(tmp_path / "p.nc")
    assert 0 < posterior.shape[1] < 100_000_000 and posterior.shape[0] in (1, 2)
    assert [d.code for d in posterior.remarks] == ["W896"]
    assert f"of {posterior.shape[1]} draws" in out


#: the command line, with a line of output when the first draws have been made
TELLS_WHEN_IT_SAMPLES = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it
from contextlib import contextmanager
import ppl.sampling
infer = sys.modules["ppl.sampling"]

@contextmanager
def told(*_, **__):
    seen = set()
    def report(done, total, info):
        if info["phase"] not in seen:
            seen.add(info["phase"])
            print(info["phase"], flush=True)
    yield report

infer.progress_bar = told
from ppl.cli import main
main(sys.argv[1:])
"""


def test_warnings_about_data_are_shown_once(call):
    Path("d.json").write_text('{"y": [1, 2], "note": 3}')
    result = call(
        "run", "good.ppl", "--data", "d.json", "--method", "importance", "--set", "particles=20"
    )
    assert (result.stdout + result.stderr).count("W601") == 1
