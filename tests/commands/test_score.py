"""`theval-data score`: values, means, references, ranks; definitions that never meet."""

from __future__ import annotations

import csv
import json

import pytest
from media_factory import ffmpeg

from theval_datasets import cli
from theval_datasets.commands.score import DEFINITIONS, ClipScore, ScoreReport, score
from theval_datasets.errors import InputError
from theval_datasets.evaluation import theval
from theval_datasets.evaluation.theval import METRICS
from theval_datasets.utils.optional import install_command

SIGNALS = METRICS[3:]


def write_reference(path, definition="paper", **values):
    row = {name: values.get(name, 1.0) for name in METRICS} | {"definition": definition}
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow(row)
    return path


def test_every_published_model_comes_back_from_raw_metrics():
    """Raw metrics that give a model's normalised values give its final score and rank too."""
    reference = theval.published_reference()
    board = theval.published_leaderboard()
    printed = theval.published_finals()
    assert len(board) == len(printed) == 17
    finals = {}
    for entry in board:
        raw = {
            name: reference.values[name] * value
            for name, value in entry.normalised.items()
            if value is not None
        }
        result = theval.score(raw, reference)
        assert result.normalised == pytest.approx(entry.normalised, abs=1e-12)
        assert result.final == pytest.approx(printed[entry.model], abs=1e-4)
        finals[entry.model] = result.final
    order = sorted(finals, key=lambda model: -finals[model])
    for entry in board:
        others = [final for model, final in finals.items() if model != entry.model]
        assert theval.rank_of(finals[entry.model], others) == order.index(entry.model) + 1
        assert entry.rank == order.index(entry.model) + 1


def test_the_paper_definition_has_no_built_in_reference(talking, tmp_path):
    report = score([talking], cache=str(tmp_path), workers=1)
    plain = report.to_plain()
    assert plain["definition"] == "paper"
    assert [clip["path"] for clip in plain["clips"]] == [str(talking)]
    metrics = plain["clips"][0]["metrics"]
    assert set(metrics) == set(METRICS)
    assert all(metrics[name] is not None for name in ("lip_dynamics", "head_motion", "lip_sync"))
    undefined = {name for name, value in metrics.items() if value is None}
    assert set(plain["clips"][0]["missing"]) == undefined
    assert plain["mean"]["lip_dynamics"] == {"value": metrics["lip_dynamics"], "n": 1}
    for name in ("normalised", "dimensions", "final", "rank"):
        assert plain[name] is None
    assert "--reference" in plain["reason"]
    assert report.exit_code == 0


def test_a_reference_of_ones_own(talking, tmp_path):
    reference = write_reference(tmp_path / "gt.csv", lip_dynamics=2.0)
    report = score([talking], reference=reference, cache=str(tmp_path / "cache"), workers=1)
    plain = report.to_plain()
    raw = plain["mean"]["lip_dynamics"]["value"]
    assert plain["normalised"]["lip_dynamics"] == pytest.approx(1 - abs(raw - 2) / 2)
    defined = [name for name in METRICS if plain["mean"][name]["value"] is not None]
    if len(defined) < 8:
        assert plain["final"] is None
        assert plain["rank"] is None
        assert plain["partial"]["n"] == len(defined)
        values = [plain["normalised"][name] for name in defined]
        assert plain["partial"]["value"] == pytest.approx(sum(values) / len(values))
        assert "all eight" in plain["reason"]


def test_what_this_machine_lacks_comes_with_its_remedy():
    metrics = dict.fromkeys(METRICS, 1.0) | {"face_quality": None}
    shown = {}
    for reason in ("extra-missing", "weights-missing", "no-face"):
        clip = ClipScore("a.mp4", metrics, {"face_quality": reason})
        mean = dict.fromkeys(METRICS, (1.0, 1))
        shown[reason] = ScoreReport("paper", (clip,), mean, None, None, None, None).to_text()
    assert install_command("iqa") in shown["extra-missing"]
    assert "theval-data models list" in shown["weights-missing"]
    assert "pip install" not in shown["no-face"]
    assert "models list" not in shown["no-face"]


