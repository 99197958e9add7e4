"""Pictures are what a player shows: compared with what the bundled ffmpeg itself makes of a file."""

from __future__ import annotations

import itertools
import struct
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from media_factory import ffmpeg
from PIL import Image

from theval_datasets import errors
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.media import ffmpeg_binary, frame_index, open_video, probe, read_frames
from theval_datasets.media._display import Orientation, over_black

_SCENE = "testsrc2=size={size}:rate=25:duration=2"
_X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-pix_fmt", "yuv420p", "-g", "12"]
_PQ = "zscale=tin=bt709:min=bt709:pin=bt709:rin=limited:t={0}:m=2020_ncl:p=2020:npl=200,format=yuv420p10le"
_SQUARE = "scale=trunc(iw*sar/2+0.5)*2:ih:flags=bicubic,setsar=1"
_SDR = (
    "scale=out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=limited"
    ":flags=bicubic+accurate_rnd+bitexact,format=yuv420p"
)
_WEAVE = "bwdif=mode=send_frame:parity=auto:deint=interlaced"


def _scene(path: Path, *options: str, size: str = "176x144", filters: str = "") -> None:
    ffmpeg("-f", "lavfi", "-i", _SCENE.format(size=size) + filters, *options, path)


def _matrix(path: Path, *options: str) -> None:
    """The scene with a display matrix."""
    plain = path.with_name("plain.mp4")
    _scene(plain, *_X264)
    ffmpeg(*options, "-i", plain, "-c", "copy", path)


def _hdr(path: Path, transfer: str, name: str) -> None:
    tags = f"log-level=none:colorprim=bt2020:transfer={name}:colormatrix=bt2020nc"
    _scene(path, "-c:v", "libx265", "-x265-params", tags, "-color_primaries", "bt2020",
           "-color_trc", name, "-colorspace", "bt2020nc", filters="," + _PQ.format(transfer))  # fmt: skip


_TRANSPARENT = ",format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*X/W'"
_OVER_BLACK = (
    "format=rgba,split[a][b];[a]format=gbrp,drawbox=c=black:t=fill[k];[k][b]overlay=format=rgb"
)
_VP8 = ["-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0", "-deadline", "realtime",
        "-cpu-used", "8", "-b:v", "1M", "-g", "12"]  # fmt: skip
_VP9 = ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-deadline", "realtime", "-cpu-used", "8",
        "-b:v", "1M", "-g", "12"]  # fmt: skip


def _transparent(path: Path, *options: str, more: str = "") -> None:
    """The scene, more and more opaque from left to right."""
    _scene(path, *options, filters=_TRANSPARENT + more)


def _turned_webm(path: Path) -> None:
    straight = path.with_name("straight.webm")
    _transparent(straight, *_VP9)
    ffmpeg("-display_rotation", "90", "-i", straight, "-c", "copy", path)


def _clean_aperture(
    path: Path, width: int, height: int, *offset: int, turned: bool = False
) -> None:
    """The scene in MP4 with a box `clap`: its size, and numerators and denominator of its offset."""
    plain, source = path.with_name("plain.mp4"), path.with_name("source.mp4")
    _scene(plain, *_X264)
    ffmpeg(*(["-display_rotation", "90"] if turned else []), "-i", plain, "-c", "copy", source)
    right, down, scale = offset or (0, 0, 1)
    box = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, right, scale, down, scale)
    data = bytearray(source.read_bytes())
    begin, end, outer = 0, len(data), []
    for name, head in zip(
        ("moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"),
        (8, 8, 8, 8, 8, 16, 0),
        strict=True,
    ):
        at = begin
        while data[at + 4 : at + 8] != name.encode():
            at += int.from_bytes(data[at : at + 4], "big")
        outer.append(at)
        begin, end = at + head, at + int.from_bytes(data[at : at + 4], "big")
    data[end:end] = box
    for at in outer:
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(box)).to_bytes(4, "big")
    path.write_bytes(data)


