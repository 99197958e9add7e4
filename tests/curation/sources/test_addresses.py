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
        "http://user@a/b", "http://user:password@a/b", "http://a@127.0.0.1/", "http://@a/",
        "http://evil.example\\@127.0.0.1/", "http://a%00b/", "http://a%2fb/", "http://a%40b/",
        "http://1.2.3.4.5/", "http://256.1.1.1/", "http://1.2.3.0x/", "http://08.1.1.1/",
        "http://[::1", "http://[fe80::1%25eth0]/", "http://[1.2.3.4]/", "http://a:99999/",
        "http://a:b/", "http://a..b/", "http://-a/", "http://" + "a" * 64 + "/", "http://\ud800/",
        "http://a/\x85", "http://./",
        "http://a/b#__youtubedl_smuggle=%7B%7D", "http://a/b\n.mp4", "http://a b/", "--exec=true",
    ],
)  # fmt: skip
def test_only_plain_addresses_are_fetched(url):
    with pytest.raises(UnsafePathError):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.org/A%20b?C=d#e", "https://example.org/A%20b?C=d#e"),
        ("HTTPS://Example.ORG/A", "https://example.org/A"),
        ("http://example.org./a", "http://example.org/a"),
        ("http://example.org:8080/a", "http://example.org:8080/a"),
        ("http://example.org?a", "http://example.org?a"),
        ("http://example.org", "http://example.org"),
        ("http://ex%61mple.org/", "http://example.org/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://①②⑦.⓪.0.1/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://127.0.0.%31/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://127.1./", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://0X7F000001/", "http://127.0.0.1/"),
        ("http://0177.0.0.01/", "http://127.0.0.1/"),
        ("http://0/", "http://0.0.0.0/"),
        ("http://[0:0:0:0:0:0:0:1]:80/a", "http://[::1]:80/a"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"),
        ("http://h.1a/", "http://h.1a/"),
    ],
)
def test_a_host_has_one_spelling(url, normal):
    assert check_url(url).replace("::ffff:7f00:1", "::ffff:127.0.0.1") == normal
    assert check_url(check_url(url)) == check_url(url)


def test_a_password_is_not_repeated_in_the_error():
    with pytest.raises(UnsafePathError) as caught:
        check_url("https://user:secret@example.org/a")
    assert "secret" not in str(caught.value)


def test_names_are_by_site_and_id_or_by_a_hash_of_the_address():
    assert name_of("https://x", "youtube:dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"
    assert name_of("https://x", "site:../../etc/passwd") == "site-_etc_passwd"
    first, two = name_of("http://h/a.mp4?v=1"), name_of("http://h/a.mp4?v=2")
    assert first != two
    assert first.startswith("h-a-")
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
        ("Got error: 53834 bytes read, 1024 more expected. Giving up after 2 retries", "network"),
        ("Got error: 53834 bytes read. Giving up after 2 retries", "network"),
        ("something nobody has seen", "unknown"),
    ],
)
def test_messages_fall_into_classes(message, reason):
    assert reason_of(ValueError(message), None) == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, "unknown"),
        (400, "unknown"),
        (404, "removed"),
        (407, "network"),
        (408, "network"),
        (410, "removed"),
        (418, "unknown"),
        (425, "network"),
        (429, "rate-limited"),
        (503, "network"),
    ],
)
def test_only_a_site_that_says_so_has_removed_something(status, reason):
    assert reason_of(ValueError("HTTP Error"), status) == reason


def test_which_source_is_meant(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert isinstance(source_of(str(tmp_path), tmp_path / "out"), Local)
    assert isinstance(source_of("https://example.org/a.mp4", tmp_path), Http)
    assert type(source_of("https://www.youtube.com/watch?v=x", tmp_path)) is Youtube
    assert type(source_of("https://youtu.be/x", tmp_path)) is Youtube
    assert type(source_of("https://notyoutube.com/x", tmp_path)) is Http
    assert source_of("HTTP://WWW.YOUTUBE.COM./watch?v=x", tmp_path) == Youtube(
        "http://www.youtube.com/watch?v=x", tmp_path
    )
    with pytest.raises(InputError, match="http"):
        source_of("ftp://example.org/a.mp4", tmp_path)
    with pytest.raises(InputError, match="expected an address of YouTube"):
        Youtube("https://example.org/", tmp_path)
