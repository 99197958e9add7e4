from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from feature_factory import DECODER, Corpus, facts, small_corpus
from feature_factory import row as clip_row

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.builders.theval.comparison import leaderboard_rows, read_metrics
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError, RatingsError
from theval_datasets.evaluation.theval import METRICS, published_finals, published_reference

HEAD = "model,kind,clip_id,definition," + ",".join(METRICS)


def line(model: str, clip: str, values: list[float | None], definition: str = "release") -> str:
    shown = ["" if value is None else repr(value) for value in values]
    return ",".join([model, "Audio-driven", clip, definition, *shown])


def metrics(folder: Path, lines: list[str], head: str = HEAD) -> Path:
    path = folder / "metrics.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def real_values() -> list[float]:
    return [published_reference().values[name] for name in METRICS]


def build(tmp_path: Path, **tables: Path):
    corpus = small_corpus(tmp_path / "corpus")
    inputs = Inputs(corpus.manifest, corpus.cache, tables=tables)
    return write_release(Theval, inputs, tmp_path / "out", decoder=DECODER)


def load(folder: Path, config: str, cache: Path) -> list[dict]:
    rows = list(datasets.load_dataset(str(folder), config, cache_dir=str(cache))["train"])
    assert rows
    return rows


def test_generated_clips_and_the_leaderboard(tmp_path):
    real = real_values()
    path = metrics(
        tmp_path,
        [
            line("Perfect", "mute", real),
            line("Perfect", "room", real),
            line("Half", "mute", [v / 2 for v in real]),
            line("Gap", "mute", [None, *real[1:]]),
            line("Perfect", "stranger", real),
        ],
    )
    made = build(tmp_path, metrics=path)
    assert set(made.info.configs) == {"features", "landmarks", "generated", "leaderboard"}
    rows = load(made.folder, "generated", tmp_path / "hf")
    assert [(r["clip_id"], r["model"]) for r in rows] == [
        ("mute", "Gap"), ("mute", "Half"), ("mute", "Perfect"), ("room", "Perfect"),
    ]  # fmt: skip
    assert rows[0]["global_aesthetics"] is None
    assert rows[0]["missing"] == ["metrics:undefined"]
    assert any("metrics: 2 of 3 names match a clip" in note for note in made.info.notes)
    board = {r["model"]: r for r in load(made.folder, "leaderboard", tmp_path / "hf")}
    assert len(board) == 17 + 3
    assert board["Perfect"]["final"] == pytest.approx(1)
    assert board["Perfect"]["rank"] == 1
    assert board["Half"]["final"] == pytest.approx(0.5)
    assert board["Half"]["naturalness"] == pytest.approx(0.5)
    assert board["Gap"]["final"] is None
    assert board["Gap"]["rank"] is None
    for model, final in published_finals().items():
        assert board[model]["final"] == pytest.approx(final, abs=1.01e-4)
        assert board[model]["raw_lip_sync"] is None
        assert "metrics:not-published" in board[model]["missing"]
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_paper_values_are_compared_with_the_real_clips_of_the_dataset(tmp_path):
    values: list[float | None] = [None] * 8
    values[METRICS.index("head_motion")] = 12.25 * 0.9  # the real clips all have 12.25
    made = build(tmp_path, metrics=metrics(tmp_path, [line("M", "mute", values, "paper")]))
    rows = load(made.folder, "leaderboard", tmp_path / "hf")
    mine = [r for r in rows if r["definition"] == "paper"]
    assert [r["model"] for r in mine] == ["M"]
    assert mine[0]["head_motion"] == pytest.approx(0.9)
    assert mine[0]["lip_sync"] is None
    assert verify(made.folder).exit_code == 0


