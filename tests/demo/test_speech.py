import numpy as np
import pytest

from theval_datasets.demo.speech import Voice, speak
from theval_datasets.errors import InputError

pytest.importorskip("espeakng_loader", reason="the sample needs the extra [demo]")


def test_speech_does_not_depend_on_what_was_said_before():
    first, rate = speak("Good morning.", Voice("en-us"))
    speak("Le soleil se lève.", Voice("fr+f3", pitch=60))
    again, _ = speak("Good morning.", Voice("en-us"))
    assert rate == 22_050
    assert np.array_equal(first, again)
    assert len(first) / rate == pytest.approx(0.9, abs=0.5)
    assert np.abs(first).max() > 3000


def test_voices_differ():
    low, _ = speak("Good morning.", Voice("en-us", pitch=20))
    high, _ = speak("Good morning.", Voice("en-us", pitch=90))
    assert not np.array_equal(low[:5000], high[:5000])


def test_an_unknown_voice_is_named():
    with pytest.raises(InputError, match="no voice named 'klingonese'"):
        speak("nuqneH", Voice("klingonese"))
