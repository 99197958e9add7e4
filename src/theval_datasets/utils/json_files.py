"""JSON files: untrusted, and of a bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError

_LARGEST: Final = 256 << 20


def read_json(path: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        InputError: If there is no such file, it is too large, or not JSON.

    Examples:
        >>> _ = Path("clip.json").write_text('{"fps": 25}')
        >>> read_json(Path("clip.json"))
        {'fps': 25}
    """
    if not path.is_file():
        raise InputError(f"there is no {path.name} in {path.parent}")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path} has more than {_LARGEST} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
