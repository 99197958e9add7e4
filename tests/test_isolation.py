"""Tests stay on this machine, and what tries to leave it is noticed."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("address", "leaves"),
    [
        (("127.0.0.1", 9), False),
        (("::1", 9), False),
        (("::ffff:127.0.0.1", 9), False),
        (("localhost", 9), False),
        ("/run/some.socket", False),
        (("192.0.2.255", 9), True),
        (("2001:db8::1", 9), True),
        (("example.org", 443), True),
    ],
)
def test_addresses_of_other_machines_are_told(request, address, leaves):
    conftest = request.config.pluginmanager.getplugin(
        str(request.config.rootpath / "tests/conftest.py")
    )
    assert conftest._outside(address) is leaves


@pytest.mark.parametrize("call", ["socket.create_connection(('192.0.2.255', 9), 1)"])
def test_a_test_that_leaves_the_machine_fails_even_if_it_catches_the_error(request, pytester, call):
    source = (request.config.rootpath / "tests/conftest.py").read_text("utf-8")
    pytester.makeconftest(source)
    pytester.makepyfile(
        "import contextlib, socket\n"
        "def test_it():\n"
        "    with contextlib.suppress(OSError):\n"
        f"        {call}\n"
        "def test_here():\n"
        "    with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "        socket.create_connection(server.getsockname(), 1).close()\n"
    )
    support = request.config.rootpath / "tests/support"
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-o", f"pythonpath={support}")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*connections to other machines were tried*"])
