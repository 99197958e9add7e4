"""yt-dlp itself against a real server on this machine."""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from media_factory import ffmpeg
from web import content, serving, status

pytest.importorskip("yt_dlp", reason="fetching needs the extra [youtube]")

from theval_datasets.commands.curate import curate
from theval_datasets.curation.sources.base import SourceFailure, SourceFile
from theval_datasets.curation.sources.fetching import fetch as fetching
from theval_datasets.curation.sources.fetching import options as _options
from theval_datasets.curation.sources.fetching import waiting
from theval_datasets.curation.sources.fetching.fetch import Fetcher
from theval_datasets.curation.sources.fetching.ledger import Ledger, LedgerEntry
from theval_datasets.curation.sources.fetching.options import FetchOptions
from theval_datasets.curation.sources.http import Http
from theval_datasets.curation.sources.youtube import Youtube
from theval_datasets.errors import InputError, StorageError
from theval_datasets.manifest.rows import Source, read_manifest, read_rows
from theval_datasets.media import probe
from theval_datasets.utils.files import sha256_file

HERE = FetchOptions(allow_private_addresses=True, retries=2, min_free=0)


# yt-dlp leaves responses of failed requests to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _tidy():
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for module in (_options, waiting):
        monkeypatch.setattr(module, "back_off", lambda n: 0.0)


def fetched(folder):
    """Whole files that came."""
    return [path for path in folder.glob("sources/*") if path.is_file()]


def fetch(url, folder, options=HERE, **more):
    with Fetcher(folder, options, **more) as fetcher:
        return list(fetcher.fetch(url))


def put(web, media, name, path=None):
    target = web.folder / (path or f"{name}.mp4")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(media(name).read_bytes())
    return f"{web.url}/{target.relative_to(web.folder).as_posix()}"


def test_a_plain_file_comes_as_it_is(web, media, tmp_path):
    url = put(web, media, "plain")
    (entry,) = fetch(url, tmp_path / "out")
    assert entry.reason is None
    assert sha256_file(tmp_path / "out" / entry.file) == sha256_file(media("plain"))
    assert entry.file == f"sources/{entry.name}.mp4"
    assert entry.origin.location == url
    assert entry.origin.sha256 == sha256_file(media("plain"))
    assert entry.origin.fetched_at
    assert list((tmp_path / "out/sources/.parts").iterdir()) == []


def test_nothing_is_fetched_twice(web, media, tmp_path):
    url = put(web, media, "plain")
    first = fetch(url, tmp_path)
    asked = len(web.log)
    assert fetch(url, tmp_path) == first
    assert len(web.log) == asked
    (tmp_path / first[0].file).unlink()
    assert fetch(url, tmp_path)[0].file == first[0].file
    assert len(web.log) > asked


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "text/plain", "text/html", "image/png"]
)
def test_a_wrong_content_type_does_not_matter(web, media, tmp_path, kind):
    web.answers["/clip.mp4"] = content(media("plain").read_bytes(), kind)
    (entry,) = fetch(f"{web.url}/clip.mp4", tmp_path)
    assert entry.reason is None
    assert entry.file.endswith(".mp4")
    assert probe(tmp_path / entry.file).n_frames == 50


def test_redirects_are_followed_and_the_first_address_is_kept(web, media, tmp_path):
    put(web, media, "plain", "real/clip.mp4")
    web.answers["/short"] = status(302, Location="/hop")
    web.answers["/hop"] = status(301, Location="/real/clip.mp4")
    (entry,) = fetch(f"{web.url}/short", tmp_path)
    assert entry.reason is None
    assert entry.origin.location == f"{web.url}/short"


@pytest.mark.parametrize(
    ("code", "reason"),
    [(403, "private"), (404, "removed"), (410, "removed"), (451, "region"), (500, "network")],
)
def test_an_http_error_is_a_row_with_its_reason(web, tmp_path, code, reason):
    web.answers["/clip.mp4"] = status(code)
    (entry,) = fetch(f"{web.url}/clip.mp4", tmp_path)
    assert (entry.reason, entry.file) == (reason, None)
    assert entry.origin.fetched_at
    assert Ledger(tmp_path).find(f"{web.url}/clip.mp4") == entry


