"""Which addresses are fetched, what their files are called, and how failures are classed."""

import pytest

from theval_datasets.curation.sources.choose import source_of
from theval_datasets.curation.sources.fetching.address import check_url, name_of
from theval_datasets.curation.sources.fetching.reasons import reason_of
from theval_datasets.curation.sources.http import Http
from theval_datasets.curation.sources.local import Local
from theval_datasets.curation.sources.youtube import Youtube
from theval_datasets.errors import InputError, UnsafePathError


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ytsearch:cats", "ftp://a/b.mp4", "http:///x", "javascript:1", "-o/tmp/x",
        "http://a/b#__youtubedl_smuggle=%7B%7D", "http://a/b\n.mp4", "http://a b/", "--exec=true",
    ],
)  # fmt: skip
def test_only_plain_addresses_are_fetched(url):
    with pytest.raises(UnsafePathError):
        check_url(url)


def test_names_are_by_site_and_id_or_by_a_hash_of_the_address():
    assert name_of("https://x", "youtube:dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"
    assert name_of("https://x", "site:../../etc/passwd") == "site-_etc_passwd"
    one, two = name_of("http://h/a.mp4?v=1"), name_of("http://h/a.mp4?v=2")
    assert one != two
    assert one.startswith("h-a-")
    assert "/" not in name_of("http://h/..%2f..%2fetc")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("[youtube] x: Private video. Sign in if you've been granted access", "private"),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", "removed"),
        ("Sign in to confirm your age. This video may be inappropriate for some users", "age"),
        ("Sign in to confirm you’re not a bot. Use --cookies", "bot-check"),
        ("The uploader has not made this video available in your country", "region"),
        ("Requested format is not available. Use --list-formats", "no-format"),
        ("This live event will begin in 3 hours", "not-yet"),
        ("Join this channel to get access to members-only content", "private"),
        ("Unable to download webpage: timed out", "network"),
        ("something nobody has seen", "unknown"),
    ],
)
def test_messages_fall_into_classes(message, reason):
    assert reason_of(ValueError(message), None) == reason


def test_which_source_is_meant(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert isinstance(source_of(str(tmp_path), tmp_path / "out"), Local)
    assert isinstance(source_of("https://example.org/a.mp4", tmp_path), Http)
    assert type(source_of("https://www.youtube.com/watch?v=x", tmp_path)) is Youtube
    assert type(source_of("https://youtu.be/x", tmp_path)) is Youtube
    assert type(source_of("https://notyoutube.com/x", tmp_path)) is Http
    with pytest.raises(InputError, match="http"):
        source_of("ftp://example.org/a.mp4", tmp_path)
    with pytest.raises(InputError, match="no address of YouTube"):
        Youtube("https://example.org/", tmp_path)
