"""Marks, maps, descriptions, meshes and archives of theval/gen3dhf."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.gen3dhf import Gen3dhf
from theval_datasets.builders.gen3dhf.annotations import read_descriptions
from theval_datasets.builders.gen3dhf.pictures import read_points
from theval_datasets.builders.gen3dhf.release_json import read_mos
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.tables.meshes import find_meshes, parse_obj
from theval_datasets.commands.verify import verify
from theval_datasets.curation.clips.head_views import HeadTurn, snapshots
from theval_datasets.errors import InputError

NAMES = [f"seed{i:04d}" for i in range(6)]
OBJ = b"mtllib ../../secret.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1 2/2 3/3 4/4\n"


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def marked(at: list[tuple[int, int]]) -> bytes:
    """A grey still with red dots of radius 4."""
    still = np.full((512, 1536, 3), 120, np.uint8)
    y, x = np.mgrid[0:512, 0:1536]
    for row, column in at:
        still[(y - row) ** 2 + (x - column) ** 2 <= 16] = (255, 0, 0)
    return png(still)


def ratings(folder: Path) -> Path:
    path = folder / "ratings.csv"
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["subject", "clip_id", "dimension", "score"])
        for subject in range(6):
            for i, name in enumerate(NAMES):
                for dimension in ("quality", "authenticity"):
                    score = round(float(np.clip(i * 0.7 + rng.normal(0, 0.4), 0, 5)), 2)
                    writer.writerow([f"s{subject}", name, dimension, score])
    return path


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def build(tmp_path: Path, release: Path | None = None, **tables: Path):
    given = {"ratings": ratings(tmp_path), **tables}
    return write_release(Gen3dhf, Inputs(release=release, tables=given), tmp_path / "out")


def load(folder: Path, config: str, cache: Path) -> dict[str, dict]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    rows = {row["clip_id"]: row for split in loaded.values() for row in split}
    assert rows
    return rows


def test_marks_of_several_annotators_become_one_map(tmp_path):
    marks = tmp_path / "marks"
    for annotator, at in (("a", [(100, 200), (300, 900)]), ("b", [(102, 201)])):
        (marks / annotator).mkdir(parents=True)
        (marks / annotator / "seed0001.png").write_bytes(marked(at))
    (marks / "a" / "seed0002.png").write_bytes(marked([]))
    (marks / "a" / "stranger.png").write_bytes(marked([]))
    made = build(tmp_path, marks=marks)
    rows = load(made.folder, "saliency", tmp_path / "hf")
    assert list(rows) == ["seed0001", "seed0002"]
    row = rows["seed0001"]
    assert np.array(row["fixations"]).reshape(-1, 2).tolist() == [
        [100, 200],
        [300, 900],
        [102, 201],
    ]
    assert row["annotator"] == [0, 0, 1]
    saliency = np.array(Image.open(io.BytesIO(row["map"]["bytes"])))
    assert saliency.shape == (512, 1536)
    assert saliency.max() == 255
    assert saliency[101, 200] > saliency[300, 900] > saliency[300, 100] == 0
    assert row["image"] is None
    assert row["missing"] == ["stills:not-given"]
    empty = rows["seed0002"]
    assert empty["fixations"] == []
    assert not np.array(Image.open(io.BytesIO(empty["map"]["bytes"]))).any()
    assert any("saliency: " in note and "not matched: " in note for note in made.info.notes)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_the_release_on_the_hub_is_read_from_its_zips(tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    still = marked([(5, 5)])
    grey = png(np.arange(64, dtype=np.uint8).reshape(8, 8))
    zipped(release / "image.zip", {f"image/{n}.png": still for n in NAMES[:3]})
    zipped(release / "saliency_map.zip", {"maps/seed0000_saliency.png": grey})
    mos = {
        f"{n}.mp4": {"Quality_MOS": 40 + i, "Authenticity": 50.5 - i} for i, n in enumerate(NAMES)
    }
    (release / "MOS.json").write_text(json.dumps(mos))
    labels = [
        {"video": "/home/author/seed0004.mp4", "labels": ["Mouth Distortions", "Eye Distortions"]}
    ]
    (release / "distortion_label.json").write_text(json.dumps(labels))
    made = write_release(Gen3dhf, Inputs(release=release), tmp_path / "out")
    rows = load(made.folder, "features", tmp_path / "hf")
    assert (rows["seed0003"]["quality_mos"], rows["seed0003"]["authenticity_mos"]) == (43, 47.5)
    assert rows["seed0004"]["distortion_categories"] == ["Eye Distortions", "Mouth Distortions"]
    row = load(made.folder, "saliency", tmp_path / "hf")["seed0000"]
    assert (row["map_source"], row["image_source"]) == ("release", "release")
    assert row["image"]["bytes"] == still
    assert (row["width"], row["height"], row["fixations"]) == (8, 8, None)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_descriptions_become_categories(tmp_path):
    path = tmp_path / "descriptions.csv"
    path.write_text(
        "clip_id,description,categories\n"
        "seed0000,The left eye is blurry,\n"
        "seed0000,fine,No Distortion\n"
        "seed0001,,Hair Distortions\n"
        "seed0002,no problem,\n"
    )
    result = read_descriptions(path)
    assert result["seed0000"].categories == ("Eye Distortions", "Blurring / Exposure / Grain")
    assert result["seed0000"].text == "The left eye is blurry fine"
    assert result["seed0002"].categories == ("No Distortion",)
    generators = tmp_path / "generators.csv"
    generators.write_text("clip_id,generator\nseed0000.mp4,EG3D\n")
    made = build(tmp_path, descriptions=path, generators=generators)
    rows = load(made.folder, "features", tmp_path / "hf")
    assert rows["seed0000"]["generator"] == "EG3D"
    assert rows["seed0001"]["distortion_categories"] == ["Hair Distortions"]
    assert rows["seed0001"]["description"] is None
    assert "descriptions:categories-only" in rows["seed0001"]["missing"]
    assert verify(made.folder).exit_code == 0
    path.write_text("clip_id,description,categories\nseed0000,x,Ugly\n")
    with pytest.raises(InputError, match="'Ugly' is no category"):
        read_descriptions(path)


def test_snapshots_are_the_frames_at_a_quarter_the_middle_and_three_quarters(tmp_path, make_turn):
    views = snapshots(make_turn(tmp_path / "turn.mp4"))
    assert views.shape == (512, 1536, 3)
    assert shades(views) == pytest.approx([60, 120, 180], abs=4)


def shades(views: np.ndarray) -> list[float]:
    return [float(views[:, at : at + 512].mean()) for at in (0, 512, 1024)]


def test_a_turn_that_begins_elsewhere(tmp_path, make_turn):
    turn = make_turn(tmp_path / "turn.mp4")
    assert shades(snapshots(turn, HeadTurn(-45, 45))) == pytest.approx([0, 120, 240], abs=4)
    assert shades(snapshots(turn, HeadTurn(90, -90))) == pytest.approx([180, 120, 60], abs=4)
    for start, end in ((-30, 90), (0, 0)):
        with pytest.raises(InputError, match="not in a turn"):
            snapshots(turn, HeadTurn(start, end))


@pytest.fixture
def make_turn():
    """A video that turns from black to bright at constant speed: 0 to 240."""
    import av

    def make(path: Path) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=60, options={"crf": "10"})
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for i in range(241):
                frame = np.full((64, 64, 3), i, np.uint8)
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path

    return make


def test_meshes_are_read_in_the_order_of_their_numbers(tmp_path):
    path = zipped(tmp_path / "m.zip", {f"all/seed0000/f_{i}.obj": OBJ for i in (10, 9, 1)})
    assert [f.stem for f in find_meshes(path)["seed0000"]] == ["f_1", "f_9", "f_10"]
    vertices, triangles = parse_obj(OBJ, "x")
    assert len(vertices) == 4
    assert triangles == [[0, 1, 2], [0, 2, 3]]
    assert parse_obj(b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n", "x")[1] == [[0, 1, 2]]
    for wrong in (b"", b"v 0 0\nf 1 1 1", b"v 0 0 0\nf 1 2 3", b"\xff\xfe"):
        with pytest.raises(InputError, match=r"mesh|OBJ"):
            parse_obj(wrong, "x")


def test_meshes_become_glb(tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="meshes need the extra [mesh]")
    folder = tmp_path / "meshes" / "seed0001"
    folder.mkdir(parents=True)
    (folder / "0.obj").write_bytes(OBJ)
    made = build(tmp_path, meshes=tmp_path / "meshes")
    row = load(made.folder, "mesh", tmp_path / "hf")["seed0001"]
    assert (row["vertices"], row["faces"]) == (4, 2)
    assert row["mesh"]["bytes"][:4] == b"glTF"
    scene = trimesh.load(io.BytesIO(row["mesh"]["bytes"]), file_type="glb")
    assert scene.to_geometry().faces.shape == (2, 3)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_json_that_is_not_understood_is_refused(tmp_path):
    for text, message in (
        ('{"seed0000": {"beauty": 3}}', "expected numbers under quality"),
        ('{"seed0000": {"quality": true}}', "expected numbers under quality"),
        ('{"seed0000": {"quality_mean": 3, "quality_std": 1}}', "or under keys that hold"),
        ('{"seed0000": {"quality": 1e999}}', "expected numbers"),
        ('[["seed0000", 3]]', "expected a mapping"),
        ("not json", "not JSON"),
        ('[{"quality": 3}]', "no name"),
    ):
        (tmp_path / "MOS.json").write_text(text)
        with pytest.raises(InputError, match=message):
            write_release(Gen3dhf, Inputs(release=tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    "plain",
    [
        {"seed0000.mp4": {"quality": 40, "authenticity": 50.5}},
        {"video/seed0000.mp4": {"Quality_MOS": 40, "quality_std": 3, "MOS_authenticity": 50.5}},
        [{"video_name": "seed0000.mp4", "quality": 40, "authenticity": 50.5}],
        {"quality": {"seed0000": 40}, "authenticity": {"seed0000.mp4": 50.5}},
    ],
)
def test_layouts_of_the_scores_that_are_understood(tmp_path, plain):
    (tmp_path / "MOS.json").write_text(json.dumps(plain))
    assert read_mos(tmp_path / "MOS.json") == {"seed0000": {"quality": 40, "authenticity": 50.5}}


def test_exact_marks_go_before_dots(tmp_path):
    marks = tmp_path / "marks" / "a"
    marks.mkdir(parents=True)
    (marks / "seed0001.png").write_bytes(marked([(400, 50)]))
    (marks / "seed0003.png").write_bytes(marked([(400, 50)]))
    points = tmp_path / "marks.csv"
    points.write_text(
        "subject,clip_id,x,y,time\np2,seed0001,0,0,\np1,seed0001,1535,511,\np2,seed0001,1,0,\n"
        "p1,seed0002,,,\n"
    )
    made = build(tmp_path, marks=tmp_path / "marks", fixations=points)
    rows = load(made.folder, "saliency", tmp_path / "hf")
    assert list(rows) == ["seed0001", "seed0002", "seed0003"]
    assert rows["seed0001"]["fixations"] == [0, 0, 511, 1535, 0, 1]
    assert rows["seed0001"]["annotator"] == [0, 1, 0]
    assert rows["seed0002"]["fixations"] == []
    assert rows["seed0003"]["fixations"] == [400, 50]
    assert {row["map_source"] for row in rows.values()} == {"marks"}
    assert verify(made.folder).exit_code == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p1,seed0001,1536,0", "outside of 1536x512"),
        ("p1,seed0001,0,512", "outside of 1536x512"),
        ("p1,seed0001,-1,0", "outside of 1536x512"),
        ("p1,seed0001,,4", "number"),
        (",seed0001,1,4", "expected a subject"),
    ],
)
def test_a_mark_that_is_none_is_refused(tmp_path, line, message):
    points = tmp_path / "marks.csv"
    points.write_text(f"subject,clip_id,x,y\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_points(points)
