"""What every test finds: synthesised media, the sample, the real clips, and a clean process.

No test sees the user's caches or the network of the Hub, and a test during which something was
logged as an error fails, unless it says that this is expected with the fixture `errors_expected`.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
import torchvision_operators
from hypothesis import settings
from shared_files import made_once

_HOME = Path(tempfile.mkdtemp(prefix="theval-tests-"))
# Before anything imports `datasets`, which reads these once.
os.environ |= {
    "HF_HOME": str(_HOME / "hf"),
    "HF_DATASETS_CACHE": str(_HOME / "hf" / "datasets"),
    "HF_HUB_OFFLINE": "1",
    "THEVAL_NO_PROGRESS": "1",
    "MPLCONFIGDIR": str(_HOME / "mpl"),
    "MPLBACKEND": "agg",
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_worker_niceness": "0",  # Ray's 15 is starved by the other processes of a test run
}
for _name in ("THEVAL_FFMPEG", "THEVAL_MODELS", "THEVAL_CACHE", "THEVAL_DEVICE"):
    os.environ.pop(_name, None)

# How long an example takes says something of the machine and nothing of the code.
settings.register_profile("theval", deadline=None)
settings.load_profile("theval")

ROOT = Path(__file__).resolve().parents[1]

torchvision_operators.prepare()


def environment(folder: Path, *requirements: str) -> Path:
    """The Python of a virtual environment; the test is skipped where pip cannot fill it."""
    import subprocess
    import sys

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
        # of its modules few are imported, and those are compiled then
        options = ["-q", "--no-compile", *requirements]
        done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip()[-300:]
            pytest.skip(f"pip cannot install {requirements[-1]} here: {reason}")

    return made_once(folder, make) / "bin" / "python"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order files for several processes: first those that may take longest, last those of quick tests."""
    if not hasattr(config, "workerinput"):
        return
    longest: dict[Path, tuple[float, bool]] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else 0.0
        slow = any(item.get_closest_marker(name) for name in ("slow", "real"))
        longest[item.path] = max(longest.get(item.path, (0.0, False)), (seconds, slow))
    items.sort(key=lambda item: longest[item.path], reverse=True)


def pytest_unconfigure() -> None:
    import shutil

    shutil.rmtree(_HOME, ignore_errors=True)


def _outside(address: object) -> bool:
    """Whether the address of a socket is none of this machine's own."""
    if not isinstance(address, tuple):
        return False  # a path: a socket of Unix
    host = str(address[0])
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host not in ("localhost", "")
    own = getattr(ip, "ipv4_mapped", None) or ip
    return not (own.is_loopback or own.is_unspecified or own in _own_addresses())