def _pixel_crop(path: Path) -> None:
    _clean_aperture(path.with_name("aperture.mp4"), 160, 140, 2, 0, 1)
    ffmpeg("-i", path.with_name("aperture.mp4"), "-c", "copy", path)


# Name to: how the file is made, its suffix, ffmpeg's filters that show it, size as displayed.
KINDS = {
    "square": (lambda p: _scene(p, *_X264), ".mp4", "", (176, 144)),
    "pal": (lambda p: _scene(p, *_X264, size="720x576", filters=",setsar=64/45"), ".mp4", _SQUARE, (1024, 576)),
    "ntsc-narrow": (lambda p: _scene(p, *_X264, size="352x240", filters=",setsar=10/11"), ".mp4", _SQUARE, (320, 240)),
    "anamorphic-turned": (
        lambda p: (_scene(p.with_name("a.mp4"), *_X264, filters=",setsar=12/11"),
                   ffmpeg("-display_rotation", "90", "-i", p.with_name("a.mp4"), "-c", "copy", p)),
        ".mp4", "scale=iw:trunc(ih/sar/2+0.5)*2:flags=bicubic,setsar=1", (144, 192)),
    "turned-90": (lambda p: _matrix(p, "-display_rotation", "90"), ".mp4", "", (144, 176)),
    "turned-180": (lambda p: _matrix(p, "-display_rotation", "180"), ".mp4", "", (176, 144)),
    "turned-270": (lambda p: _matrix(p, "-display_rotation", "270"), ".mp4", "", (144, 176)),
    "mirrored": (lambda p: _matrix(p, "-display_rotation", "0", "-display_hflip"), ".mp4", "", (176, 144)),
    "upside-down-mirror": (lambda p: _matrix(p, "-display_rotation", "0", "-display_vflip"), ".mp4", "", (176, 144)),
    "mirrored-turned": (lambda p: _matrix(p, "-display_rotation", "90", "-display_hflip"), ".mp4", "", (144, 176)),
    "turned-mirrored": (lambda p: _matrix(p, "-display_rotation", "270", "-display_hflip"), ".mp4", "", (144, 176)),
    "interlaced-h264": (
        lambda p: _scene(p, *_X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1",
                         filters=",fps=50,tinterlace=interleave_top,fieldorder=tff"),
        ".mp4", _WEAVE, (176, 144)),
    "interlaced-mpeg2": (
        lambda p: _scene(p, "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-b:v", "4M",
                         filters=",fps=50,tinterlace=interleave_top,fieldorder=tff"),
        ".ts", _WEAVE, (176, 144)),
    "camcorder": (  # DV of PAL, its bottom field first
        lambda p: _scene(p, "-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-aspect", "4:3", "-f", "dv", size="720x576",
                         filters=",fps=50,interlace=scan=bff:lowpass=0"),
        ".dv", f"{_WEAVE},scale=768:576:flags=bicubic,setsar=1", (768, 576)),
    "vhs": (  # 4:1:1, without compression
        lambda p: _scene(p, "-c:v", "ffv1", "-pix_fmt", "yuv411p", "-field_order", "bb", size="352x240",
                         filters=",fps=50,format=yuv411p,interlace=scan=bff:lowpass=0,setsar=10/11"),
        ".mkv", f"{_WEAVE},scale=320:240:flags=bicubic,setsar=1", (320, 240)),
    "y4m": (lambda p: _scene(p, "-pix_fmt", "yuv420p"), ".y4m", "", (176, 144)),
    "odd": (
        lambda p: _scene(p, "-c:v", "ffv1", "-pix_fmt", "yuv420p",
                         filters=",format=rgb24,crop=173:141:1:1:exact=1"), ".mkv", "", (173, 141)),
    "aperture": (lambda p: _clean_aperture(p, 160, 140), ".mp4", "", (160, 140)),
    "aperture-off-centre": (lambda p: _clean_aperture(p, 150, 130, 3, -3, 1), ".mp4", "", (150, 130)),
    "aperture-turned": (lambda p: _clean_aperture(p, 157, 139, turned=True), ".mp4", "", (138, 156)),
    "aperture-beyond": (lambda p: _clean_aperture(p, 170, 140, 30, 0, 1), ".mp4", "", (176, 144)),
    "pixel-crop": (_pixel_crop, ".mkv", "", (160, 140)),
    "hdr-pq": (lambda p: _hdr(p, "smpte2084", "smpte2084"), ".mp4", _SDR, (176, 144)),
    "hdr-hlg": (lambda p: _hdr(p, "arib-std-b67", "arib-std-b67"), ".mp4", _SDR, (176, 144)),
    "full-range": (
        lambda p: _scene(p, *_X264[:-4], "-pix_fmt", "yuvj420p", "-color_range", "pc"), ".mp4", "", (176, 144)),
    "bt709": (
        lambda p: _scene(p, *_X264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
                         filters=",scale=out_color_matrix=bt709"),
        ".mp4", "", (176, 144)),
    "alpha": (
        lambda p: _scene(p, "-c:v", "qtrle", filters=",format=argb,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='X'"),
        ".mov", _OVER_BLACK, (176, 144)),
    "alpha-vp8": (lambda p: _transparent(p, *_VP8), ".webm", _OVER_BLACK, (176, 144)),
    "alpha-vp9": (lambda p: _transparent(p, *_VP9), ".webm", _OVER_BLACK, (176, 144)),
    "alpha-vp9-mkv": (lambda p: _transparent(p, *_VP9), ".mkv", _OVER_BLACK, (176, 144)),
    "alpha-vp9-turned": (_turned_webm, ".webm", _OVER_BLACK, (144, 176)),
    "alpha-vp9-narrow": (
        lambda p: _transparent(p, *_VP9, more=",setsar=10/11"), ".webm",
        f"scale=160:144:flags=bicubic,setsar=1,{_OVER_BLACK}", (160, 144)),
    "alpha-prores": (
        lambda p: _transparent(p, "-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
        ".mov", _OVER_BLACK, (176, 144)),
    "alpha-png": (lambda p: _transparent(p, "-c:v", "png"), ".mov", _OVER_BLACK, (176, 144)),
    "alpha-apng": (lambda p: _transparent(p, "-plays", "0", "-f", "apng"), ".png", _OVER_BLACK, (176, 144)),
    "alpha-ffv1": (
        lambda p: _transparent(p, "-c:v", "ffv1", "-pix_fmt", "yuva420p"), ".mkv", _OVER_BLACK, (176, 144)),
    "alpha-gif": (
        lambda p: _transparent(p, more=",split[a][b];[a]palettegen=reserve_transparent=1[c];[b][c]paletteuse"),
        ".gif", _OVER_BLACK, (176, 144)),
    "apng": (lambda p: _scene(p, "-plays", "0", "-f", "apng"), ".png", "", (176, 144)),
}  # fmt: skip
DECODERS = {"alpha-vp8": "libvpx"} | dict.fromkeys(
    ("alpha-vp9", "alpha-vp9-mkv", "alpha-vp9-turned", "alpha-vp9-narrow"), "libvpx-vp9"
)
"""Kinds that ffmpeg by itself reads without their alpha."""


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    make, suffix, filters, size = KINDS[request.param]
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}{suffix}"
    make(path)
    return request.param, path, filters, size


