"""What is measured of a media file."""

from __future__ import annotations

from theval_datasets.utils.records import Int64, Record


class MediaFacts(Record, frozen=True):
    """What was measured of a file, not what its header promises.

    Attributes:
        duration: Seconds of video: last frame's time plus its length.
        fps: Frames a second, (n - 1) / (last time - first time); None for a single frame.
        width: Square pixels, as displayed.
        height: Pixels, as displayed.
        n_frames: Frames from the first that decodes on, without those the container discards.
        rotation: Degrees counter-clockwise by which the frames are turned upright: 0, 90, 180, 270.
        variable_rate: Whether frame intervals differ by more than a tenth of their median.
        video_codec: FFmpeg's name.
        audio_codec: FFmpeg's name; None without audio.
        audio_rate: Hz, in the file.
        audio_channels: In the file.
        audio_start: Seconds from the first video frame to the first audio sample; may be negative.
        audio_duration: Seconds, as the stream declares it; None if unknown.
        n_bytes: Size of the file.
        truncated: What went wrong while reading the file, or what it lacks; None when whole.
        mirrored: Whether left and right are exchanged before it is turned upright.
        pixel_aspect: Width of a stored pixel over its height, as ``64:45``; None where it is 1.
            `width` and `height` are in square pixels.
        interlaced: Whether its first frame holds two fields; frames are deinterlaced.
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
        """How its pictures are stored."""
        return SourcePicture(
            rotation=self.rotation,
            mirrored=self.mirrored,
            pixel_aspect=self.pixel_aspect,
            interlaced=self.interlaced,
            transfer=self.transfer,
        )


class SourcePicture(Record, frozen=True):
    """How the pictures of a source are stored, as its first frame that decodes says.

    A clip that is cut out of it shows them as a player does, so that its own facts do not tell.

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