@functools.cache
def _own_addresses() -> frozenset[IPv4Address | IPv6Address]:
    """Addresses of this machine's interfaces: what Ray's test clusters listen on."""
    import psutil

    return frozenset(
        ip_address(item.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for item in addresses
        if item.family in (socket.AF_INET, socket.AF_INET6)
    )


@pytest.fixture(autouse=True)
def _no_connection_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that connects to another machine, or asks for its address, fails.

    An error would not do: what is tested may catch it.
    """
    outside: list[object] = []

    def guarded(method: str) -> None:
        real = getattr(socket.socket, method)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.type & socket.SOCK_STREAM and _outside(address):
                outside.append(address)
                raise ConnectionRefusedError(errno.ECONNREFUSED, "tests stay on this machine")
            return real(self, address)

        monkeypatch.setattr(socket.socket, method, connect)

    guarded("connect")
    guarded("connect_ex")
    yield
    if outside:
        pytest.fail(f"connections to other machines were tried: {outside}")


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def _no_errors_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    handler = _Errors()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    if "errors_expected" not in request.fixturenames and handler.records:
        messages = [f"{record.name}: {record.getMessage()}" for record in handler.records]
        pytest.fail("errors were logged:\n" + "\n".join(messages))


@pytest.fixture(autouse=True)
def _every_warning_is_new() -> None:
    from theval_datasets.extraction.weights import warn_once

    warn_once.cache_clear()


@pytest.fixture
def errors_expected() -> None:
    """For tests of what logs at error level."""


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch in one thread: small networks are slower in several, much slower beside other tests."""
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and golden files; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real clips and golden files are not here (looked for {folder})")
    return folder


@pytest.fixture(scope="session")
def common_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run share; see tests/support/shared_files.py."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # each process of xdist has its own in there
    folder /= "common"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def media(common_folder: Path):
    """`media("late_video")` is the path of a synthesised clip; see tests/support/media_factory.py."""
    from media_factory import MediaFactory

    return MediaFactory(common_folder / "media")


@pytest.fixture(scope="session")
def sample(common_folder: Path):
    """The sample's talking-face clips by name (`clear-en`, `no-face-es`, …).

    Each is made when it is first asked for, which takes a second or two.
    """
    pytest.importorskip("espeakng_loader", reason="the sample needs the extra [demo]")
    pytest.importorskip("skimage", reason="the sample needs the extra [demo]")
    from sample_clips import SampleClips

    return SampleClips(common_folder / "sample")


@pytest.fixture(scope="session")
def talking(sample) -> Path:
    """A clip of the sample with a face and speech."""
    return sample["clear-en"]


@pytest.fixture(scope="session")
def other(sample) -> Path:
    """Another one."""
    return sample["blurred-en"]


@pytest.fixture(scope="session")
def faceless(sample) -> Path:
    """A clip of the sample with speech and no face."""
    return sample["no-face-es"]


@pytest.fixture
def web(tmp_path: Path):
    """A real HTTP server over an empty folder; see tests/support/web.py."""
    from web import serving

    folder = tmp_path / "web"
    folder.mkdir()
    with serving(folder) as server:
        yield server


@pytest.fixture
def s3_server(tmp_path: Path):
    """A server of S3 on this machine with an empty folder; see tests/support/s3_server.py."""
    from s3_server import running

    with running(tmp_path.name) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    """Chromium; skipped where it is not installed. See tests/support/browser.py.

    One a module, because an open browser keeps an event loop running in this thread.
    """
    from browser import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def page(browser):
    """A page that fails its test if it logs an error or asks for anything but files and loopback."""
    from browser import watched_page

    with watched_page(browser) as opened:
        yield opened


@pytest.fixture(scope="session")
def clean_env_python(common_folder: Path) -> Path:
    """The Python of an environment that holds `datasets` and nothing of ours; for slow tests.

    Skipped with the reason where pip cannot install it.
    """
    constraints = ROOT / "constraints.txt"
    pinned = ["-c", str(constraints)] if constraints.is_file() else []
    return environment(common_folder / "clean", *pinned, "datasets")


@pytest.fixture(scope="session")
def oldest_env_python(common_folder: Path) -> Path:
    """The same with the oldest `datasets` that reads our files: trainers ask for old versions."""
    return environment(common_folder / "oldest", "datasets==4.0.0")


@pytest.fixture(scope="session")
def archives(repo: Path, common_folder: Path) -> tuple[Path, Path]:
    """A wheel and an sdist of the tree, the wheel built from the unpacked sdist."""
    folder = made_once(common_folder / "archives", functools.partial(_build, repo))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


def _build(repo: Path, folder: Path) -> None:
    import shutil
    import subprocess
    import sys

    source = folder / "source"
    keep = {
        "src",
        "builders",
        "cards",
        "curation",
        "features",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }
    shutil.copytree(
        repo,
        source,
        symlinks=True,
        ignore=lambda place, names: [
            name
            for name in names
            if (Path(place) == repo and name not in keep)
            or name == "__pycache__"
            or name.endswith(".egg-info")
        ],
    )
    build = [sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
