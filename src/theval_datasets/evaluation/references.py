"""Distances between a generated clip and its real counterpart: the baselines of THEval's Table 2.

Frames and landmarks are paired by timestamp, since the clips may differ in frame rate and length.
FID and FVD are Fréchet distances of feature arrays (`frechet`); LSE-C and LSE-D come from SyncNet,
whose table is read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets import media
from theval_datasets.errors import AbsentError, InputError
from theval_datasets.extraction.mesh import LIPS, inter_ocular, pixels
from theval_datasets.extraction.outcomes import Values
from theval_datasets.utils.table_files import read_table

from .pictures import Measure, Pixels, psnr, ssim

Floats = npt.NDArray[np.float64]

_TOLERANCE: Final = 0.5  # of the real clip's frame interval, within which two frames are a pair


@dataclass(frozen=True, slots=True)
class Pairing:
    """Frames of two clips that are shown at the same time.

    Attributes:
        generated: int64 (pairs,): indices into the generated clip's frames.
        real: int64 (pairs,): indices into the real clip's frames.
    """

    generated: npt.NDArray[np.int64]
    real: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.generated)


def pair_by_time(generated: Floats, real: Floats) -> Pairing:
    """Pair each real frame with the generated one nearest in time.

    Frames further apart than half the real clip's median interval have no partner, so that frames of
    one clip beyond the end of the other do not count.

    Args:
        generated: float64 (n,): timestamps in seconds, ascending.
        real: float64 (m,): timestamps in seconds, ascending.

    Examples:
        >>> pairs = pair_by_time(np.array([0.0, 0.1, 0.2]), np.array([0.0, 0.21]))
        >>> pairs.generated.tolist(), pairs.real.tolist()
        ([0, 2], [0, 1])
    """
    if not len(generated) or not len(real):
        return Pairing(np.zeros(0, np.int64), np.zeros(0, np.int64))
    interval = float(np.median(np.diff(real))) if len(real) > 1 else math.inf
    after = np.searchsorted(generated, real).clip(1, max(1, len(generated) - 1))
    before = after - 1
    after = np.minimum(after, len(generated) - 1)
    nearer = np.abs(generated[after] - real) < np.abs(generated[before] - real)
    nearest = np.where(nearer, after, before)
    kept = np.abs(generated[nearest] - real) <= _TOLERANCE * interval + 1e-6
    return Pairing(nearest[kept].astype(np.int64), np.flatnonzero(kept).astype(np.int64))


def video_distances(
    generated: Path,
    real: Path,
    measures: Mapping[str, Measure] | None = None,
) -> dict[str, float | None]:
    """Means of picture distances over the frames of two clips at the same times.

    Args:
        generated: Generated video.
        real: Real counterpart; generated frames are scaled to its size where they differ.
        measures: Functions by name; default: PSNR and SSIM. Pairs of equal pictures, whose PSNR is
            infinite, are left out of its mean.

    Returns:
        A value for each name (None where no pair has a finite one), and `pairs`, their number.

    Raises:
        MediaError: One of the two cannot be read.
        AbsentError: No two frames are shown at the same time.
    """
    measures = {"psnr": psnr, "ssim": ssim} if measures is None else measures
    indices = [media.frame_index(path) for path in (generated, real)]
    pairing = pair_by_time(indices[0].times, indices[1].times)
    if not len(pairing):
        raise AbsentError(
            "no-pairs", f"{generated.name} and {real.name} have no frames at the same time"
        )
    ours = _frames_at(generated, pairing.generated)
    theirs = _frames_at(real, pairing.real)
    sums = dict.fromkeys(measures, 0.0)
    counts = dict.fromkeys(measures, 0)
    for a, b in zip(ours, theirs, strict=True):
        sized = _sized(a, b.shape[1], b.shape[0])
        for name, measure in measures.items():
            value = measure(sized, b)
            if math.isfinite(value):
                sums[name] += value
                counts[name] += 1
    means: dict[str, float | None] = {
        name: sums[name] / counts[name] if counts[name] else None for name in measures
    }
    return {**means, "pairs": float(len(pairing))}


def landmark_distances(generated: Values, real: Values) -> tuple[float, float]:
    """LMD-F and LMD-M: mean distance of face points and of mouth points, frame by frame.

    Equations 38 and 39 of THEval, over the frames at the same time in which both have a face.
    Size and position of the face do not count: each face is first moved to its centroid and
    divided by its own inter-ocular distance (LMD-F, over all 468 points), and each mouth is moved to
    its own centroid (LMD-M, over the 40 lip points).

    Args:
        generated: Values of the extractor `landmarks` of the generated clip.
        real: Values of the same extractor of the real clip.

    Returns:
        LMD-F and LMD-M, each in inter-ocular distances, at least 0.

    Raises:
        AbsentError: No frame at the same time has both faces.

    Examples:
        >>> mesh = np.random.default_rng(0).integers(0, 16_384, (2, 478, 3)).astype(np.int16)
        >>> clip = {"mesh": mesh, "time": np.array([0.0, 0.04]), "face": np.ones(2, bool)}
        >>> clip |= {"width": np.array(640), "height": np.array(480)}
        >>> landmark_distances(clip, clip)
        (0.0, 0.0)
    """
    faces = [_normalised(values) for values in (generated, real)]
    pairing = pair_by_time(generated["time"][generated["face"]], real["time"][real["face"]])
    if not len(pairing):
        raise AbsentError("no-pairs", "there is no time at which both clips show a face")
    ours, theirs = faces[0][pairing.generated], faces[1][pairing.real]
    mouths = [points[:, LIPS] for points in (ours, theirs)]
    mouths = [mouth - mouth.mean(axis=1, keepdims=True) for mouth in mouths]
    face = np.linalg.norm(ours - theirs, axis=2).mean()
    mouth = np.linalg.norm(mouths[0] - mouths[1], axis=2).mean()
    return float(face), float(mouth)


def _normalised(values: Values) -> Floats:
    """Face points around their centroid in inter-ocular distances; (n, 468, 2)."""
    points = pixels(values["mesh"], int(values["width"]), int(values["height"]))
    face = points[:, :468, :2]
    scale = inter_ocular(points)[:, None, None]
    centred: Floats = (face - face.mean(axis=1, keepdims=True)) / scale
    return centred


def read_lse(path: Path) -> dict[str, tuple[float, float]]:
    """LSE-C and LSE-D from a table with the columns ``clip_id, lse_c, lse_d``.

    Args:
        path: CSV of any usual delimiter and encoding, or an Excel workbook.

    Returns:
        Clip to LSE-C (confidence) and LSE-D (distance).

    Raises:
        InputError: A column is missing, a value is not a number, or a clip is listed twice.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "lse.csv"
        ...     _ = path.write_text("clip_id,lse_c,lse_d\\na,6.5,7.25\\n")
        ...     print(read_lse(path))
        {'a': (6.5, 7.25)}
    """
    table = read_table(path)
    frame = table.frame.clone()
    frame.columns = [name.strip() for name in frame.columns]
    lacking = sorted({"clip_id", "lse_c", "lse_d"} - set(frame.columns))
    if lacking:
        raise InputError(f"{path.name} has no column {', '.join(lacking)}")
    scores: dict[str, tuple[float, float]] = {}
    for number, row in zip(table.rows, frame.iter_rows(named=True), strict=True):
        clip = str(row["clip_id"] or "").strip()
        confidence, distance = table.number(row["lse_c"]), table.number(row["lse_d"])
        if not clip:
            raise InputError(f"{path.name}, row {number}: expected a clip_id, got an empty cell")
        if confidence is None or distance is None:
            raise InputError(
                f"{path.name}, row {number}: expected two numbers for {clip!r}, "
                f"got {row['lse_c']!r} and {row['lse_d']!r}"
            )
        if clip in scores:
            raise InputError(f"{path.name}, row {number}: {clip!r} is listed twice")
        scores[clip] = (confidence, distance)
    return scores


def _frames_at(path: Path, indices: npt.NDArray[np.int64]) -> Iterator[Pixels]:
    """Frames of a clip by index; indices are in ascending order and may repeat."""
    wanted = 0
    with media.open_video(path, threads=1) as video:
        for batch in video.frames():
            for frame, index in zip(batch.pixels, batch.indices.tolist(), strict=True):
                while wanted < len(indices) and indices[wanted] == index:
                    yield frame
                    wanted += 1
            if wanted == len(indices):
                return


def _sized(picture: Pixels, width: int, height: int) -> Pixels:
    if picture.shape[:2] == (height, width):
        return picture
    import cv2

    smaller = picture.shape[0] > height
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    sized: Pixels = cv2.resize(picture, (width, height), interpolation=how)
    return sized
