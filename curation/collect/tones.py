"""Sound of the headphone check: groups of tones to count, each in one ear."""

from __future__ import annotations

import io
import wave
from typing import Final

import numpy as np

RATE: Final = 44_100
_TONE: Final = 0.18  # seconds
_PAUSE: Final = 0.22  # between tones, seconds
_GAP: Final = 0.9  # between groups, seconds
_PITCH: Final = 440.0  # Hz
_LEVEL: Final = 0.3  # of full scale


def tone_groups(digits: str) -> bytes:
    """A WAV file with a group of tones for each digit, in the left and the right ear in turn.

    The other ear receives the same tones in opposite phase at half the level: loudspeakers make them faint,
    headphones place them on one side. Counting tones needs no language.

    Args:
        digits: Number of tones of each group, 1 to 9.

    Returns:
        16-bit stereo at 44.1 kHz.

    Example:
        >>> tone_groups("21")[:4]
        b'RIFF'
    """
    time = np.arange(round(_TONE * RATE)) / RATE
    ramp = np.minimum(1.0, np.minimum(time, _TONE - time) / 0.01)
    tone = _LEVEL * ramp * np.sin(2 * np.pi * _PITCH * time)
    parts = [np.zeros((round(0.4 * RATE), 2))]
    for number, digit in enumerate(digits):
        sides = (1.0, -0.5) if number % 2 == 0 else (-0.5, 1.0)
        for _ in range(int(digit)):
            parts += [tone[:, None] * np.array(sides), np.zeros((round(_PAUSE * RATE), 2))]
        parts.append(np.zeros((round(_GAP * RATE), 2)))
    samples = np.rint(np.concatenate(parts) * 32767).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return stream.getvalue()
