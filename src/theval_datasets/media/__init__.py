"""The only package that opens video and audio.

Everything downstream sees frames with measured timestamps, and audio on the same timeline. Second 0
is the first video frame. Frames are upright (rotation applied) and RGB.

Two decoders stand behind one interface. PyAV is cheaper for reading in sequence, and the only one
that reports what does not decode; decord is faster for single frames far apart, with codecs in which
it seeks correctly. Both return the same pixels for the same frame. ffmpeg (the pinned binary of
imageio-ffmpeg, or `THEVAL_FFMPEG`) resamples audio.

Files are untrusted: containers that refer to other files or addresses (playlists, concat scripts)
are not opened, only the `file` protocol is allowed, and sizes are limited.
"""

from ._audio import SILENCE_FOR_GAPS, has_sound, read_audio
from ._open import LIMITS, Limits, decoder_version, ffmpeg_binary, safe_input_options
from ._pictures import Pictures
from ._probe import CuttingFacts, cutting_facts, probe, source_picture
from ._seek import read_frames, sample_frames
from ._timeline import FrameIndex, SlotPicker, Timeline, frame_index, timeline
from ._video import Video, open_video

__all__ = [
    "LIMITS",
    "SILENCE_FOR_GAPS",
    "CuttingFacts",
    "FrameIndex",
    "Limits",
    "Pictures",
    "SlotPicker",
    "Timeline",
    "Video",
    "cutting_facts",
    "decoder_version",
    "ffmpeg_binary",
    "frame_index",
    "has_sound",
    "open_video",
    "probe",
    "read_audio",
    "read_frames",
    "safe_input_options",
    "sample_frames",
    "source_picture",
    "timeline",
]