def test_what_is_gone_is_asked_for_again_only_on_request(web, media, tmp_path):
    url = f"{web.url}/plain.mp4"
    assert fetch(url, tmp_path)[0].reason == "removed"
    put(web, media, "plain")
    asked = len(web.log)
    assert fetch(url, tmp_path)[0].reason == "removed"
    assert len(web.log) == asked
    again = FetchOptions(allow_private_addresses=True, retry=True)
    assert fetch(url, tmp_path, again)[0].reason is None
    assert fetch(url, tmp_path)[0].reason is None


def test_too_many_requests_waits_as_told(web, media, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetching.time, "sleep", pauses.append)
    body = media("plain").read_bytes()
    calls = []

    def answer(request):
        calls.append(request.path)
        (status(429, Retry_After="7") if len(calls) == 1 else content(body, "video/mp4"))(request)

    web.answers["/clip.mp4"] = answer
    (entry,) = fetch(f"{web.url}/clip.mp4", tmp_path)
    assert entry.reason is None
    assert 7.0 in pauses
    web.answers["/never.mp4"] = status(429, Retry_After="3")
    (entry,) = fetch(f"{web.url}/never.mp4", tmp_path)
    assert entry.reason == "rate-limited"
    assert pauses.count(3.0) == HERE.retries


def test_a_site_that_detects_automated_access_gets_no_further_requests(
    web, media, tmp_path, caplog
):
    refuse = status(403, cf_mitigated="challenge")
    names = [f"{n}.mp4" for n in range(fetching._ENOUGH + 3)]
    good = put(web, media, "plain")
    with Fetcher(tmp_path, HERE) as fetcher:

        def ask(name):
            web.answers[f"/{name}"] = refuse
            (entry,) = fetcher.fetch(f"{web.url}/{name}")
            return entry

        first = [ask(name) for name in names[:2]]
        assert next(fetcher.fetch(good)).reason is None  # so they were not in a row
        rest = [ask(name) for name in names[2:]]
    assert {entry.reason for entry in first + rest} == {"bot-check"}
    asked = {path.strip("/") for _, path, _ in web.log}
    assert asked.isdisjoint(names[fetching._ENOUGH + 2 :])
    assert asked.issuperset(names[: fetching._ENOUGH + 2])
    assert "not requested" in rest[-1].detail
    assert caplog.text.count("no further requests") == 1


def test_a_connection_that_breaks_in_mid_file_is_taken_up_where_it_broke(web, media, tmp_path):
    body = media("plain").read_bytes()
    ranges = []

    def answer(request):
        wanted = request.headers.get("Range")
        first = int(wanted[6:].partition("-")[0]) if wanted else 0
        ranges.append(first)
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Type", "video/mp4")
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(len(body) - first))
        if wanted:
            request.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        request.end_headers()
        request.close_connection = True
        if request.command != "HEAD":
            request.wfile.write(body[first : first + 40_000])  # and then the line is dead

    web.answers["/clip.mp4"] = answer
    options = FetchOptions(allow_private_addresses=True, retries=8, min_free=0)
    (entry,) = fetch(f"{web.url}/clip.mp4", tmp_path, options)
    assert entry.reason is None
    assert (tmp_path / entry.file).read_bytes() == body
    assert len({first for first in ranges if first}) >= 2


@pytest.fixture
def hls(web, media):
    folder = web.folder / "hls"
    folder.mkdir()
    ffmpeg(
        "-i", media("plain"), "-c", "copy", "-f", "hls", "-hls_time", "0.5",
        "-hls_playlist_type", "vod", "-hls_segment_filename", folder / "a%d.ts", folder / "a.m3u8",
    )  # fmt: skip
    return folder


def test_an_hls_playlist_becomes_one_file(web, hls, tmp_path):
    assert len(list(hls.glob("*.ts"))) >= 3
    (entry,) = fetch(f"{web.url}/hls/a.m3u8", tmp_path)
    assert entry.reason is None, entry.detail
    assert entry.file.endswith(".ts")
    assert probe(tmp_path / entry.file).n_frames == 50


