"""What the user asks for reaches yt-dlp under the names that the installed yt-dlp knows."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from theval_datasets.curation.sources import youtube
from theval_datasets.curation.sources.fetching.options import (
    FetchOptions,
    parameters,
    runtimes_here,
)
from theval_datasets.curation.sources.youtube import Youtube
from theval_datasets.errors import InputError

yt_dlp = pytest.importorskip("yt_dlp", reason="fetching needs the extra [youtube]")


def given(**options):
    return parameters(
        FetchOptions(**options), proxy="http://127.0.0.1:9", no_ffmpeg="/nowhere", extractors=("a",)
    )


def test_each_parameter_is_one_that_yt_dlp_documents(tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookies.touch()
    options = given(cookies=cookies, cookies_from_browser="firefox", player_client="tv")
    about = yt_dlp.YoutubeDL.__doc__ + yt_dlp.downloader.FileDownloader.__doc__
    known = set(re.findall(r"^\s*([a-z_]+):", about, re.MULTILINE))
    assert {"extract_flat", "js_runtimes", "ratelimit"} <= known
    # one that no text tells of is read by its name all the same
    folder = Path(yt_dlp.__file__).parent
    code = "".join(p.read_text() for p in (folder / "downloader").glob("*.py"))
    assert {name for name in options if name not in known and f"'{name}'" not in code} == set()


def test_the_users_words_are_passed_on(tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookies.touch()
    options = given(
        max_height=720,
        cookies=cookies,
        cookies_from_browser="Firefox:work",
        player_client="tv, web",
        js_runtime="Node:/opt/node",
        sleep=3.0,
        sleep_requests=0.5,
        rate_limit=1000,
        retries=7,
        max_bytes=9,
    )
    assert options["format_sort"][0] == "res:720"
    assert options["cookiefile"] == str(cookies)
    assert options["cookiesfrombrowser"] == ("firefox", "work", None, None)
    assert options["extractor_args"] == {"youtube": {"player_client": ["tv", "web"]}}
    assert options["js_runtimes"] == {"node": {"path": "/opt/node"}}
    assert (options["sleep_interval"], options["max_sleep_interval"]) == (3.0, 6.0)
    assert options["sleep_interval_requests"] == 0.5
    assert (options["ratelimit"], options["max_filesize"]) == (1000, 9)
    assert options["retries"] == options["fragment_retries"] == options["extractor_retries"] == 7
    assert options["remote_components"] == []
    assert options["extract_flat"] == "in_playlist"


def test_yt_dlp_takes_them(tmp_path):
    with yt_dlp.YoutubeDL(given(js_runtime=f"deno:{tmp_path}")) as made:
        assert made.params["js_runtimes"] == {"deno": {"path": str(tmp_path)}}
    assert list(given()["js_runtimes"]) == ["deno", "node"]


def program(folder: Path, name: str, said: str) -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho {said}\n")
    file.chmod(0o755)
    return f"{name}:{file}"


def test_runtimes_are_found_with_their_versions(tmp_path):
    good = FetchOptions(js_runtime=program(tmp_path, "node", "v24.1.0"))
    assert runtimes_here(good.runtimes()) == {"node": ("24.1.0", True)}
    old = FetchOptions(js_runtime=program(tmp_path, "deno", "deno 1.0.0"))
    assert runtimes_here(old.runtimes()) == {"deno": ("1.0.0", False)}
    assert runtimes_here(FetchOptions(js_runtime=f"bun:{tmp_path}/none").runtimes()) == {}
    with pytest.raises(InputError, match=r"expected a JavaScript runtime of yt-dlp \(deno, node"):
        runtimes_here(FetchOptions(js_runtime="python").runtimes())


def test_youtube_says_what_it_lacks(tmp_path, caplog, monkeypatch):
    def said(options):
        youtube._warn_of_missing_parts.cache_clear()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            next(Youtube("https://youtu.be/x", tmp_path, options).items(), None)
        return caplog.text

    monkeypatch.setattr(youtube.Http, "items", lambda self: iter(()))
    old = FetchOptions(js_runtime=program(tmp_path, "node", "v20.0.0"))
    assert "node 20.0.0 is too old" in said(old)
    good = FetchOptions(js_runtime=program(tmp_path, "node", "v24.1.0"))
    monkeypatch.setattr(youtube, "available", lambda name: False)
    assert "yt-dlp-ejs" in said(good)
    monkeypatch.setattr(youtube, "available", lambda name: True)
    assert said(good) == ""


def test_a_missing_file_of_cookies_is_said(tmp_path):
    with pytest.raises(InputError, match="no file of cookies"):
        FetchOptions(cookies=tmp_path / "none.txt")
