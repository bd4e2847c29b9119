"""A budget: which recipe it takes, what it says where none fits, and a whole search."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from edgecap import tuning
from edgecap.budget import Budget, BudgetError, Trial, choose, doubts
from edgecap.cli import main
from edgecap.timing import Timing
from edgecap_export import Gate, recipe_named, recipes
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import OptionError

TRIAL = Trial("x", greedy=0.0, beam=0.0, low=0.0, high=0.0, ms=10.0, mb=10.0)

# Few values, so that ties and limits that are just kept come up.
NUMBERS = st.sampled_from([0.5, 1.0, 1.02, 1.04, 2.0, 5.0])
DIFFERENCES = st.sampled_from([-2.0, -0.5, -0.3, 0.0, 0.4])
MEASURED = st.builds(
    Trial,
    recipe=st.just(""),
    reason=st.sampled_from([None, None, None, "below its gate"]),
    greedy=DIFFERENCES,
    beam=DIFFERENCES,
    low=st.just(-3.0),
    high=st.just(3.0),
    ms=NUMBERS,
    mb=NUMBERS,
)
IMPOSSIBLE = st.just(Trial("", reason="the format has no such thing."))
TRIALS = st.lists(st.one_of(MEASURED, IMPOSSIBLE), min_size=1, max_size=8).map(
    lambda trials: [replace(trial, recipe=f"r{place}") for place, trial in enumerate(trials)]
)
BUDGETS = st.builds(
    Budget,
    bleu_loss=st.one_of(st.none(), st.sampled_from([0.0, 0.3, 0.5])),
    ms=st.one_of(st.none(), NUMBERS),
    mb=st.one_of(st.none(), NUMBERS),
)


def fits(trial: Trial, budget: Budget) -> bool:
    """The rule, said once more and plainly."""
    if trial.reason is not None:
        return False
    assert trial.greedy is not None
    assert trial.beam is not None
    assert trial.ms is not None
    assert trial.mb is not None
    if budget.bleu_loss is not None and min(trial.greedy, trial.beam) < -budget.bleu_loss:
        return False
    if budget.ms is not None and trial.ms > budget.ms:
        return False
    return budget.mb is None or trial.mb <= budget.mb


@given(TRIALS, BUDGETS)
def test_the_fastest_that_fits_is_taken(trials: list[Trial], budget: Budget) -> None:
    fitting = [trial for trial in trials if fits(trial, budget)]
    if fitting:
        chosen = choose(trials, budget)
        fastest = min(trial.ms for trial in fitting)  # type: ignore[type-var]
        as_fast = [trial for trial in fitting if trial.ms <= 1.03 * fastest]  # type: ignore
        assert chosen in as_fast
        assert chosen.mb == min(trial.mb for trial in as_fast)  # type: ignore[type-var]
        return
    with pytest.raises(BudgetError) as caught:
        choose(trials, budget)
    assert caught.value.trials == tuple(trials)
    sentence = str(caught.value)
    possible = [trial for trial in trials if trial.reason is None]
    if not possible:
        assert sentence.startswith("no recipe can be taken")
        return
    for flag, values, most in (
        ("--max-bleu-loss", [trial.loss for trial in possible], budget.bleu_loss),
        ("--max-ms", [trial.ms for trial in possible], budget.ms),
        ("--max-mb", [trial.mb for trial in possible], budget.mb),
    ):
        unmet = most is not None and min(values) > most  # type: ignore[type-var, operator]
        assert f"{flag} {most:g} can't be met" in sentence if unmet else True
        assert (f"{flag}" in sentence) <= (most is not None)


@given(TRIALS, BUDGETS)
def test_what_the_sentence_says_to_allow_is_enough(trials: list[Trial], budget: Budget) -> None:
    try:
        choose(trials, budget)
    except BudgetError as problem:
        sentence = str(problem)
    else:
        return
    if sentence.startswith("no recipe can be taken"):
        return
    words = sentence.split(": allow ")[1].split(", or export")[0].split()
    allowed = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    fields = {"--max-bleu-loss": "bleu_loss", "--max-ms": "ms", "--max-mb": "mb"}
    wider = replace(budget, **{fields[flag]: value for flag, value in allowed.items()})
    nearest = sentence.rsplit(" ", 1)[1]
    chosen = choose([trial for trial in trials if trial.recipe == nearest], wider)
    assert chosen.recipe == nearest


def test_of_recipes_that_the_clock_can_not_tell_apart_the_smallest_is_taken() -> None:
    trials = [
        replace(TRIAL, recipe="large", ms=5.47, mb=7.5),
        replace(TRIAL, recipe="small", ms=5.57, mb=5.9),
        replace(TRIAL, recipe="slower", ms=5.7, mb=2),
    ]
    assert choose(trials, Budget(0.3)).recipe == "small"


def test_a_gain_is_no_loss_and_the_worse_search_counts() -> None:
    assert replace(TRIAL, greedy=0.5, beam=0.2).loss == 0
    assert replace(TRIAL, greedy=0.5, beam=-0.2).loss == 0.2
    assert replace(TRIAL, greedy=-0.4, beam=-0.2).loss == 0.4
    assert choose([replace(TRIAL, greedy=0.5, beam=-0.2)], Budget(0.2)).recipe == "x"


def test_the_sentence_names_the_limit_the_excess_and_the_nearest() -> None:
    trials = [
        replace(TRIAL, recipe="float32", ms=12, mb=28.04),
        replace(TRIAL, recipe="small", greedy=-0.41, ms=6, mb=5.9),
    ]
    with pytest.raises(BudgetError) as caught:
        choose(trials, Budget(0.3, ms=20, mb=4))
    assert str(caught.value) == (
        "no recipe fits the budget: --max-mb 4 can't be met (the least is 5.9, by small); the "
        "nearest, small, is 0.11 BLEU-4 and 1.9 MB over: allow --max-bleu-loss 0.41 --max-mb 5.9, "
        "or export with --quantize small"
    )
    with pytest.raises(BudgetError, match="no one keeps all limits at once; the nearest, small"):
        choose(trials, Budget(0.3, mb=6))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((-0.1,), "--max-bleu-loss is -0.1; give 0 or more"),
        ((math.nan,), "--max-bleu-loss is nan"),
        ((0.3, 0), "--max-ms is 0; give a number above 0"),
        ((0.3, -5), "--max-ms is -5"),
        ((0.3, math.inf), "--max-ms is inf"),
        ((0.3, None, 0), "--max-mb is 0"),
        ((0.3, None, math.nan), "--max-mb is nan"),
    ],
)
def test_senseless_limits(values: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        Budget(*values)


def test_a_choice_that_few_photographs_can_not_support_is_doubted() -> None:
    trial = replace(TRIAL, greedy=-0.2, low=-1.4, high=0.9)
    (said,) = doubts([trial], "x", Budget(0.3), 50)
    assert "-1.40 to +0.90" in said
    assert "on 50 photographs" in said
    assert doubts([trial], "x", Budget(1.5), 50) == []
    assert doubts([trial], "x", Budget(None, ms=5), 50) == []


def test_what_few_photographs_rule_out_for_no_sure_reason_is_named() -> None:
    over = replace(TRIAL, greedy=-0.5, low=-1.4, high=0.1, ms=5)
    trials = [
        TRIAL,
        replace(over, recipe="unsure"),
        replace(over, recipe="slower", ms=20),
        replace(over, recipe="surely over", high=-0.4),
        replace(over, recipe="too large", mb=99),
        replace(over, recipe="below its gate", reason="below its gate"),
        Trial("impossible", reason="no such thing"),
    ]
    budget = Budget(0.3, mb=50)
    (said,) = doubts(trials, "x", budget, 50)
    assert "can't tell for sure: unsure; more" in said
    assert doubts(trials[:1], "x", budget, 50) == []


def test_cells_say_what_speaks_against_a_recipe() -> None:
    budget = Budget(0.3, mb=5)
    assert replace(TRIAL, mb=4).cells(budget, "x") == [
        "x", "+0.00", "+0.00 to +0.00", "10.0", "4.0", "chosen",
    ]  # fmt: skip
    assert TRIAL.cells(budget, "y")[-1] == "over: 5 MB"
    assert replace(TRIAL, mb=172.4).cells(budget, "y")[-1] == "over: 167 MB"
    assert replace(TRIAL, reason="below its gate: ...").cells(budget, "y")[-1] == "below its gate"
    assert Trial("x", "no such thing").cells(budget, "y") == ["x", *"----", "not possible"]


# A whole search, on a tiny captioner.

TRIED = ("float32", "dynamic-int8", "static-int8", "int16x8")


def auto(run: Path, out: Path, data: Path, *more: str) -> Result:
    words = ["export", run, "-o", out, "--quantize", "auto", "--data", data, *more]
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def few_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer recipes; static-int8 is below a gate that nothing reaches."""
    strict = Gate(identical=0, log_probability=0, quantile=0.99)
    known = {name: recipe_named(name) for name in TRIED}
    known["static-int8"] = known["static-int8"].changed(gate=strict)
    monkeypatch.setattr(recipes, "_RECIPES", known)
    # By the clock, the recipes of a tiny captioner are all alike.
    ms = {"float32": 9.0, "dynamic-int8": 5.0, "static-int8": 3.0}

    def timed(files: dict[str, Path], *_: object, **__: object) -> dict[str, Timing]:
        assert all(path.is_file() for path in files.values())
        return {name: Timing(encode=1, word=1, caption=ms[name]) for name in files}

    monkeypatch.setattr(tuning, "time_files", timed)


