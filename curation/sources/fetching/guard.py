"""A proxy that checks every connection: the only way to the network while sources are fetched.

A page may redirect, a playlist may name segments on other hosts, and a name may resolve to another
address the second time, so checking the first URL is not enough. All requests go through this proxy on
the loopback interface. It resolves each name once, refuses addresses that are not public, connects to
exactly the address that it checked, and stops when more bytes were received than allowed.
"""

from __future__ import annotations

import http.server
import ipaddress
import logging
import select
import socket
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any, Final, Self

_log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 60.0
_BLOCK: Final = 1 << 16
_LONGEST_BODY: Final = 16 << 20
_HOP_BY_HOP: Final = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te"}
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_TEREDO: Final = ipaddress.ip_network("2001::/32")
_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # relays of 6to4
            "2001::/23",  # protocol assignments
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)
"""Special-purpose networks (IANA registries) that some versions of `ipaddress` report as global."""
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


def is_public(address: str) -> bool:
    """Whether an IP address is global unicast, and so is every address embedded in it.

    IPv6 addresses embed IPv4 addresses in mapped form, and by NAT64, 6to4, Teredo and ISATAP.

    Args:
        address: IP address in the usual notation; one with a zone such as ``%eth0`` is never public.

    Examples:
        >>> is_public("8.8.8.8")
        True
        >>> is_public("::ffff:10.0.0.1")
        False
    """
    if "%" in address:
        return False
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not _is_special(ip)
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if ip in _NAT64:
        return is_public(_last_ipv4(ip))
    if ip in _TEREDO:
        return ip.teredo is not None and all(is_public(str(address)) for address in ip.teredo)
    if ip not in _GLOBAL_UNICAST or _is_special(ip):
        return False
    if ip.sixtofour is not None:
        return is_public(str(ip.sixtofour))
    if int(ip) >> 32 & 0xFFFFFFFF in _ISATAP:
        return is_public(_last_ipv4(ip))
    return ip.is_global


def _is_special(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(ip in network for network in _SPECIAL)


def _last_ipv4(ip: ipaddress.IPv6Address) -> str:
    """The IPv4 address in the last 32 bits."""
    return str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))


class Guard:
    """A running proxy; use it as a context manager.

    Args:
        allowed: Predicate of IP addresses to which connections are allowed.

    Attributes:
        url: Address of the proxy.
        refused: Connections refused since the last `start`, in words.
        exceeded: Whether more bytes than allowed were received since the last `start`.
    """

    def __init__(self, allowed: Callable[[str], bool] = is_public) -> None:
        self._allowed = allowed
        self._lock = threading.Lock()
        self._left: int | None = None
        self.refused: list[str] = []
        self.exceeded = False
        guard = self

        class Requests(_Requests):
            owner = guard

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def start(self, limit: int | None) -> None:
        """Reset the counter: at most `limit` bytes may be received; None for any number."""
        with self._lock:
            self._left = limit
            self.refused = []
            self.exceeded = False

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to a checked address.

        Raises:
            PermissionError: One of the name's addresses is not allowed.
            OSError: The host cannot be reached.
        """
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, place in addresses:
            if not self._allowed(str(place[0])):
                reason = f"{host} is {place[0]}, which is not a public address"
                with self._lock:
                    self.refused.append(reason)
                raise PermissionError(reason)
        last: OSError | None = None
        for family, kind, protocol, _, place in addresses:
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(_CONNECT_SECONDS)
            try:
                connection.connect(place)
            except OSError as error:
                connection.close()
                last = error
                continue
            connection.settimeout(_IDLE_SECONDS)
            return connection
        raise last or OSError(f"{host} has no address")

    def take(self, count: int) -> bool:
        """Count received bytes; returns False once the limit is exceeded."""
        with self._lock:
            if self._left is None:
                return True
            self._left -= count
            if self._left < 0:
                self.exceeded = True
            return not self.exceeded


class _Requests(http.server.BaseHTTPRequestHandler):
    owner: Guard
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        upstream = self._upstream(host.strip("[]"), port)
        if upstream is None:
            return
        with upstream:
            self.send_response(200, "Connected")
            self.end_headers()
            self._relay(upstream)
        self.close_connection = True

    def _forward(self) -> None:
        """Forward a plain HTTP request and its answer, one request per connection."""
        self.close_connection = True
        target = urllib.parse.urlsplit(self.path)
        if target.scheme != "http" or not target.hostname:
            self._refuse(400, "only http is forwarded here")
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LONGEST_BODY:
            self._refuse(413, "the request is too long")
            return
        body = self.rfile.read(int(length))
        upstream = self._upstream(target.hostname, str(_port(target) or ""))
        if upstream is None:
            return
        path = urllib.parse.urlunsplit(("", "", target.path or "/", target.query, ""))
        head = [f"{self.command} {path} HTTP/1.1"]
        head += [f"{k}: {v}" for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP]
        head += ["Connection: close", "", ""]
        with upstream:
            try:
                upstream.sendall("\r\n".join(head).encode("latin-1") + body)
                answer = _closing(upstream)
                if self.owner.take(len(answer)):
                    self.connection.sendall(answer)
                    self._relay(upstream)
            except OSError as error:
                _log.info("a connection was lost: %s", error)

    do_GET = do_HEAD = do_POST = _forward  # noqa: N815  # names required by http.server

    def _upstream(self, host: str, port: str) -> socket.socket | None:
        if not port.isdecimal() or not 0 < int(port) < 65536:
            self._refuse(400, "no such port")
            return None
        try:
            return self.owner.connect(host, int(port))
        except PermissionError as error:
            self._refuse(403, str(error))
        except (OSError, UnicodeError) as error:
            self._refuse(502, f"{host} cannot be reached: {error}")
        return None

    def _refuse(self, status: int, why: str) -> None:
        _log.info("refused: %s", why)
        body = why.encode()
        self.send_response(status, "Refused")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _relay(self, upstream: socket.socket) -> None:
        """Relay bytes in both directions until one side ends or the limit is exceeded."""
        pair: dict[Any, Any] = {self.connection: upstream, upstream: self.connection}
        try:
            while True:
                ready, _, _ = select.select(list(pair), [], [], _IDLE_SECONDS)
                if not ready:
                    return
                for side in ready:
                    block = side.recv(_BLOCK)
                    if not block or (side is upstream and not self.owner.take(len(block))):
                        return
                    pair[side].sendall(block)
        except OSError as error:
            _log.info("a connection was lost: %s", error)

    def log_message(self, *args: object) -> None:
        """Print nothing to stderr."""


def _closing(upstream: socket.socket) -> bytes:
    """The head of an answer with ``Connection: close``, and the bytes received with it."""
    received = b""
    while b"\r\n\r\n" not in received and len(received) < _BLOCK:
        block = upstream.recv(_BLOCK)
        if not block:
            break
        received += block
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return received
    lines = [
        line
        for line in head.split(b"\r\n")
        if line.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive")
    ]
    return b"\r\n".join([*lines, b"Connection: close"]) + separator + body


def _port(target: urllib.parse.SplitResult) -> int | None:
    try:
        return target.port or 80
    except ValueError:
        return None
