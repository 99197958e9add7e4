"""Measured facts of a media file."""

from __future__ import annotations

from theval_datasets.utils.records import Int64, Record


class MediaFacts(Record, frozen=True):
    """Measured facts of a file, not what its header promises.

    Attributes:
        duration: Length of the video in seconds: the last frame's time plus its length.
        fps: Frames a second, (n - 1) / (last time - first time); None for a single frame.
        width: Width as displayed, in square pixels.
        height: Height as displayed, in pixels.
        n_frames: Number of frames from the first that decodes on, without those that the container
            discards.
        rotation: Degrees counter-clockwise by which the frames are turned upright: 0, 90, 180, 270.
        variable_rate: Whether frame intervals differ by more than a tenth of their median.
        video_codec: Video codec by its name in FFmpeg.
        audio_codec: Audio codec by its name in FFmpeg; None without audio.
        audio_rate: Sampling rate of the audio in the file, in Hz.
        audio_channels: Number of audio channels in the file.
        audio_start: Seconds from the first video frame to the first audio sample; may be negative.
        audio_duration: Length of the audio in seconds, as the stream declares it; None if unknown.
        n_bytes: Size of the file in bytes.
        truncated: Problems met while the file was read, or what it lacks; None if it is whole.
        mirrored: Whether left and right are exchanged before frames are turned upright.
        pixel_aspect: Width of a stored pixel over its height, as ``64:45``; None where it is 1.
            `width` and `height` are in square pixels.
        interlaced: Whether the first frame holds two fields; frames are deinterlaced.
        transfer: `PQ` or `HLG`, which are mapped to SDR; None for SDR.
    """

    duration: float
    fps: float | None
    width: Int64
    height: Int64
    n_frames: Int64
    rotation: Int64
    variable_rate: bool
    video_codec: str
    audio_codec: str | None
    audio_rate: Int64 | None
    audio_channels: Int64 | None
    audio_start: float | None
    audio_duration: float | None
    n_bytes: Int64
    truncated: str | None = None
    mirrored: bool = False
    pixel_aspect: str | None = None
    interlaced: bool = False
    transfer: str | None = None

    @property
    def picture(self) -> SourcePicture:
        """How its pictures are stored.

        Examples:
            >>> facts = MediaFacts(
            ...     duration=2.0, fps=25.0, width=1080, height=1920, n_frames=50, rotation=90,
            ...     variable_rate=False, video_codec="h264", audio_codec=None, audio_rate=None,
            ...     audio_channels=None, audio_start=None, audio_duration=None, n_bytes=120_000,
            ... )
            >>> facts.picture.rotation, facts.picture.interlaced
            (90, False)
        """
        return SourcePicture(
            rotation=self.rotation,
            mirrored=self.mirrored,
            pixel_aspect=self.pixel_aspect,
            interlaced=self.interlaced,
            transfer=self.transfer,
        )


class SourcePicture(Record, frozen=True):
    """How the pictures of a source are stored, according to its first frame that decodes.

    Clips cut from the source are stored as displayed, so their own facts do not show this.

    Attributes:
        rotation: Degrees counter-clockwise by which frames are turned upright: 0, 90, 180, 270.
        mirrored: Whether left and right are exchanged before they are turned upright.
        pixel_aspect: Width of a stored pixel over its height, as ``64:45``; None where it is 1.
        interlaced: Whether the first frame holds two fields.
        transfer: `PQ` or `HLG`; None for SDR.
    """

    rotation: Int64 = 0
    mirrored: bool = False
    pixel_aspect: str | None = None
    interlaced: bool = False
    transfer: str | None = None
