"""Which language is spoken: a Whisper of the right form and few numbers, through the real library."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from extractor_contract import check, run

from theval_datasets.errors import MissingExtraError, WeightsMissingError
from theval_datasets.features import spoken_language
from theval_datasets.features.spoken_language import SpokenLanguage, _speech
from theval_datasets.media.frames import Audio


def test_only_speech_is_heard():
    audio = Audio(np.arange(32_000, dtype=np.float32), start=0.5)
    heard = _speech(audio, np.array([(0.25, 0.75), (1.0, 1.001), (2.4, 9.0)]))
    assert heard.tolist() == [*range(4000), *range(8000, 8016), *range(30_400, 32_000)]
    assert len(_speech(audio, np.zeros((0, 2)))) == 0


def test_without_the_extra_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(spoken_language, "available", lambda name: False)
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    assert not SpokenLanguage().has_weights()
    SpokenLanguage().fetch_weights()  # nothing to do without it
    if not spoken_language_installed():
        with pytest.raises(MissingExtraError, match=r"\[language\]"):
            SpokenLanguage().weights_id()


def test_the_folder_is_no_part_of_the_key(tmp_path):
    assert SpokenLanguage(folder=str(tmp_path)) == SpokenLanguage()
    assert SpokenLanguage(folder=str(tmp_path)).parameters() == SpokenLanguage().parameters()


def spoken_language_installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("faster_whisper") is not None


@pytest.fixture
def whisper(tmp_path, monkeypatch):
    """Writes models below THEVAL_MODELS."""
    pytest.importorskip("faster_whisper", reason="listening needs the extra [language]")
    from tiny_whisper import write_tiny_whisper

    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "models"))
    place = tmp_path / "models/whisper/faster-whisper-small"

    def write(**options):
        write_tiny_whisper(place, **options)

    return write


def test_a_missing_model_is_said(tmp_path, monkeypatch, caplog):
    pytest.importorskip("faster_whisper", reason="listening needs the extra [language]")
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="whisper/faster-whisper-small"):
        SpokenLanguage().weights_id()
    with caplog.at_level(logging.WARNING):
        SpokenLanguage().fetch_weights()  # offline
    assert "whisper are not on this machine" in caplog.text


@pytest.mark.slow
def test_it_holds_what_every_extractor_must(
    whisper, talking, other, faceless, tmp_path, monkeypatch
):
    whisper(seed=1)
    feature = check(SpokenLanguage(), talking, other, faceless, tmp_path / "cache", monkeypatch)
    assert str(feature.values["language"]) in ("en", "zh", "fr", "es", "it", "ja")
    assert 0 < float(feature.values["probability"]) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("language", ["fr", "zh"])
def test_it_says_what_the_model_hears(whisper, talking, media, tmp_path, language):
    whisper(favourite=language)
    heard, silent = run(SpokenLanguage(), [talking, media("silent")], tmp_path / "cache")
    assert str(heard.values["language"]) == language
    assert float(heard.values["probability"]) > 0.99
    assert (silent.outcome.status, silent.outcome.reason) == ("empty", "digital-silence")
