import gc
import http.client
import socket
import threading
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web import content, status

from theval_datasets.curation.sources.fetching.guard import Guard, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254",
        "0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2002:7f00:1::", "198.18.0.1", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
        "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "64:ff9b::127.0.0.1", "fec0::1", "feff::1",
        "2002:a00:1::1", "2001:0:7f00:1::f7f7:f7f7", "2001:0:808:808::80ff:fffe",
        "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "2001:db8::1", "3fff::1",
        "2001:10::1", "2001:20::1", "5f00::1", "100::1", "4000::1", "fe80::1", "fd00::1",
        "192.0.0.8", "192.88.99.1", "240.0.0.1", "2606:4700::1111%eth0",
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_open_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "93.184.215.14", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7", "2a00::1", "2001:200::1",
        "2606:4700::5efe:8.8.8.8",
    ],
)  # fmt: skip
def test_addresses_that_are(address):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_a_wrapped_address_is_judged_like_the_one_in_it(ip):
    assert is_public(f"::ffff:{ip}") == is_public(str(ip))
    high, low = divmod(int(ip), 1 << 16)
    assert is_public(f"64:ff9b::{high:x}:{low:x}") == is_public(str(ip))
    assert is_public(f"2002:{high:x}:{low:x}::1") == is_public(str(ip))
    assert is_public(f"2606:4700::5efe:{high:x}:{low:x}") == is_public(str(ip))
    assert not is_public(f"::{ip}")


@given(st.ip_addresses(v=6))
def test_nothing_but_global_unicast_is_public(ip):
    if is_public(str(ip)):
        assert int(ip) >> 125 == 1 or ip.ipv4_mapped or int(ip) >> 32 == 0x64FF9B0000000000000000


@pytest.fixture(autouse=True, scope="module")
def _tidy():
    yield
    gc.collect()  # the bodies of refused requests


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def get(guard, url, **headers):
    proxy = urllib.request.ProxyHandler({"http": guard.url, "https": guard.url})
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.build_opener(proxy).open(request, timeout=10) as answer:
        return answer.read()


def only(*allowed):
    return lambda address: address in allowed


def test_it_passes_requests_and_answers_on(web):
    web.answers["/a"] = content(b"hello" * 1000)
    (web.folder / "b.bin").write_bytes(bytes(range(100)))
    with Guard(only("127.0.0.1")) as guard:
        assert get(guard, web.url + "/a?x=1") == b"hello" * 1000
        assert get(guard, web.url + "/b.bin", Range="bytes=10-19") == bytes(range(10, 20))
    assert ("GET", "/a?x=1", None) in web.log


def test_private_addresses_are_refused_by_default(web):
    with Guard() as guard, pytest.raises(urllib.error.HTTPError) as caught:
        get(guard, web.url + "/a")
    assert caught.value.code == 403
    assert guard.refused == ["127.0.0.1 is 127.0.0.1, which is not a public address"]
    assert web.log == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "[::1]"])
def test_other_names_of_this_machine_are_refused_too(web, host):
    port = web.url.rpartition(":")[2]
    with Guard() as guard, pytest.raises(urllib.error.HTTPError):
        get(guard, f"http://{host}:{port}/a")
    assert web.log == []


def test_redirects_are_checked_like_the_first_address(web):
    port = web.url.rpartition(":")[2]
    web.answers["/a"] = status(302, Location=f"http://127.0.0.2:{port}/secret")
    with Guard(only("127.0.0.1")) as guard, pytest.raises(urllib.error.HTTPError):
        get(guard, web.url + "/a")
    assert [path for _, path, _ in web.log] == ["/a"]
    assert "127.0.0.2" in guard.refused[0]


def test_tunnels_are_checked_too(web):
    host, _, port = web.url[7:].partition(":")
    for allowed, expected in ((only(host), b"HTTP/1.1 200"), (is_public, b"HTTP/1.1 403")):
        with Guard(allowed) as guard:
            place = ("127.0.0.1", int(guard.url.rpartition(":")[2]))
            with socket.create_connection(place, timeout=10) as connection:
                connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
                assert connection.recv(100).startswith(expected)


def test_no_more_bytes_come_than_allowed(web):
    web.answers["/big"] = content(bytes(3_000_000))
    with Guard(only("127.0.0.1")) as guard:
        guard.start(1_000_000)
        with pytest.raises(http.client.IncompleteRead) as caught:
            get(guard, web.url + "/big")
        assert len(caught.value.partial) < 1_100_000
        assert guard.exceeded
        guard.start(None)
        assert len(get(guard, web.url + "/big")) == 3_000_000
        assert not guard.exceeded


@pytest.mark.parametrize(
    "line", ["GET ftp://127.0.0.1/a HTTP/1.1", "GET /etc/passwd HTTP/1.1", "CONNECT here HTTP/1.1"]
)
def test_nothing_but_http_is_passed_on(line):
    with Guard(lambda _: True) as guard:
        place = ("127.0.0.1", int(guard.url.rpartition(":")[2]))
        with socket.create_connection(place, timeout=10) as connection:
            connection.sendall(f"{line}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_it_leaves_no_thread_behind():
    before = threading.active_count()
    with Guard():
        pass
    assert threading.active_count() == before