def test_a_lost_segment_is_a_failure_not_a_shorter_clip(web, hls, tmp_path):
    sorted(hls.glob("*.ts"))[1].unlink()
    (entry,) = fetch(f"{web.url}/hls/a.m3u8", tmp_path)
    assert entry.reason == "removed"
    assert fetched(tmp_path) == []


def test_separate_streams_of_dash_are_joined(web, media, tmp_path):
    folder = web.folder / "dash"
    folder.mkdir()
    ffmpeg(
        "-i", media("plain"), "-c", "copy", "-f", "dash", "-seg_duration", "1", folder / "a.mpd",
    )  # fmt: skip
    (entry,) = fetch(f"{web.url}/dash/a.mpd", tmp_path / "out")
    assert entry.reason is None, entry.detail
    facts = probe(tmp_path / "out" / entry.file)
    assert (facts.n_frames, facts.audio_codec) == (50, "aac")
    assert entry.file.endswith(".mp4")


def test_the_best_format_up_to_the_height_is_taken(web, media, tmp_path):
    folder = web.folder / "ladder"
    folder.mkdir()
    lines = ["#EXTM3U"]
    for height in (72, 120, 240):
        name = f"v{height}"
        ffmpeg(
            "-i", media("plain"), "-vf", f"scale=-2:{height}", "-c:v", "libx264", "-preset",
            "ultrafast", "-c:a", "aac", "-f", "hls", "-hls_playlist_type", "vod", folder / f"{name}.m3u8",
        )  # fmt: skip
        width = height * 4 // 3
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={height * 9000},RESOLUTION={width}x{height}",
            f"{name}.m3u8",
        ]
    (folder / "all.m3u8").write_text("\n".join(lines) + "\n")
    options = FetchOptions(allow_private_addresses=True, max_height=130, min_free=0)
    (entry,) = fetch(f"{web.url}/ladder/all.m3u8", tmp_path, options)
    assert probe(tmp_path / entry.file).height == 120


def test_a_page_without_video_is_said_to_have_none(web, tmp_path):
    web.answers["/page"] = content(b"<html><body>Nothing here.</body></html>", "text/html")
    (entry,) = fetch(f"{web.url}/page", tmp_path)
    assert entry.reason == "no-format"


def test_a_dead_server_is_a_network_failure(tmp_path):
    (entry,) = fetch("http://127.0.0.1:9/clip.mp4", tmp_path)
    assert entry.reason == "network"


def test_a_private_address_is_not_fetched_by_default(web, media, tmp_path):
    url = put(web, media, "plain")
    (entry,) = fetch(url, tmp_path, FetchOptions(retries=0))
    assert entry.reason == "private-address"
    assert web.log == []
    (entry,) = fetch(url, tmp_path, FetchOptions(retries=0))
    assert entry.reason == "private-address"
    assert web.log == []
    (entry,) = fetch(url, tmp_path, HERE)  # allowed now: the refusal is not remembered
    assert entry.reason is None


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("way", ["redirect", "segment", "playlist"])
def test_no_later_connection_leads_to_a_private_address(web, media, hls, tmp_path, way, allowed):
    """127.0.0.1 stands for the open internet here, 127.0.0.2 for the local network."""
    with serving(web.folder, "127.0.0.2") as inner:
        put(web, media, "plain")
        path = "/hls/a.m3u8"
        if way == "redirect":
            path = "/moved"
            web.answers[path] = status(302, Location=f"{inner.url}/plain.mp4")
        elif way == "segment":
            playlist = hls / "a.m3u8"
            playlist.write_text(playlist.read_text().replace("a1.ts", f"{inner.url}/hls/a1.ts"))
        else:
            path = "/hls/master.m3u8"
            line = "#EXT-X-STREAM-INF:BANDWIDTH=9000,RESOLUTION=64x48"
            (hls / "master.m3u8").write_text(f"#EXTM3U\n{line}\n{inner.url}/hls/a.m3u8\n")
        good = ("127.0.0.1", "127.0.0.2") if allowed else ("127.0.0.1",)
        (entry,) = fetch(web.url + path, tmp_path, HERE, allowed=lambda ip: ip in good)
        assert bool(inner.log) == allowed
    if allowed:  # the way itself works: it is the guard that stands in it otherwise
        assert entry.reason is None
    else:
        assert entry.reason == "private-address"
        assert "127.0.0.2" in entry.detail


