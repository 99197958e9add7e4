"""The whole way: a table in, JSON, Parquet, plots and a page out."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats

from theval_datasets.commands.study import study
from theval_datasets.curation.study.parameters import preset
from theval_datasets.curation.study.plots import draw_all, score_limits
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.reports import agreement_matrix
from theval_datasets.curation.study.study import run_study
from theval_datasets.errors import InputError, RatingsError

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def table(tmp_path):
    """120 clips of two generators by 20 subjects in two sessions, one of whom guesses."""
    rng = np.random.default_rng(0)
    quality = rng.uniform(1, 4, 120)
    rows = []
    for subject in range(20):
        for clip in range(120):
            score = quality[clip] + rng.normal(0, 0.6)
            score = rng.uniform(0, 5) if subject == 3 else score
            bad = quality[clip] < 2
            rows.append(
                {
                    "subject": HOSTILE if subject == 3 else f"s{subject}",
                    "clip_id": f"c{clip:03d}",
                    "session": "first" if clip < 60 else "second",
                    "generator": "$Good$" if clip % 2 else "Poor & <i>cheap</i>",
                    "score": float(np.clip(score, 0, 5)),
                    "distortions": "000000000011" if bad else "000000000000",
                }
            )
    path = tmp_path / "ratings.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


def test_everything_is_written_and_says_the_same(table, tmp_path):
    out = tmp_path / "out"
    report = study(table, preset="bt500", output=out)
    plain = json.loads((out / "study.json").read_text())
    assert plain == json.loads(json.dumps(report.to_plain()))
    assert list(plain)[:4] == ["preset", "model", "parameters", "clips"]
    assert {"clip_id", "dimension", "mos", "std", "ci95", "n"} <= set(plain["clips"][0])
    opinions = pl.read_parquet(out / "opinions.parquet")
    assert opinions["mos"].to_list() == [row["mos"] for row in plain["clips"]]
    assert opinions["clip_id"].n_unique() == 120
    subjects = {row["subject"]: row for row in plain["subjects"]}
    assert [name for name, row in subjects.items() if row["rejected"]] == [HOSTILE]
    assert subjects[HOSTILE]["reason"] == "outliers"
    assert abs(subjects[HOSTILE]["correlation"]) < 0.3
    assert subjects["s0"]["correlation"] > 0.8
    sessions = pl.read_parquet(out / "sessions.parquet")
    assert sessions["n"].to_list() == [1200, 1200]
    assert sessions["n_rejected"].to_list() == [60, 60]
    assert sessions["correlation"].null_count() == 2  # no clip came in both sessions
    labels = pl.read_parquet(out / "distortions.parquet")
    bad = opinions.filter(pl.col("mos") < 1.5)["clip_id"]
    assert len(bad) > 5
    assert labels.filter(pl.col("clip_id").is_in(bad.to_list()))["bits"].unique().to_list() == [
        "000000000011"
    ]
    assert plain["distortions"]["instances"] == int(labels["distortions"].list.len().sum())
    pngs = {path.stem for path in (out / "plots").glob("*.png")}
    assert pngs == {
        "mos_per_clip",
        "mos_distribution",
        "generators",
        "agreement",
        "screening",
        "distortion_rates",
        "distortion_dimensions",
        "mos_by_distortions",
    }
    text = report.to_text()
    assert "1 rejected" in text
    assert "study.html" in text


def test_the_page_escapes_what_others_wrote(table, tmp_path):
    study(table, output=tmp_path / "out")
    page = (tmp_path / "out" / "study.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count('<svg class="plot"') == 8


def test_tables_are_written_as_csv_too(table, tmp_path):
    out = tmp_path / "out"
    study(table, output=out, plots=False)
    names = {"opinions", "generators", "subjects", "sessions", "distortions"}
    for name in names:
        parquet, csv = pl.read_parquet(out / f"{name}.parquet"), out / f"{name}.csv"
        lists = [column for column, kind in parquet.schema.items() if isinstance(kind, pl.List)]
        read = pl.read_csv(
            csv, schema_overrides=dict.fromkeys(lists, pl.String) | {"bits": pl.String}
        )
        assert read.columns == parquet.columns
        for column in parquet.columns:
            held = read[column].to_list()
            values = [json.loads(value) for value in held] if column in lists else held
            assert values == parquet[column].to_list(), (name, column)
    assert {path.stem for path in out.glob("*.csv")} == names
    assert lists == ["distortions", "names", "dimensions", "share"] or name != "distortions"


def test_generators_have_means_with_intervals(table):
    result = study(table).study
    rows = {row["generator"]: row for row in result.generator_rows("quality")}
    assert list(rows) == sorted(rows, key=lambda name: -rows[name]["mos"])
    for name, values in result.generator_scores("quality").items():
        wanted = scipy.stats.t.interval(
            0.95, len(values) - 1, np.mean(values), scipy.stats.sem(values)
        )
        row = rows[name]
        assert (row["mos"] - row["ci95"], row["mos"] + row["ci95"]) == pytest.approx(wanted)
        assert row["n"] == len(values) == 60


def test_axes_of_scores_span_the_scale(table):
    raw = study(table, preset="bt500", score_range=(0, 10)).study
    low, high = score_limits(raw, raw.opinions["quality"])
    assert low < 0
    assert 10 < high < 10.5
    mapped = study(table, preset="thqa-mt").study
    low, high = score_limits(mapped, mapped.opinions["quality"])
    assert low <= mapped.parameters.range[0]
    assert high >= mapped.parameters.range[1]
    for result in (raw, mapped):
        for plot, axis in (("mos_distribution", "x"), ("mos_per_clip", "y"), ("generators", "x")):
            axes = draw_all(result)[plot].figure.axes[0]
            ends = score_limits(result, result.opinions["quality"])
            assert getattr(axes, f"get_{axis}lim")() == pytest.approx(ends)


def test_equal_tables_leave_equal_bytes(table, tmp_path):
    shuffled = tmp_path / "again" / "ratings.csv"
    shuffled.parent.mkdir()
    pl.read_csv(table, infer_schema=False).sample(fraction=1.0, shuffle=True, seed=3).write_csv(
        shuffled
    )
    for path, out in ((table, "a"), (shuffled, "b")):
        study(path, output=tmp_path / out)
    names = sorted(
        p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()
    )
    assert len(names) == 20
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_without_votes_or_generators_there_are_fewer_plots(tmp_path):
    matrix = np.clip(np.random.default_rng(0).normal(3, 1, (30, 5)), 1, 5)
    result = run_study(Ratings.from_matrix(matrix), preset("bt500"))
    assert set(draw_all(result)) == {"mos_per_clip", "mos_distribution", "agreement", "screening"}
    assert result.labels is None
    assert result.sessions == ()


def test_two_dimensions_are_screened_apart(tmp_path):
    rng = np.random.default_rng(2)
    quality = np.clip(rng.uniform(1, 4, (150, 1)) + rng.uniform(-1, 1, (150, 20)), 0, 5)
    other = quality.copy()
    other[:, 4] = rng.uniform(0, 5, 150)
    clip, subject = np.indices(quality.shape).reshape(2, -1)
    path = tmp_path / "r.parquet"
    pl.DataFrame(
        {
            "subject": [f"s{i:02d}" for i in subject],
            "clip_id": [f"c{i:03d}" for i in clip],
            "quality": quality.ravel(),
            "authenticity": other.ravel(),
        }
    ).write_parquet(path)
    plain = study(path, preset="gen3dhf").to_plain()
    rejected = [(row["subject"], row["dimension"]) for row in plain["subjects"] if row["rejected"]]
    assert rejected == [("s04", "authenticity")]
    assert len(plain["clips"]) == 300
    assert plain["parameters"]["range"] == [0.0, 100.0]
    assert all(row["level"] for row in plain["clips"])


def test_presets_check_the_scale_of_the_ratings(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("subject,clip_id,score\na,x,7\na,y,1\nb,x,3\nb,y,2\n")
    with pytest.raises(RatingsError, match=r"off the declared scale 0 … 5, the first: 7 in row 1"):
        study(path, preset="gen3dhf")
    assert study(path, preset="gen3dhf", score_range=(0, 10)).exit_code == 0
    with pytest.raises(RatingsError, match="off the declared scale 0 … 5"):
        study(path, preset="bt500", score_range=(0, 5))


def test_choices_that_do_not_go_together(table):
    with pytest.raises(InputError, match="preset sureal"):
        study(table, preset="bt500", model="MOS")
    with pytest.raises(InputError, match="bt500"):
        study(table, preset="bt5000")
    with pytest.raises(InputError, match="degenerate"):
        study(table, degenerate="drop")


def test_clips_of_a_manifest(table, tmp_path):
    lines = [
        json.dumps(
            {
                "clip_id": f"c{i:03d}",
                "path": None,
                "source": {"kind": "local", "location": f"{i}.mp4"},
                "sha256": None,
                "reason": "gone",
            }
        )
        for i in range(119)
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n")
    report = study(table, manifest=manifest)
    assert report.to_plain()["manifest"] == {"matched": 119, "unmatched": ["c119"], "without": []}
    assert "not matched: 'c119'" in report.to_text()
    manifest.write_text(lines[0].replace("c000", "other") + "\n")
    with pytest.raises(InputError, match="ratings: none of the 120 names matches"):
        study(table, manifest=manifest)


def test_a_manifest_gives_its_ids_to_the_clips(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "subject,clip_id,score\n"
        "a,b/z.mp4,1\na,D:\\y.mov,5\nb,b/z.mp4,2\nb,D:\\y.mov,4\nc,b/z.mp4,1\nc,D:\\y.mov,4\n"
    )
    rows = [
        {"clip_id": name, "path": None, "source": {"kind": "local", "location": "x"},
         "sha256": None, "reason": "gone"}
        for name in ("a/z", "y")
    ]  # fmt: skip
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clips = study(path, manifest=manifest).to_plain()["clips"]
    assert [(row["clip_id"], row["mos"]) for row in clips] == [("a/z", 4 / 3), ("y", 13 / 3)]


def test_a_table_of_pairs_is_a_pairwise_study(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(
        "subject,left,right,winner,clip_id\n"
        "u,a,b,left,x\nv,b,a,right,x\nw,a,b,right,x\nu,b,c,b,y\nv,c,b,left,y\nw,a,c,tie,y\n"
    )
    report = study(path, output=tmp_path / "out")
    plain = report.to_plain()
    assert [row["model"] for row in plain["models"]] == ["a", "c", "b"]
    assert plain["agreement"]["n_units"] == 2
    assert plain["models"][0]["strength"]["low"] < plain["models"][0]["strength"]["value"]
    assert json.loads((tmp_path / "out" / "study.json").read_text()) == plain
    assert "6 votes between 3 models" in report.to_text()


def test_agreement_of_subjects_is_pearsons():
    rng = np.random.default_rng(1)
    matrix = rng.normal(3, 1, (40, 4))
    matrix[:30, 3] = np.nan
    matrix[38:, 2] = np.nan
    result = agreement_matrix(Ratings.from_matrix(matrix).panel())
    assert result[0, 1] == pytest.approx(np.corrcoef(matrix[:, 0], matrix[:, 1])[0, 1])
    assert result[2, 3] == pytest.approx(np.corrcoef(matrix[30:38, 2], matrix[30:38, 3])[0, 1])
    assert np.array_equal(result, result.T)
    matrix[:38, 3] = np.nan  # two clips are too few
    assert np.isnan(agreement_matrix(Ratings.from_matrix(matrix).panel())[0, 3])


@pytest.mark.real
def test_the_command_prints_the_golden_scores(shared_data: Path, capsys, monkeypatch):
    import sys

    from theval_datasets.cli import main

    golden = json.loads((shared_data / "golden" / "golden_nflx_public.json").read_text())
    table = shared_data / "golden" / "ratings_nflx_public.csv"
    argv = ["theval-data", "study", str(table), "--preset", "sureal", "--json"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    plain = json.loads(capsys.readouterr().out)
    wanted = golden["models"]["SR_MOS"]
    np.testing.assert_allclose(
        [row["mos"] for row in plain["clips"]], wanted["quality_scores"], atol=1e-9
    )
    np.testing.assert_allclose(
        [row["ci95"] for row in plain["clips"]], wanted["quality_scores_ci95"][0], atol=1e-9
    )
    np.testing.assert_allclose(
        [row["std"] for row in plain["clips"]], wanted["quality_ambiguity"], atol=1e-9
    )
    assert [row["rejected"] for row in plain["subjects"]] == wanted["observer_rejected"]


def test_the_page_shows_reliability_and_protocol(table, tmp_path):
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text("instructions: '<b>Rate</b> the quality'\n")
    report = study(table, output=tmp_path / "out", protocol=protocol)
    page = (tmp_path / "out" / "study.html").read_text()
    reliability = report.to_plain()["dimensions"]["quality"]["reliability"]
    low, high = reliability["icc2k_low"], reliability["icc2k_high"]
    assert f"<td>{reliability['icc2k']:.3f} [{low:.3f}, {high:.3f}]</td>" in page
    for name in ("split_half", "sos"):
        assert f'<td class="n">{reliability[name]:.3f}</td>' in page
    assert "<dt>Instructions</dt><dd>&lt;b&gt;Rate&lt;/b&gt; the quality</dd>" in page
    assert "one row per rating" in page
    assert report.to_plain()["protocol"] == {"instructions": "<b>Rate</b> the quality"}
    assert f"ICC(2,k) {reliability['icc2k']:.3f}" in report.to_text()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("subject,clip,score\na,x,4\nb,x,5\nmean,x,4.5\n", 2, "'mean' in the column subject"),
        ("subject,clip,score\nS1,x,4\nS1 ,x,5\n", 2, "'S1' and 'S1 '"),
        ("subject,clip,score\na,x,4\nb,x,-1\nc,x,3\nd,x,3\n", 2, "--missing-code -1"),
    ],
)
def test_faults_of_a_table_end_with_code_2(tmp_path, monkeypatch, capsys, text, code, message):
    from theval_datasets import cli

    path = tmp_path / "r.csv"
    path.write_text(text)
    monkeypatch.setattr("sys.argv", ["theval-data", "study", str(path)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == code
    assert message in " ".join(capsys.readouterr().err.split())


ODD = "Proband,Datei,Urteil\n" + "".join(
    f"p{subject},c{clip},{1 + (subject + clip) % 5}\n" for subject in range(6) for clip in range(5)
)
NAMES = ("subject=Proband", "clip_id=Datei", "score = Urteil")


def test_columns_of_any_name_can_be_stated(tmp_path):
    odd, usual = tmp_path / "odd.csv", tmp_path / "usual.csv"
    odd.write_text(ODD)
    usual.write_text(ODD.replace("Proband,Datei,Urteil", "subject,clip_id,score"))
    stated, known = study(odd, columns=NAMES).to_plain(), study(usual).to_plain()
    assert stated["clips"] == known["clips"]
    assert stated["subjects"] == known["subjects"]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (("subject",), "NAME=COLUMN"),
        (("=Proband",), "NAME=COLUMN"),
        (("subject=",), "NAME=COLUMN"),
        (("subject=Probant",), "did you mean Proband"),
        (("subject=Proband", "subject=Datei"), "two columns would be named subject"),
        (("subject=Proband", "session=Proband"), "two names were stated for the column Proband"),
        (("Urteil=Proband",), "two columns would be named Urteil"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path, columns, complaint):
    (tmp_path / "odd.csv").write_text(ODD)
    with pytest.raises(InputError, match=complaint):
        study(tmp_path / "odd.csv", columns=columns)


@pytest.mark.parametrize("screen", ["sureal", "thqa-mt", "gen3dhf", "bt500", "p913"])
def test_tables_in_which_nothing_can_be_compared(screen):
    """Each clip has one rating: reliability and correlations are undefined, and nothing fails."""
    alone = Ratings.from_arrays(["a", "a", "b", "b"], ["w", "x", "y", "z"], [1, 2, 3, 5])
    result = run_study(alone, preset(screen))
    assert len(result.clip_rows()) == 4
    assert all(report.correlation is None for report in result.subjects)


def test_errors_of_a_pairwise_table_say_the_row_of_the_file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("Left Model;Right Model;Winner\n;;\na;b;left\na;b;c\n")
    with pytest.raises(
        RatingsError, match=r"row 3: expected the winner left, right, tie, 'a' or 'b'"
    ):
        study(path)
