"""Alpha beside the pictures of VP8 and VP9: parts of a file that lack it, and what is read instead."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.media import frame_index, open_video, probe, read_frames
from theval_datasets.media._alpha import _has_alpha_layer, alpha_of, has_alpha
from theval_datasets.media._open import open_container, video_stream

_WHITE = "color=white:size=64x48:rate=25:duration=1,format=yuva420p"
_CODECS = {"vp8": ["libvpx", "-auto-alt-ref", "0"], "vp9": ["libvpx-vp9"]}
_FAST = ["-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "12"]


def part(folder: Path, codec: str, transparent: bool) -> Path:
    """25 white frames, of which the left half is transparent or none."""
    path = folder / f"{codec}-{transparent}.webm"
    filters = ",geq=lum='lum(X,Y)':cb=128:cr=128:a='255*gte(X,W/2)'" if transparent else ""
    form = "yuva420p" if transparent else "yuv420p"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        _WHITE + filters,
        "-c:v",
        *_CODECS[codec],
        *_FAST,
        "-pix_fmt",
        form,
        path,
    )
    return path


def joined(folder: Path, codec: str, *transparent: bool) -> Path:
    """Parts with and without alpha in one file that says that it has alpha, as browsers record them."""
    name = "".join("o-"[t] for t in transparent)
    listing = folder / f"{name}.txt"
    listing.write_text("".join(f"file '{part(folder, codec, t)}'\n" for t in transparent))
    path = folder / f"{codec}-{name}.webm"
    ffmpeg(
        "-f",
        "concat",
        "-safe",
        "0",
        "-i",
        listing,
        "-c",
        "copy",
        "-metadata:s:v",
        "alpha_mode=1",
        path,
    )
    return path


def shades(path: Path) -> tuple[np.ndarray, str | None]:
    """Mean of the left and of the right half of each frame, (n, 2), and the remarks."""
    with open_video(path) as video:
        frames = list(itertools.chain.from_iterable(batch.pixels for batch in video.frames()))
        problem = video.problem
    return np.array([(frame[:, :28].mean(), frame[:, 36:].mean()) for frame in frames]), problem


def agree(path: Path, folder: Path) -> None:
    """Single frames, and those of a cut, are those of a sequential pass."""
    index = frame_index(path)
    everything, _ = shades(path)
    assert len(index.times) == len(everything) == probe(path).n_frames
    for i in (0, 12, 13, len(everything) - 1):
        (frame,) = read_frames(path, [i], index).pixels
        assert (frame[:, :28].mean(), frame[:, 36:].mean()) == tuple(everything[i])
    piece = Piece(float(index.times[7]), float(index.times[-4]))
    facts = cut(path, piece, folder / "cut.mp4", Encoding(preset="ultrafast"))
    assert facts.n_frames == len(everything) - 11
    assert shades(folder / "cut.mp4")[0] == pytest.approx(everything[7:-4], abs=3)


@pytest.mark.parametrize("codec", _CODECS)
def test_transparent_parts_are_black(tmp_path, codec):
    path = part(tmp_path, codec, True)
    found, problem = shades(path)
    assert problem is None
    assert found == pytest.approx(np.tile([0.0, 255.0], (25, 1)), abs=3)
    agree(path, tmp_path)


@pytest.mark.parametrize("codec", _CODECS)
def test_alpha_may_begin_late(tmp_path, codec):
    path = joined(tmp_path, codec, False, True)
    found, problem = shades(path)
    assert problem is None
    assert found[:, 0] == pytest.approx([255.0] * 25 + [0.0] * 25, abs=3)
    assert found[:, 1] == pytest.approx([255.0] * 50, abs=3)
    agree(path, tmp_path)


@pytest.mark.parametrize("codec", _CODECS)
def test_alpha_that_ends_is_not_shown_and_it_is_said(tmp_path, codec):
    """libvpx shows no picture where the alpha is missing; every frame is worth more than the alpha."""
    path = joined(tmp_path, codec, True, False, True)
    found, problem = shades(path)
    assert found == pytest.approx(np.full((75, 2), 255.0), abs=3)
    assert problem == "transparency ends at 1.000 s: none is shown"
    assert probe(path).truncated == problem
    agree(path, tmp_path)


@pytest.mark.parametrize("codec", _CODECS)
def test_a_file_that_only_says_that_it_has_alpha_is_ordinary(tmp_path, codec):
    path = joined(tmp_path, codec, False)
    with open_container(path) as container:
        stream = video_stream(container, path)
        assert {name.lower() for name in stream.metadata} >= {"alpha_mode"}
        assert alpha_of(stream).decoder is None
    assert shades(path)[1] is None
    assert frame_index(path).seekable
    agree(path, tmp_path)


def test_a_pyav_that_cannot_read_it_says_so(tmp_path, monkeypatch):
    path = part(tmp_path, "vp9", True)
    monkeypatch.setattr(av, "Packet", object)
    found, problem = shades(path)
    assert found == pytest.approx(np.full((25, 2), 255.0), abs=3)
    assert problem == "transparency is not shown: PyAV 16 or later reads it"


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("form", ["yuva420p", "yuv420p"])
def test_alpha_of_hevc_is_not_shown_and_it_is_said(tmp_path, form, suffix):
    path = tmp_path / f"a{suffix}"
    ffmpeg("-f", "lavfi", "-i", f"{_WHITE},geq=lum='lum(X,Y)':cb=128:cr=128:a='255*gte(X,W/2)'",
           "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", form, path)  # fmt: skip
    found, problem = shades(path)
    assert found == pytest.approx(np.full((25, 2), 255.0), abs=3)
    expected = "transparency is not shown: the decoder of HEVC does not read it"
    assert problem == (expected if form == "yuva420p" else None)
    assert probe(path).truncated == problem
    agree(path, tmp_path)


def _header(*messages: bytes) -> bytes:
    """An `hvcC` with one array of SEI units, one message each."""
    units = b"".join((len(m) + 2).to_bytes(2, "big") + b"\x4e\x01" + m for m in messages)
    return b"\x01" + bytes(21) + b"\x01" + bytes([39]) + len(messages).to_bytes(2, "big") + units


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", False),
        (_header(), False),
        (_header(b"\xa5\x01\x7f\x80"), True),
        (_header(b"\xa4\x01\x7f\x80"), False),
        (_header(b"\x05\x02\xa5\x01\x80"), False),  # within another message
        (_header(b"\x05\xff\x01" + bytes(256) + b"\xa5\x01\x7f\x80"), True),  # after a long one
        (_header(b"\x05\x01\x00\x80", b"\xa5\x01\x7f\x80"), True),
        (_header(b"\x05\x01\x00\x80", b"\xa5\x01\x7f\x80")[:30], False),  # cut off
        (b"\x00\x00\x00\x01" + _header(b"\xa5\x01\x7f\x80"), False),  # not an hvcC
    ],
)
def test_the_message_of_an_alpha_layer_is_found(header, expected):
    assert _has_alpha_layer(header) == expected


@pytest.mark.parametrize("length", range(40))
def test_headers_that_are_cut_off_or_lie_are_no_fault(length):
    header = _header(b"\x05\x01\x00\x80", b"\x05\xff\xff")
    assert not _has_alpha_layer(header[:length])
    assert not _has_alpha_layer(header[:22] + b"\xff\x27\xff\xff" + header[26 : max(26, length)])


def test_every_pixel_format_with_alpha_is_known():
    formats = {name: av.VideoFormat(name, 16, 16) for name in av.video.format.names}
    assert {name for name in formats if has_alpha(name)} == {
        name
        for name, one in formats.items()
        if one.has_palette or any(component.is_alpha for component in one.components)
    }