@pytest.mark.parametrize(
    "segment", ["file:///etc/passwd", "/etc/passwd", "concat:/etc/passwd", "data:text/plain,secret"]
)
def test_a_playlist_cannot_name_files_of_this_machine(web, hls, tmp_path, segment):
    playlist = hls / "a.m3u8"
    playlist.write_text(playlist.read_text().replace("a1.ts", segment))
    (entry,) = fetch(f"{web.url}/hls/a.m3u8", tmp_path)
    if entry.file is not None:  # data: is inline, and harmless
        assert segment.startswith("data:")
        assert b"root:" not in (tmp_path / entry.file).read_bytes()
    else:
        assert entry.reason


def test_what_needs_ffmpeg_at_the_network_is_refused(web, hls, tmp_path, monkeypatch):
    """A playlist that yt-dlp would hand to ffmpeg fails instead, also where there is an ffmpeg."""
    playlist = hls / "a.m3u8"
    text = playlist.read_text().replace(
        "#EXTINF", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF', 1
    )
    playlist.write_text(text)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        file = programs / name
        file.write_text(f"#!/bin/sh\necho $0 $* >> {programs}/started\necho ffmpeg version 7.0\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (entry,) = fetch(f"{web.url}/hls/a.m3u8", tmp_path)
    assert entry.reason == "no-format"
    assert not (programs / "started").exists()


@pytest.mark.parametrize("scheme", ["ftp", "rtmp", "rtsp", "mms"])
def test_other_protocols_are_refused_before_anything_is_asked(web, tmp_path, scheme):
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.settimeout(0.5)
        address = f"{scheme}://127.0.0.1:{inner.getsockname()[1]}/a.mp4"
        page = f"<html><video src='{address}'></video></html>"
        web.answers["/page"] = content(page.encode(), "text/html")
        (entry,) = fetch(f"{web.url}/page", tmp_path)
        assert entry.reason == "no-format"
        assert scheme in entry.detail
        with pytest.raises(TimeoutError):
            inner.accept()


def test_a_source_larger_than_allowed_is_left(web, tmp_path):
    web.answers["/big.mp4"] = content(b"\0\0\0\x18ftyp" + bytes(3_000_000), "video/mp4")
    options = FetchOptions(allow_private_addresses=True, max_bytes=1_000_000, min_free=0)
    (entry,) = fetch(f"{web.url}/big.mp4", tmp_path, options)
    assert entry.reason in ("too-large", "network")
    assert fetched(tmp_path) == []
    # its size is known before, so that nothing of it is kept
    assert sum(p.stat().st_size for p in (tmp_path / "sources/.parts").glob("*")) == 0


def test_a_page_without_an_end_is_left(web, tmp_path, monkeypatch):
    sent = []

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.end_headers()
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.write(b"<html><body>")
            while len(sent) < 2000:
                request.wfile.write(b"<p>more</p>" * 2000)
                sent.append(22_000)

    web.answers["/page"] = answer
    monkeypatch.setattr(fetching, "_LOOKUP_BYTES", 1_000_000)
    (entry,) = fetch(f"{web.url}/page", tmp_path)
    assert entry.reason == "too-large"
    assert sum(sent) < 12_000_000


def test_a_full_disk_is_left_alone(web, media, tmp_path):
    url = put(web, media, "plain")
    options = FetchOptions(allow_private_addresses=True, min_free=1 << 60)
    with pytest.raises(StorageError, match=r"sources has .* bytes free, but .* have to stay free"):
        fetch(url, tmp_path, options)
    assert list(Ledger(tmp_path)) == []
    assert fetch(url, tmp_path)[0].reason is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fills_up_meanwhile_is_not_the_sources_fault(
    web, media, tmp_path, monkeypatch, number
):
    url = put(web, media, "plain")
    with Fetcher(tmp_path, HERE) as fetcher:

        def write(*_: object) -> None:
            raise fetcher._yt_dlp.utils.DownloadError(
                f"unable to write data: [Errno {number}] {os.strerror(number)}"
            )

        monkeypatch.setattr(fetcher._ydl, "dl", write)
        with pytest.raises(StorageError, match=os.strerror(number)) as caught:
            list(fetcher.fetch(url))
    assert str(tmp_path / "sources") in str(caught.value)
    assert list(Ledger(tmp_path)) == []


def test_a_failure_that_was_recorded_for_a_full_disk_is_tried_again(web, media, tmp_path):
    url = put(web, media, "plain")
    Ledger(tmp_path).add(LedgerEntry("x", Source("url", url), reason="no-space"))
    assert fetch(url, tmp_path)[0].reason is None


def test_the_quota_of_an_hour_is_kept(web, media, tmp_path, monkeypatch):
    clock = [1_800_000_000.0]
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(fetching.time, "time", lambda: clock[0])
    monkeypatch.setattr(fetching.time, "sleep", sleep)
    stamp = fetching.datetime
    monkeypatch.setattr(
        fetching, "_now", lambda: stamp.fromtimestamp(clock[0], fetching.UTC).isoformat()
    )
    options = FetchOptions(allow_private_addresses=True, per_hour=2, min_free=0)
    for name in ("plain", "vfr", "no_audio"):
        url = put(web, media, name)
        assert fetch(url, tmp_path, options)[0].reason is None
        clock[0] += 10
    assert sum(pauses) == pytest.approx(3600 - 20, abs=2)


def test_a_ledger_survives_torn_and_foreign_lines(tmp_path, web, media):
    url = put(web, media, "plain")
    (entry,) = fetch(url, tmp_path)
    ledger = tmp_path / "sources.jsonl"
    ledger.write_text('{"nonsense": 1}\n' + ledger.read_text() + '{"name": "torn')
    put(web, media, "vfr")
    fetch(f"{web.url}/vfr.mp4", tmp_path)
    again = Ledger(tmp_path)
    assert again.find(url) == entry
    assert again.find(f"{web.url}/vfr.mp4") is not None


def test_curating_addresses(web, media, tmp_path):
    good = put(web, media, "plain")
    text = put(web, media, "text")
    gone = f"{web.url}/gone.mp4"
    out = tmp_path / "out"
    report = curate([good, text, gone], out, workers=1, fetch=HERE)
    (row,) = read_manifest(out).rows
    assert row.source.location == good
    assert row.source.kind == "url"
    assert row.sha256 == row.source.sha256 == sha256_file(media("plain"))
    assert row.clip_id.startswith("127_0_0_1-plain-")
    rejected = {r.source.location: r for r in read_rows(out / "rejected.jsonl")}
    assert rejected[gone].reason == "removed"
    assert rejected[gone].source.fetched_at
    assert rejected[text].reason in ("not-media", "no-format")
    assert report.exit_code == 1
    again = curate([good], out, workers=1, fetch=HERE)
    assert (again.reused, again.exit_code) == (1, 0)


def test_items_of_a_source_are_files_or_reasons(web, media, tmp_path):
    url = put(web, media, "plain")
    (result,) = Http(url, tmp_path, HERE).items()
    (gone,) = Http(url + "x", tmp_path, HERE).items()
    assert isinstance(result, SourceFile)
    assert result.path.is_file()
    assert isinstance(gone, SourceFailure)
    assert gone.reason == "removed"


def test_an_rss_feed_is_a_list_of_sources(web, media, tmp_path):
    urls = [put(web, media, name) for name in ("plain", "vfr")] + [f"{web.url}/none.mp4"]
    items = "".join(
        f"<item><title>t</title><link>{url}</link><enclosure url='{url}' type='video/mp4'/></item>"
        for url in urls
    )
    feed = (
        f"<?xml version='1.0'?><rss version='2.0'><channel><title>c</title>{items}</channel></rss>"
    )
    web.answers["/feed"] = content(feed.encode(), "application/rss+xml")
    entries = fetch(f"{web.url}/feed", tmp_path)
    assert [entry.reason for entry in entries] == [None, None, "removed"]
    assert [entry.origin.location for entry in entries] == urls


def test_a_list_of_lists_is_followed(web, media, tmp_path):
    """As a channel holds its playlists."""
    url = put(web, media, "plain")

    def feed(*links):
        items = "".join(f"<item><title>t</title><link>{link}</link></item>" for link in links)
        text = f"<?xml version='1.0'?><rss version='2.0'><channel><title>c</title>{items}</channel></rss>"
        return content(text.encode(), "application/rss+xml")

    web.answers["/channel"] = feed(f"{web.url}/playlist", "file:///etc/passwd")
    web.answers["/playlist"] = feed(url)
    entries = fetch(f"{web.url}/channel", tmp_path)
    assert [(entry.origin.location, entry.reason) for entry in entries] == [
        (url, None),
        ("file:///etc/passwd", "unsafe"),
    ]
    asked = len([path for _, path, _ in web.log if path == "/plain.mp4"])
    assert fetch(f"{web.url}/channel", tmp_path)[0] == entries[0]  # the archive knows it
    assert len([path for _, path, _ in web.log if path == "/plain.mp4"]) == asked


def test_what_the_site_says_is_too_short_is_not_fetched(web, media, tmp_path):
    put(web, media, "plain")
    video = {
        "@context": "https://schema.org",
        "@type": "VideoObject",
        "name": "n",
        "duration": "PT2S",
        "contentUrl": f"{web.url}/plain.mp4",
    }
    page = f"<html><script type='application/ld+json'>{json.dumps(video)}</script></html>"
    web.answers["/page"] = content(page.encode(), "text/html")
    long = FetchOptions(allow_private_addresses=True, min_seconds=3, min_free=0)
    (entry,) = fetch(f"{web.url}/page", tmp_path, long)
    assert (entry.reason, entry.detail) == ("too-short", "expected at least 3 s, got 2 s")
    asked = len(web.log)
    assert fetch(f"{web.url}/page", tmp_path, long) == [entry]
    assert len(web.log) == asked
    assert fetched(tmp_path) == []
    short = FetchOptions(allow_private_addresses=True, min_seconds=2, min_free=0)
    (entry,) = fetch(f"{web.url}/page", tmp_path, short)
    assert entry.reason is None
    assert probe(tmp_path / entry.file).n_frames == 50


def test_cookies_that_cannot_be_read_are_said_at_once(web, tmp_path):
    (tmp_path / "c.txt").write_text("no cookies")
    for options, text in (
        ({"cookies": tmp_path / "c.txt"}, "Netscape"),
        ({"cookies_from_browser": "lynx"}, "lynx"),
        ({"cookies_from_browser": f"firefox:{tmp_path}"}, "cookies"),
    ):
        with pytest.raises(InputError, match=text):
            fetch(f"{web.url}/a.mp4", tmp_path / "o", FetchOptions(**options))
    assert web.log == []


def test_the_ledger_is_plain_json(web, media, tmp_path):
    fetch(put(web, media, "plain"), tmp_path)
    (line,) = Path(tmp_path / "sources.jsonl").read_text().splitlines()
    assert json.loads(line)["origin"]["location"].endswith("/plain.mp4")


def test_only_the_named_extractors_are_used(web, media, tmp_path):
    url = put(web, media, "plain")
    (entry,) = fetch(url, tmp_path, extractors=Youtube.extractors)
    assert entry.reason == "no-format"
    assert web.log == []


def test_killed_in_mid_file_it_goes_on_where_it_was(web, media, tmp_path):
    body = media("plain").read_bytes()
    padded = body + b"\0\0\0\x08free" + bytes(3_000_000)  # what follows the film is passed over
    (web.folder / "long.mp4").write_bytes(padded)
    run = "from theval_datasets.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        run,
        "curate",
        f"{web.url}/long.mp4",
        "-o",
        str(tmp_path / "o"),
    ]
    command += ["--allow-private-addresses", "--workers", "1"]
    with subprocess.Popen([*command, "--rate-limit", "300000"], stdout=subprocess.DEVNULL) as first:
        parts = tmp_path / "o" / "sources" / ".parts"
        deadline = time.monotonic() + 600
        while sum(p.stat().st_size for p in parts.glob("*")) < 400_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    assert not (tmp_path / "o" / "manifest.jsonl").exists()
    web.log.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = read_manifest(tmp_path / "o").rows
    assert row.sha256 == hashlib.sha256(padded).hexdigest()
    begun = [int(r[6:].partition("-")[0]) for _, _, r in web.log if r and r != "bytes=0-"]
    assert max(begun) >= 300_000
