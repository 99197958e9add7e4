"""Speech from espeak-ng, called through ctypes, without any system package."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import require

_SYNCHRONOUS: Final = 2
_DO_NOT_EXIT: Final = 1 << 15
_UTF8: Final = 1
_RATE: Final = 1
_PITCH: Final = 3


@dataclass(frozen=True, slots=True)
class Voice:
    """Voice settings of espeak-ng.

    Attributes:
        name: Language and variant, such as ``en-us`` or ``fr+f3``.
        rate: Words per minute, 80 to 450.
        pitch: Pitch, 0 to 100.
    """

    name: str
    rate: int = 160
    pitch: int = 50


def speak(text: str, voice: Voice) -> tuple[npt.NDArray[np.int16], int]:
    """Synthesise speech; the same text in the same voice gives the same samples.

    espeak-ng keeps counters in static variables that change the samples of the next utterance, even
    after its termination. Each utterance therefore loads a fresh copy of the library.

    Returns:
        Mono samples (n,) of full scale 32,768, and their rate in Hz (22,050).

    Raises:
        MissingExtraError: Without the extra ``[demo]``.
        InputError: If espeak-ng has no such voice.
    """
    loader = require("espeakng_loader", extra="demo")
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        copy = Path(folder) / "library.so"
        shutil.copyfile(loader.get_library_path(), copy)
        data = Path(folder) / "espeak-ng-data"  # a short path: espeak-ng truncates long ones
        data.symlink_to(loader.get_data_path(), target_is_directory=True)
        library = ctypes.CDLL(str(copy))
        try:
            return _say(library, data, text, voice)
        finally:
            library.espeak_Terminate()


def _say(library: Any, data: Path, text: str, voice: Voice) -> tuple[npt.NDArray[np.int16], int]:
    rate: int = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DO_NOT_EXIT)
    if rate <= 0:
        raise InputError(f"espeak-ng did not start (status {rate}); reinstall espeakng-loader.")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    blocks: list[npt.NDArray[np.int16]] = []

    def take(samples: Any, count: int, events: Any) -> int:  # noqa: ARG001  # espeak-ng's signature
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )
    callback = kind(take)  # keep a reference as long as it may be called
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise InputError(f"espeak-ng has no voice named {voice.name!r}; try 'en-us' or 'fr'.")
    library.espeak_SetParameter(_RATE, voice.rate, 0)
    library.espeak_SetParameter(_PITCH, voice.pitch, 0)
    encoded = text.encode()
    status = library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
    if status != 0 or not blocks:
        raise InputError(f"espeak-ng could not synthesise {text!r} (status {status}).")
    return np.concatenate(blocks), rate