def ffmpegs_own(
    path: Path, filters: str, size: tuple[int, int], decoder: str | None = None
) -> np.ndarray:
    """All frames as the bundled ffmpeg shows them, (n, height, width, 3)."""
    chain = f"{filters},format=rgb24" if filters else "format=rgb24"
    chosen = ["-c:v", decoder] if decoder else []
    command = [ffmpeg_binary(), "-v", "error", *chosen, "-i", str(path), "-vf", chain,
               "-fps_mode", "passthrough", "-f", "rawvideo", "-"]  # fmt: skip
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, size[1], size[0], 3)


def frames_of(path: Path) -> list[np.ndarray]:
    with open_video(path) as video:
        return list(itertools.chain.from_iterable(batch.pixels for batch in video.frames()))


def test_frames_are_those_that_ffmpeg_shows(kind):
    name, path, filters, size = kind
    shown = ffmpegs_own(path, filters, size, DECODERS.get(name))
    frames = frames_of(path)
    assert len(frames) == len(shown) == probe(path).n_frames > 40
    assert {frame.shape for frame in frames} == {(size[1], size[0], 3)}
    for ours, theirs in zip(frames, shown, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 1


@pytest.mark.parametrize("height", [72, 37, 9])
def test_small_pictures_show_what_the_whole_ones_show(kind, height):
    _, path, _, size = kind
    shape = (height, max(1, round(size[0] * height / size[1])), 3)
    with open_video(path) as video:
        for batch in video.frames():
            for i, whole in enumerate(batch.pixels):
                small = batch.pixels.scaled(i, height)
                assert small.shape == shape
                wanted = cv2.resize(whole, shape[1::-1], interpolation=cv2.INTER_AREA)
                blurred = [cv2.blur(picture, (5, 5)).astype(int) for picture in (small, wanted)]
                assert np.abs(blurred[0] - blurred[1]).mean() < 4
                assert np.abs(small.mean((0, 1)) - wanted.mean((0, 1))).max() < 5


@pytest.mark.parametrize("height", [144, 145, 1000])
def test_pictures_are_never_enlarged(tmp_path, height):
    path = tmp_path / "clip.mp4"
    _scene(path, *_X264)
    with open_video(path) as video:
        batch = next(video.frames())
        assert np.array_equal(batch.pixels.scaled(3, height), batch.pixels[3])
        assert batch.pixels.scaled(3, 143).shape == (143, 175, 3)
        assert batch.pixels.scaled(3, 1).shape == (1, 1, 3)


def test_single_frames_are_shown_alike(kind):
    _, path, _, _ = kind
    frames = frames_of(path)
    index = frame_index(path)
    for wanted in ([0], [len(frames) - 1], [13, 14, 40]):
        found = read_frames(path, wanted, index).pixels
        assert all((frames[i] == one).all() for i, one in zip(wanted, found, strict=True))


def test_facts_say_what_was_done(kind):
    name, path, _, size = kind
    facts = probe(path)
    assert (facts.width, facts.height) == size
    aspects = {
        "pal": "64:45",
        "ntsc-narrow": "10:11",
        "anamorphic-turned": "12:11",
        "alpha-vp9-narrow": "10:11",
        "camcorder": "16:15",
        "vhs": "10:11",
    }
    assert facts.pixel_aspect == aspects.get(name)
    assert facts.interlaced == (name.startswith("interlaced") or name in ("camcorder", "vhs"))
    assert facts.transfer == {"hdr-pq": "PQ", "hdr-hlg": "HLG"}.get(name)
    turns = {
        "turned-90": 90,
        "turned-180": 180,
        "turned-270": 270,
        "anamorphic-turned": 90,
        "alpha-vp9-turned": 90,
        "aperture-turned": 90,
    }
    if name in turns or "mirror" not in name:
        assert (facts.mirrored, facts.rotation) == (False, turns.get(name, 0))
    else:
        assert facts.mirrored


def test_a_cut_clip_is_ordinary_and_shows_the_same(kind, tmp_path):
    name, path, _, size = kind
    index = frame_index(path)
    target = tmp_path / "clip.mp4"
    piece = Piece(float(index.times[10]), float(index.times[35]))
    facts = cut(path, piece, target, Encoding(crf=5, preset="ultrafast"))
    assert facts.n_frames == 25
    width, height = (side // 2 * 2 for side in size)
    assert (facts.width, facts.height) == (width, height)
    assert (facts.rotation, facts.mirrored, facts.interlaced) == (0, False, False)
    assert (facts.pixel_aspect, facts.transfer) == (None, None)
    source = frames_of(path)[10:35]
    for ours, theirs in zip(frames_of(target), source, strict=True):
        even = np.array(Image.fromarray(theirs).resize((width, height), Image.Resampling.BICUBIC))
        assert np.abs(ours.astype(int) - even).mean() < 5, name


def test_all_eight_orientations_agree_with_their_facts():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for flags in itertools.product([False, True], repeat=3):
        orientation = Orientation(*flags)
        flipped = picture[:, ::-1] if orientation.mirrored else picture
        expected = np.rot90(flipped, orientation.degrees // 90)
        assert (orientation.apply(picture) == expected).all()


def test_transparent_parts_are_black():
    rgba = np.array([[[200, 100, 50, 0], [200, 100, 50, 255], [200, 100, 50, 128]]], np.uint8)
    assert over_black(rgba).tolist() == [[[0, 0, 0], [200, 100, 50], [100, 50, 25]]]


def test_a_still_with_transparency_is_over_black(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.putpixel((3, 4), (10, 20, 30, 255))
    image.save(tmp_path / "a.png")
    (frame,) = frames_of(tmp_path / "a.png")
    assert frame[4, 3].tolist() == [10, 20, 30]
    assert frame.sum() == 60


def test_an_animated_webp_is_refused_with_its_reason(tmp_path):
    frames = [Image.new("RGB", (16, 16), (i * 40, 0, 0)) for i in range(4)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(errors.NotMediaError, match="animated webp"):
        probe(path)
    frames[0].save(tmp_path / "still.webp")
    assert probe(tmp_path / "still.webp").n_frames == 1


def test_hdr_of_ten_bits_is_mapped_without_banding(tmp_path):
    """A ramp over 256 neighbouring values of 10 bits; rounded to 8 first, they would be 64."""
    path = tmp_path / "ramp.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=512x64:r=25:d=0.2,format=yuv420p10le"),
        *("-vf", "geq=lum='300+floor(X/2)':cb=512:cr=512", "-c:v", "libx265", "-x265-params"),
        "log-level=none:lossless=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
        path,
    )
    row = frames_of(path)[0][32, :, 1].astype(int)
    eight = ffmpegs_own(path, f"format=yuv420p,{_SDR}", (512, 64))[0][32, :, 1].astype(int)
    assert len(np.unique(eight)) < 110 < len(np.unique(row))
    assert np.diff(row).max() <= 2 < np.diff(eight).max()


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "ffv1"])
@pytest.mark.parametrize("span", ["pc", "tv"])
def test_stored_frames_are_those_that_opencv_reads(tmp_path, codec, span):
    """OpenCV heeds the range that a pixel format names, not the one that a file states."""
    import cv2

    path = tmp_path / "a.mkv"
    more = ["-deadline", "realtime", "-cpu-used", "8"] if codec == "libvpx-vp9" else []
    _scene(path, "-c:v", codec, *more, "-pix_fmt", "yuv420p", "-color_range", span, "-t", "0.4",
           filters=f",scale=out_range={span}:out_color_matrix=bt601")  # fmt: skip
    with open_video(path) as video:
        batches = list(video.frames(stored=True))
    stored = list(itertools.chain.from_iterable(batch.stored for batch in batches))
    shown = list(itertools.chain.from_iterable(batch.pixels for batch in batches))
    capture = cv2.VideoCapture(str(path))
    for one in stored:
        read, picture = capture.read()
        assert read
        assert (picture[..., ::-1] == one).all()
    assert not capture.read()[0]
    names_range = codec == "libx264"  # its full range is a pixel format of its own, yuvj420p
    same = all((a == b).all() for a, b in zip(stored, shown, strict=True))
    assert same == (span == "tv" or names_range)
