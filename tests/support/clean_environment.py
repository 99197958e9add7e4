"""A process of an environment that has `datasets` and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


def load_in(python: Path, script: str, folder: Path, home: Path) -> Any:
    """What a script prints in its last line, as JSON.

    Args:
        python: Of the environment.
        script: Python.
        folder: Where it runs.
        home: For the caches of `datasets`.
    """
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))}
    done = subprocess.run(
        [python, "-c", script],
        cwd=folder,
        env={**plain, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
