from __future__ import annotations

import json
import logging

import pytest

from theval_datasets.utils.text import SafeFormatter, printable, redact_logs, redacted

STEERING = [
    *map(chr, [*range(9), *range(11, 32), *range(127, 160)]),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\udc80",
]
HARMLESS = ["\n", "\t", " ", "~", "\xa0", "é", "中", "🙂", "\u200d", "ع"]


@pytest.mark.parametrize("char", STEERING)
def test_what_steers_a_terminal_is_written_out(char):
    assert printable(f"a{char}b") == f"a\\u{ord(char):04x}b"
    if char.isprintable() or ord(char) < 0xD800:
        line = json.dumps(f"a{char}b", ensure_ascii=False)
        assert json.loads(printable(line)) == f"a{char}b"


@pytest.mark.parametrize("char", HARMLESS)
def test_other_text_stays(char):
    assert printable(f"a{char}b") == f"a{char}b"


SECRETS = [
    "hf_abcdefgh12345678",
    "https://user:SECRET@host/path",
    "https://SECRET@host/path",
    "https://h/f?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET",
    "https://h/f?a=1&sig=SECRET",
    "https://h/f?Signature=SECRET&Key-Pair-Id=SECRET&Policy=SECRET",
    "https://h/f?access_token=SECRET",
    "Authorization: Bearer SECRETSECRET",
    "authorization: basic SECRETSECRET=",
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("queries", [False, True])
def test_secrets_are_taken_out(text, queries):
    shown = redacted(f"before '{text}' after", queries=queries)
    assert "SECRET" not in shown
    assert "abcdefgh" not in shown
    assert shown.startswith("before '")
    assert shown.endswith("' after")


@pytest.mark.parametrize(
    "text",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=10",
        "https://host/a.mp4?part=2",
        "somebody@example.org wrote https://host/@channel",
        "hf_short",
    ],
)
def test_other_addresses_stay(text):
    assert redacted(text) == text


def test_a_query_at_the_hub_is_a_key():
    assert redacted("GET https://h/f?any=thing failed", queries=True) == "GET https://h/f failed"


def test_a_token_of_any_form_is_known_from_the_environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "of another form")
    assert redacted("sent 'of another form'") == "sent '***'"
    monkeypatch.setenv("HF_TOKEN", "a")
    assert redacted("a b") == "a b"


def test_records_of_a_package_lose_their_secrets_before_any_handler(caplog):
    logger = logging.getLogger("some_client.utils.http")
    redact_logs("some_client")
    redact_logs("some_client")
    try:
        raise ValueError("https://h/f?any=SECRET")
    except ValueError:
        logger.warning("%s thrown while requesting https://h/f?any=SECRET", "x", exc_info=True)
    assert "thrown while requesting https://h/f" in caplog.text
    assert "SECRET" not in caplog.text


def test_the_formatter_shows_no_control_characters():
    record = logging.makeLogRecord(
        {"msg": "%s\x1b]0;owned\x07", "args": ("hf_abcdefgh12345678",), "levelname": "INFO"}
    )
    assert SafeFormatter("%(message)s").format(record) == "hf_***\\u001b]0;owned\\u0007"
