"""Nobody is to be recognised in a release that was asked for like that."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from feature_factory import small_corpus
from PIL import Image

from theval_datasets import catalog
from theval_datasets.builders.base.anonymous import blurred, has_recordings, image_columns
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa_mt import ThqaMt
from theval_datasets.commands.verify import verify
from theval_datasets.curation.clips.anonymise import face_boxes
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
from theval_datasets.utils.files import sha256_file


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """A face at the left of a wide picture with noise at its right."""
    skimage = pytest.importorskip("skimage.data", reason="the sample's face needs [demo]")
    face = skimage.astronaut()[:300, 70:370]
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    return Image.fromarray(np.hstack([face, noise]))


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> dict:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return {"bytes": stream.getvalue(), "path": f"p0.{kind.lower()}"}


def decoded(picture: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture["bytes"]))).astype(float)


def detail(pixels: np.ndarray) -> float:
    return float(np.abs(np.diff(pixels, axis=1)).mean())


def test_a_face_is_blurred_and_the_rest_stays(portrait):
    before = np.asarray(portrait)
    (left, top, right, bottom), *_ = face_boxes(before).astype(int)
    picture = blurred(encoded(portrait))
    assert picture["path"] == "p0.jpg"
    after = decoded(picture)
    assert after.shape == before.shape
    inside = np.s_[top:bottom, left:right]
    assert detail(after[inside]) < 0.3 * detail(before[inside].astype(float))
    assert detail(after[:, 320:]) > 0.6 * detail(before[:, 320:].astype(float))  # JPEG
    assert blurred(encoded(portrait)) == picture


def test_without_a_face_that_is_found_all_is_blurred(portrait):
    noise = portrait.crop((300, 0, 600, 300))
    assert not len(face_boxes(np.asarray(noise)))
    picture = decoded(blurred(encoded(noise)))
    assert picture.shape == (300, 300, 3)
    assert detail(picture) < 0.05 * detail(np.asarray(noise).astype(float))


def test_what_a_file_says_beside_its_pixels_is_gone(portrait):
    exif = Image.Exif()
    exif[0x010E] = "the person's name"
    exif[0x0112] = 6  # lies on its side
    picture = blurred(encoded(portrait, "JPEG", exif=exif))
    assert b"name" not in picture["bytes"]
    assert decoded(picture).shape == (600, 300, 3)


def test_which_tables_and_columns():
    fields = {
        (name, config): declared
        for name in catalog.names("dataset")
        for config, declared in catalog.load("dataset", name).FIELDS.items()
    }
    assert {key: image_columns(field) for key, field in fields.items() if image_columns(field)} == {
        ("clips", "media"): ["poster"],
        ("gen3dhf", "media"): ["poster"],
        ("gen3dhf", "saliency"): ["image"],  # not the map
        ("rsatalker", "media"): ["poster"],
        ("theval", "media"): ["poster"],
        ("thqa_mt", "media"): ["poster"],
        ("thqa_mt", "portraits"): ["image"],
    }
    assert {key[1] for key, field in fields.items() if has_recordings(field)} == {"media", "mesh"}


def inputs(folder: Path, media, portrait: Image.Image, **how) -> Inputs:
    corpus = small_corpus(folder / "corpus")
    os.link(media("plain"), corpus.folder / "a__X.mp4")
    source, digest = Source("local", "a__X.mp4"), sha256_file(media("plain"))
    write_manifest(corpus.manifest, [*corpus.rows, ManifestRow("a__X", "a__X.mp4", source, digest)])
    (folder / "portraits").mkdir()
    portrait.save(folder / "portraits" / "a.png")
    return Inputs(corpus.manifest, corpus.cache, tables={"portraits": folder / "portraits"}, **how)


def test_a_release_in_which_nobody_is_recognised(tmp_path, media, portrait):
    given = inputs(tmp_path, media, portrait, anonymise=True)
    made = write_release(ThqaMt, given, tmp_path / "out")
    assert list(made.info.configs) == ["features", "landmarks", "portraits", "generators"]
    (row,) = pq.read_table(made.folder / "portraits").to_pylist()
    assert row["image"] == blurred(encoded(portrait) | {"path": "a.png"})
    assert (row["width"], row["height"]) == portrait.size
    rows = pq.read_table(made.folder / "features").to_pylist()
    assert all(row["arcface"] is None and "arcface:left-out" in row["missing"] for row in rows)
    card = (made.folder / "README.md").read_text()
    assert "Left out on request, and null here: arcface." in card
    assert "Faces that a detector finds in still pictures are blurred" in card
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()
    with pytest.raises(InputError, match="anonymise leaves out video, sound and meshes"):
        write_release(ThqaMt, given, tmp_path / "out", configs=["media"])


def test_extractors_can_be_left_out(tmp_path, media, portrait):
    given = inputs(tmp_path, media, portrait, without=frozenset({"vad"}))
    made = write_release(ThqaMt, given, tmp_path / "out")
    assert {"media", "portraits"} <= made.info.configs.keys()
    assert "vad" not in made.info.extractors
    rows = pq.read_table(made.folder / "features").to_pylist()
    assert {row["speech_ratio"] for row in rows} == {None}
    assert all("vad:left-out" in row["missing"] for row in rows)
    assert verify(made.folder).exit_code == 0
    with pytest.raises(UnknownNameError, match="did you mean arcface"):
        ThqaMt(inputs=Inputs(given.manifest_path, without=frozenset({"arcfaces"})))