@pytest.mark.parametrize(("definition", "remedy"), [("paper", "invariant"), ("release", "--def")])
def test_frame_sizes_that_differ_are_a_warning(definition, remedy):
    def report(*sizes):
        clips = tuple(
            ClipScore(f"{i}.mp4", dict.fromkeys(METRICS, 1.0), {}, False, size, 0.5)
            for i, size in enumerate(sizes)
        )
        mean = dict.fromkeys(METRICS, (1.0, len(sizes)))
        return ScoreReport(definition, clips, mean, None, None, None, None)

    assert report((512, 512), (512, 512), None).warnings() == ()
    (warning,) = report((512, 512), (256, 256), (1080, 1920)).warnings()
    assert "3 frame sizes, 256x256 to 1080x1920" in warning
    assert remedy in warning
    shown = report((512, 512), (256, 256))
    assert "warning: the videos have 2 frame sizes" in shown.to_text()
    assert shown.to_plain()["warnings"] == list(shown.warnings())
    assert shown.to_plain()["clips"][0]["head_motion_scale_invariant"] == 0.5


def test_a_clip_of_half_the_size_has_the_same_scale_invariant_head_motion(sample, tmp_path):
    shaky, half = sample["shaky-head-en"], tmp_path / "half.mp4"
    scale = ("-vf", "scale=iw/2:-2", "-crf", "12", "-c:a", "copy")
    ffmpeg("-i", shaky, *scale, half)
    report = score([shaky, half], cache=str(tmp_path / "cache"), workers=1)
    assert len(report.warnings()) == 1
    whole, small = report.clips
    assert small.metrics["head_motion"] < 0.8 * whole.metrics["head_motion"]
    assert small.scale_invariant == pytest.approx(whole.scale_invariant, rel=0.15)


def test_release_is_measured_against_the_published_row(talking, tmp_path):
    plain = score([talking], definition="release", cache=str(tmp_path), workers=1).to_plain()
    assert plain["reference"] == "release"
    assert plain["normalised"]["lip_dynamics"] is not None
    assert plain["dimensions"]["quality"] is None or isinstance(
        plain["dimensions"]["quality"], float
    )


@pytest.mark.parametrize(("asked", "stated"), [("paper", "release"), ("release", "paper")])
def test_definitions_are_never_compared(talking, tmp_path, asked, stated):
    reference = write_reference(tmp_path / "gt.csv", stated)
    with pytest.raises(InputError, match="not comparable"):
        score([talking], definition=asked, reference=reference, cache=str(tmp_path / "cache"))


def test_wrong_input_says_what_was_expected(tmp_path, talking):
    with pytest.raises(InputError, match="paper or release"):
        score([talking], definition="papers")
    with pytest.raises(InputError, match="no file or folder"):
        score([tmp_path / "nothing.mp4"])
    with pytest.raises(InputError, match="no video in the folder"):
        score([tmp_path])
    with pytest.raises(InputError, match="at least one"):
        score([])


def test_a_broken_video_fails_alone(media, talking, tmp_path):
    report = score([media("text"), talking], cache=str(tmp_path), workers=1)
    assert report.exit_code == 1
    broken, whole = report.clips
    assert set(broken.metrics.values()) == {None}
    assert broken.missing["lip_sync"] == "not-media"
    assert whole.metrics["lip_sync"] is not None
    assert report.mean["lip_sync"] == (whole.metrics["lip_sync"], 1)
    assert "not-media" in report.to_text()


def test_the_command(talking, tmp_path, monkeypatch, capsys):
    words = ["score", str(talking), "--cache", str(tmp_path), "--workers", "1", "--json"]
    monkeypatch.setattr("sys.argv", ["theval-data", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code in (0, None)
    assert json.loads(capsys.readouterr().out)["definition"] == "paper"


def test_both_definitions_name_all_eight():
    assert {tuple(sorted(parts)) for parts in DEFINITIONS.values()} == {tuple(sorted(METRICS))}