def test_definitions_are_ranked_apart(tmp_path):
    real = real_values()
    rows = read_metrics(
        metrics(tmp_path, [line("A", "", real, "paper"), line("B", "", [v / 3 for v in real])])
    )
    board = leaderboard_rows(rows, dict(zip(METRICS, real, strict=True)))
    assert {(r["model"], r["definition"]): r["rank"] for r in board}["A", "paper"] == 1
    ranks = [r["rank"] for r in board if r["definition"] == "release"]
    assert ranks == list(range(1, 19))


@pytest.mark.parametrize("name", ["Clip_ID", "clip id", "Video", "filename"])
def test_clips_are_told_by_any_usual_name_of_their_column(tmp_path, name):
    head = HEAD.replace("clip_id", name).replace("model,kind", "Model,Kind")
    made = build(tmp_path, metrics=metrics(tmp_path, [line("A", "mute.mp4", real_values())], head))
    (row,) = load(made.folder, "generated", tmp_path / "hf")
    assert (row["clip_id"], row["model"]) == ("mute", "A")


def test_means_alone_give_a_leaderboard(tmp_path):
    made = build(tmp_path, metrics=metrics(tmp_path, [line("A", "", real_values())]))
    assert "generated" not in made.info.configs
    assert "leaderboard" in made.info.configs


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("", "a", [1.0] * 8)], "expected a model"),
        ([line("A", "a", [1.0] * 8, "pepper")], "definition out of paper, release"),
        ([line("A", "a", [1.0] * 8)] * 2, ":3: 'A' .* occurs twice"),
        ([line("A", "a", [1.0] * 8), line("B", "", [1.0] * 8)], "others have none"),
        ([line("A", "a", [1.0] * 8).replace("1.0", "high", 1)], "expected a number"),
    ],
)
def test_metrics_that_do_not_fit(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, metrics=metrics(tmp_path, lines))


