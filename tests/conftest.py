"""What every test finds: synthesised media, the sample, the real clips, and a clean process.

No test sees the user's caches or the network of the Hub, and a test during which something was
logged as an error fails, unless it says that this is expected with the fixture `errors_expected`.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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
}
for _name in ("THEVAL_FFMPEG", "THEVAL_MODELS", "THEVAL_CACHE", "THEVAL_DEVICE"):
    os.environ.pop(_name, None)

# How long an example takes says something of the machine and nothing of the code.
settings.register_profile("theval", deadline=None)
settings.load_profile("theval")

ROOT = Path(__file__).resolve().parents[1]


def pytest_unconfigure() -> None:
    import shutil

    shutil.rmtree(_HOME, ignore_errors=True)


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
        said = [f"{record.name}: {record.getMessage()}" for record in handler.records]
        pytest.fail("errors were logged:\n" + "\n".join(said))


@pytest.fixture(autouse=True)
def _every_warning_is_new() -> None:
    from theval_datasets.extraction.weights import warn_once

    warn_once.cache_clear()


@pytest.fixture
def errors_expected() -> None:
    """For tests of what logs at error level."""


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
def media(tmp_path_factory: pytest.TempPathFactory):
    """`media("late_video")` is the path of a synthesised clip; see tests/support/media_factory.py."""
    from media_factory import MediaFactory

    return MediaFactory(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory):
    """The sample's talking-face clips by name (`clear-en`, `no-face-es`, …).

    Each is made when it is first asked for, which takes a second or two.
    """
    pytest.importorskip("espeakng_loader", reason="the sample needs the extra [demo]")
    pytest.importorskip("skimage", reason="the sample needs the extra [demo]")
    from sample_clips import SampleClips

    return SampleClips(tmp_path_factory.mktemp("sample"))


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
def clean_env_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds `datasets` and nothing of ours; for slow tests.

    Skipped with the reason where pip cannot install it.
    """
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("clean") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    constraints = ROOT / "constraints.txt"
    pinned = ["-c", str(constraints)] if constraints.is_file() else []
    done = subprocess.run([*pip, *pinned, "datasets"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install datasets here: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="session")
def archives(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and an sdist of the tree, the wheel built from the unpacked sdist."""
    import shutil
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("dist")
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
    subprocess.run(build, check=True, timeout=240, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist
