"""silero-vad in torch and our own running of the same model hear the same."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.errors import MissingExtraError
from theval_datasets.features.vad import Vad
from theval_datasets.features.vad_silero import VadSilero
from theval_datasets.utils.optional import available


@pytest.mark.skipif(available("silero_vad"), reason="the extra [release] is installed")
def test_without_the_extra_it_says_which():
    with pytest.raises(MissingExtraError, match=r"\[release\]"):
        VadSilero().weights_id()


@pytest.mark.skipif(not available("silero_vad"), reason="the extra [release] is not installed")
@pytest.mark.filterwarnings("default")
def test_both_hear_the_same(talking, other, tmp_path, monkeypatch, media):
    theirs = contract.check(VadSilero(), talking, other, media("no_audio"), tmp_path, monkeypatch)
    (ours,) = contract.run(Vad(), [talking], tmp_path / "ours")
    assert np.abs(theirs.values["probability"] - ours.values["probability"]).max() < 0.02
    assert np.abs(theirs.values["segments"] - ours.values["segments"]).max() <= 0.1
