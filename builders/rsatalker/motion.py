"""FLAME motion of recordings: the NPZ files of DualTalk, and the rows of `motion`."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.utils.archives import ReleaseFile, files_of

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, INT, Field, list_of

_EXPRESSIONS: Final = 50
_POSE: Final = 6
_LARGEST: Final = 512 << 20

Motion = npt.NDArray[np.float32]

MOTION_CONFIG: Final = TableConfig(
    name="motion",
    description="One row per speaker of a conversation: FLAME expression, jaw and pose.",
    rows_per_table=16,
    reader="""\
row = rows.with_format("numpy")[0]
expression = row["expression"].reshape(-1, row["expression_dim"])  # one row per frame
jaw, pose = row["jaw"].reshape(-1, 3), row["pose"].reshape(-1, 3)  # axis-angle
""",
)
MOTION_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("frames", INT, "Number of frames.", "", 1, origin="motion", required=True),
    Field("expression_dim", INT, "Number of expression coefficients per frame.", "", 1, origin="motion",
          required=True),
    Field("expression", list_of("float32"), "FLAME expression, flat.", origin="motion",
          required=True),
    Field("jaw", list_of("float32"), "Rotation of the jaw, flat: three a frame.", "axis-angle",
          origin="motion", required=True),
    Field("pose", list_of("float32"), "Rotation of the head, flat: three a frame.", "axis-angle",
          origin="motion", required=True),
)  # fmt: skip


def motion_row(name: str, path: Path) -> dict[str, Any]:
    """A row of the config `motion`.

    Raises:
        InputError: If the file is not an NPZ file of motion.
    """
    expression, pose, jaw = read_motion(path)
    return {
        "clip_id": name,
        "frames": len(expression),
        "expression_dim": expression.shape[1],
        "expression": expression,
        "jaw": jaw,
        "pose": pose,
    }


def read_motion(path: Path) -> tuple[Motion, Motion, Motion]:
    """Expression, head pose and jaw of an NPZ; nothing in it is unpickled.

    Returns:
        FLAME coefficients of expression, without unit, (T, ≥ 50); head pose and jaw as rotation
        vectors in radians, (T, 3) each.

    Raises:
        InputError: If the file is malformed.
    """
    arrays: dict[str, Motion] = {}
    for member in files_of(path, (".npy",)):
        key = PurePosixPath(member.name).stem
        if key in ("exp", "pose"):
            arrays[key] = _array(member, path)
    lacking = {"exp", "pose"} - arrays.keys()
    if lacking:
        raise InputError(f"{path.name}: expected the arrays exp and pose, missing {lacking}")
    expression, pose = arrays["exp"], arrays["pose"]
    if (
        expression.ndim != 2
        or expression.shape[1] < _EXPRESSIONS
        or pose.shape != (len(expression), _POSE)
        or not len(expression)
    ):
        raise InputError(
            f"{path.name}: expected exp of (T, {_EXPRESSIONS} or more) and pose of (T, {_POSE}), "
            f"got {expression.shape} and {pose.shape}"
        )
    return expression, pose[:, :3], pose[:, 3:]


def _array(member: ReleaseFile, path: Path) -> Motion:
    try:
        array = np.load(io.BytesIO(member.read(_LARGEST)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path.name}: {member.name} is not a plain array: {error}") from None
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{path.name}: expected finite numbers in {member.name}")
    numbers: Motion = array.astype(np.float32)
    return numbers
