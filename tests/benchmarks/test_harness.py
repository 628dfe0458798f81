"""The lines of `make bench`, its exit status, its selection, and fair turns in timing."""

import pytest

from benchmarks import run
from benchmarks.figures import Figure
from benchmarks.timing import interleaved


def figure(name, ours, theirs=2.0, target=1.1):
    return Figure(name, ours, theirs, target, "us")


def test_a_line_names_all_that_was_measured():
    line = figure("gradient/hmm", 3.0).line()
    for part in ("gradient/hmm", "3 us", "2 us", "1.500", "1.10", "SHORT"):
        assert part in line
    assert figure("gradient/hmm", 2.2).line().endswith("ok")


@pytest.mark.parametrize(("ours", "ok"), [(2.19, True), (2.2, True), (2.21, False)])
def test_a_figure_may_reach_its_target_and_no_more(ours, ok):
    assert figure("x", ours).ok is ok


def suite(**ours):
    def measure(wanted):
        return (figure(name, ours[name]) for name in wanted)

    return tuple(ours), measure


@pytest.fixture
def suites(monkeypatch):
    monkeypatch.setattr(
        run, "SUITES", {"a": suite(**{"a/1": 1.0, "a/2": 2.0}), "b": suite(**{"b/1": 9.0})}
    )


@pytest.mark.parametrize(
    ("argv", "lines", "status"),
    [
        ([], ["a/1", "a/2", "b/1"], 1),
        (["--only", "a"], ["a/1", "a/2"], 0),
        (["--only", "a/2"], ["a/2"], 0),
        (["--only", "b/1"], ["b/1"], 1),
    ],
)
def test_selection_and_exit_status(suites, capsys, argv, lines, status):
    assert run.main(argv) == status
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == lines


def test_an_unknown_name_is_a_usage_error(suites, capsys):
    with pytest.raises(SystemExit) as stopped:
        run.main(["--only", "c"])
    assert stopped.value.code == 2
    assert "a/1" in capsys.readouterr().err


def test_contestants_take_turns_in_alternating_order():
    turns = []
    interleaved({"x": lambda: turns.append("x"), "y": lambda: turns.append("y")}, rounds=4)
    assert "".join(turns) == "xy" + "xyyxxyyx"
