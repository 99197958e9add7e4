"""The contact sheet: drawn for every kind of clip, with what was found and why the rest was not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from theval_datasets.cli import app
from theval_datasets.commands.inspect import inspect
from theval_datasets.errors import InputError


def test_a_talking_face(sample, tmp_path):
    clip = sample[next(name for name in sorted(sample) if name.startswith("clear"))]
    report = inspect(clip, output=tmp_path / "sheet.png", cache=str(tmp_path / "cache"), frames=4)
    assert report.exit_code == 0
    assert report.facts["people"] == 1
    assert report.facts["size"] == "512x512"
    with Image.open(report.sheet) as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    assert picture.shape[1] == 1280
    # The box of track 0 is drawn in its colour, and speech is shaded.
    assert (np.abs(picture - (11, 111, 179)).max(axis=2) < 12).sum() > 500
    assert (np.abs(picture - (255, 239, 196)).max(axis=2) < 8).sum() > 5000
    again = inspect(clip, output=tmp_path / "b.png", cache=str(tmp_path / "cache"), frames=4)
    assert again.sheet.read_bytes() == report.sheet.read_bytes()


@pytest.mark.parametrize("name", ["no_audio", "still", "silent", "gif", "truncated"])
def test_whatever_can_be_shown_is(media, tmp_path, name):
    done = CliRunner().invoke(
        app,
        ["inspect", str(media(name)), "-o", str(tmp_path / "x.png"),
         "--cache", str(tmp_path / "cache"), "--frames", "3", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["outcomes"]["faces"]["reason"] == "no-face"
    assert told["facts"]["people"] is None
    with Image.open(tmp_path / "x.png") as image:
        assert image.width >= 640


def test_what_cannot_be_shown_is_refused(media, tmp_path):
    for path in (tmp_path / "none.mp4", media("text"), media("wav")):
        with pytest.raises(InputError, match=path.name):
            inspect(path, output=tmp_path / "x.png", cache=str(tmp_path / "cache"))
    with pytest.raises(InputError, match="frames"):
        inspect(media("plain"), frames=99)
    assert not (tmp_path / "x.png").exists()
