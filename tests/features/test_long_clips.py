"""What grows with a clip's length lies in temporary files, and gives the same values there."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.features import vad
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.loudness import Loudness
from theval_datasets.features.speech_stats import SpeechStats
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad
from theval_datasets.media import read_audio
from theval_datasets.utils import spool

MESH_BYTES = 478 * 3 * 2


@pytest.fixture
def long(monkeypatch):
    """Clips of more than 20 frames are long ones, and read in blocks of a few."""
    monkeypatch.setattr(spool, "LARGE", 20 * MESH_BYTES)
    monkeypatch.setattr(spool, "_BLOCK", 7 * MESH_BYTES)
    monkeypatch.setattr(vad, "_BLOCK", 3 * vad.CHUNK)


@pytest.mark.parametrize(
    "extractor",
    [Landmarks(), ThevalSignals(), Vad(), Loudness(), SpeechStats(), Fingerprints()],
    ids=lambda recipe: recipe.name,
)
def test_long_clips_have_the_values_of_short_ones(extractor, talking, tmp_path, request):
    (in_memory,) = contract.run(extractor, [talking], tmp_path / "memory")
    request.getfixturevalue("long")
    (in_files,) = contract.run(extractor, [talking], tmp_path / "files")
    assert in_memory.outcome == in_files.outcome
    assert in_memory.outcome.status == "ok"
    assert in_memory.values.keys() == in_files.values.keys()
    for name, values in in_memory.values.items():
        assert values.tobytes() == in_files.values[name].tobytes(), name


def test_meshes_and_sound_of_long_clips_are_spooled(talking, tmp_path, request):
    assert not spool.is_spooled(read_audio(talking).samples)
    request.getfixturevalue("long")
    assert spool.is_spooled(read_audio(talking).samples)
    (feature,) = contract.run(Landmarks(), [talking], tmp_path)
    assert len(feature.values["mesh"]) > 20
    assert spool.is_spooled(feature.values["mesh"])
    assert np.abs(feature.values["mesh"]).max() > 0