def test_votes(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(
        "subject,left,right,winner,clip_id\n"
        "s1,Hallo2,FLOAT,left,mute\ns2,FLOAT,Hallo2,Hallo2,elsewhere\n,FLOAT,Hallo2,tie,room\n"
    )
    made = build(tmp_path, votes=path)
    assert "preferences" in made.info.configs
    rows = load(made.folder, "preferences", tmp_path / "hf")
    assert [r["winner"] for r in rows] == ["Hallo2", "Hallo2", None]
    assert [r["clip_id"] for r in rows] == ["mute", None, "room"]
    assert rows[1]["missing"] == ["votes:not-matched"]
    assert "tie:no-preference" in rows[2]["missing"]
    assert [r["subject"] for r in rows] == ["s1", "s2", None]
    assert "subject:not-given" in rows[2]["missing"]
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()
    assert not any("neither in the leaderboard" in note for note in made.info.notes)
    path.write_text("left,right,winner\nA,B,C\n")
    with pytest.raises(RatingsError):
        build(tmp_path, votes=path)


def test_models_that_were_voted_on_but_have_no_metrics_are_said(tmp_path):
    path = tmp_path / "votes.csv"
    pairs = [("hallo2", "FLOAT"), ("GT", "FLOAT"), ("Mine", "Other"), ("Third", "FLOAT")]
    path.write_text("left,right,winner\n" + "".join(f"{a},{b},left\n" for a, b in pairs))
    notes = build(tmp_path, votes=path).info.notes
    assert (
        "votes: 4 of 5 models are neither in the leaderboard nor among the metrics by that name, so that "
        "nothing is compared with their votes: 'Mine', 'Other', 'Third' and 1 more." in notes
    )
    own = metrics(tmp_path, [line(name, "", [1.0] * 8) for name in ("Mine", "Other", "Third")])
    notes = build(tmp_path, votes=path, metrics=own).info.notes
    assert any("'hallo2' (perhaps 'Hallo2')." in note for note in notes)


def generated(folder: Path, cache, names: list[str], *, measured: bool = True) -> Path:
    """A manifest of generated clips whose features lie in a cache."""
    made = Corpus(folder)
    made.cache = cache
    for seed, name in enumerate(names):
        if measured:
            made.add_clip(name, seed)
        else:
            made.add(clip_row(name))
    return made.manifest


def test_generated_clips_come_from_their_manifest_and_the_cache(tmp_path):
    corpus = small_corpus(tmp_path / "corpus")
    known = [row.clip_id for row in corpus.rows][:2]
    names = [f"{known[0]}__Wav2Lip", f"Mine/{known[1]}", "stranger__Mine"]
    tables = {"generated": generated(tmp_path / "work", corpus.cache, names)}
    inputs = Inputs(corpus.manifest, corpus.cache, tables=tables)
    made = write_release(Theval, inputs, tmp_path / "out", decoder=DECODER)
    rows = {(r["model"], r["clip_id"]): r for r in load(made.folder, "generated", tmp_path / "hf")}
    assert rows.keys() == {("Wav2Lip", known[0]), ("Mine", known[1])}
    row = rows["Mine", known[1]]
    assert row["definition"] == "paper"
    assert row["lip_sync"] is not None
    assert row["global_aesthetics"] is None
    assert row["missing"]
    assert all(entry.startswith("metrics:") for entry in row["missing"])
    board = {
        r["model"]: r
        for r in load(made.folder, "leaderboard", tmp_path / "hf")
        if r["source"] == "generated clips"
    }
    assert board["Wav2Lip"]["kind"] == "Audio-driven"
    assert board["Mine"]["raw_lip_sync"] == pytest.approx(row["lip_sync"])
    assert board["Mine"]["lip_sync"] is not None
    assert any("generated: 2 of 3 names match a clip" in note for note in made.info.notes)
    assert verify(made.folder).exit_code == 0


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(512, 384)], None),
        ([(256, 192)], "The generated clips are 256×192 pixels, the real ones 512×384"),
        (
            [(512, 384), (1024, 768)],
            "The generated clips are 512×384 to 1024×768 pixels, the real ones",
        ),
    ],
)
def test_generated_clips_of_another_frame_size_are_a_warning(tmp_path, sizes, said):
    corpus = small_corpus(tmp_path / "corpus")
    made = Corpus(tmp_path / "work")
    made.cache = corpus.cache
    known = [row.clip_id for row in corpus.rows]
    for seed, (width, height) in enumerate(sizes):
        made.add_clip(f"Mine/{known[seed]}", seed, media=facts(20, width=width, height=height))
    inputs = Inputs(corpus.manifest, corpus.cache, tables={"generated": made.manifest})
    notes = write_release(Theval, inputs, tmp_path / "out", decoder=DECODER).info.notes
    warnings = [note for note in notes if note.startswith("The generated clips are")]
    assert len(warnings) == (said is not None)
    assert all(note.startswith(said or "") for note in warnings)


@pytest.mark.parametrize(
    ("names", "measured", "message"),
    [
        (["nameless"], True, "tell no model, such as nameless"),
        (["mute__Mine"], False, "none of 1 clips has a metric .* extract"),
        (["stranger__Mine"], True, "generated"),
    ],
)
def test_generated_clips_that_give_nothing(tmp_path, names, measured, message):
    corpus = small_corpus(tmp_path / "corpus")
    manifest = generated(tmp_path / "work", corpus.cache, names, measured=measured)
    inputs = Inputs(corpus.manifest, corpus.cache, tables={"generated": manifest})
    with pytest.raises(InputError, match=message):
        write_release(Theval, inputs, tmp_path / "out", decoder=DECODER)


def test_metrics_that_are_given_twice(tmp_path):
    corpus = small_corpus(tmp_path / "corpus")
    manifest = generated(tmp_path / "work", corpus.cache, ["mute__M"])
    table = metrics(tmp_path, [line("M", "mute", real_values(), "paper")])
    inputs = Inputs(corpus.manifest, corpus.cache, tables={"generated": manifest, "metrics": table})
    with pytest.raises(InputError, match="given twice"):
        write_release(Theval, inputs, tmp_path / "out", decoder=DECODER)