@pytest.mark.usefixtures("few_recipes")
def test_the_fastest_is_written_with_what_was_tried(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "best.onnx"
    done = auto(tiny_run, out, tiny_data, "--max-bleu-loss", "90", "--max-mb", "9", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["recipe"] == "dynamic-int8"
    assert answer["path"] == str(out)
    assert answer["size"] == out.stat().st_size
    assert answer["budget"] == {"bleu_loss": 90.0, "mb": 9.0}
    by_name = {trial["recipe"]: trial for trial in answer["tried"]}
    assert tuple(by_name) == TRIED
    assert by_name["float32"]["reason"] is None
    assert by_name["float32"]["greedy"] == 0
    assert by_name["static-int8"]["reason"].startswith("below its gate: the 99% quantile")
    assert by_name["static-int8"]["ms"] == 3
    assert "ONNX can't have the encoder as 'static-int16x8'" in by_name["int16x8"]["reason"]
    assert by_name["int16x8"]["ms"] is None
    manifest = read_manifest(out)
    assert manifest.recipe == "dynamic-int8"
    assert manifest.parity is not None
    assert manifest.parity["verdict"] == "checked on 8 images"
    assert manifest.source["quantization"]["tried"] == answer["tried"]
    assert manifest.source["quantization"]["budget"] == answer["budget"]
    assert manifest.source["quantization"]["recipe"]["name"] == "dynamic-int8"
    assert [path.name for path in tmp_path.iterdir()] == ["best.onnx"]
    shown = CliRunner().invoke(main, ["show", str(out)])
    assert "ms 5" in shown.output
    said = CliRunner().invoke(
        main, ["caption", str(out), str(tiny_data / "images" / "000_red.jpg")]
    )
    assert "square" in said.output


@pytest.mark.usefixtures("few_recipes")
def test_a_budget_that_nothing_meets_writes_nothing(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "best.onnx"
    out.write_text("mine")
    done = auto(tiny_run, out, tiny_data, "--max-ms", "1")
    assert done.exit_code == 2
    assert "error: no recipe fits the budget: --max-ms 1 can't be met (the least is 5, by" in (
        done.stderr
    )
    assert "over: 4 ms" in " ".join(done.stdout.split())
    assert "int16x8: ONNX can't have" in done.stdout
    assert "Traceback" not in done.output
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["best.onnx"]


def test_where_the_file_can_not_be_is_said_before_the_work(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_try", lambda *_: pytest.fail("tried"))
    for out, sentence in (
        (tmp_path / "no" / "best.onnx", "Unable to write"),
        (tmp_path / "best.pb", "end the file's name in .tflite or .onnx"),
    ):
        done = auto(tiny_run, out, tiny_data)
        assert done.exit_code == 2
        assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_notes_that_take_the_file_over_the_limit_count(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "_RECIPES", {"float32": recipe_named("float32")})
    monkeypatch.setattr(
        tuning, "time_files", lambda files, *_, **__: dict.fromkeys(files, Timing(1, 1, 1))
    )
    first = tmp_path / "first.tflite"
    done = auto(tiny_run, first, tiny_data, "--json")
    tried = json.loads(done.stdout)["tried"][0]
    assert tried["mb"] * 1e6 < first.stat().st_size
    done = auto(tiny_run, tmp_path / "second.tflite", tiny_data, "--max-mb", str(tried["mb"]))
    assert done.exit_code == 2
    assert "--max-mb" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["first.tflite"]
