"""`collect prepare`: makes a folder that can be served from a plan and a manifest."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf
from pathlib import Path
from typing import Final

import numpy as np

from theval_datasets import media
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import InputError, MediaError, UnknownNameError
from theval_datasets.manifest.rows import Manifest, ManifestRow, read_manifest
from theval_datasets.utils.files import atomic_write, inside, sha256_file, write_text
from theval_datasets.utils.locks import locked
from theval_datasets.utils.text import some_of

from ..clips.cut import Encoding, Piece, cut
from ..clips.head_views import STILL_SIZE, HeadTurn, snapshots
from ..study.scheduler import schedule
from ..study.taxonomy import Taxonomy, load_taxonomy
from ..tasks import Failure, Tasks
from .plan import StudyPlan, read_plan
from .prepared import (
    DATABASE_NAME,
    FORMAT_VERSION,
    MEDIA_FOLDER,
    HeadphoneTest,
    MediaFile,
    PreparedStudy,
    Role,
    StudyItem,
    write_prepared,
)
from .tones import tone_groups

REAL: Final = "real"
"""Model of a clip whose id names no model, in a pairwise study."""
KEYS_NAME: Final = ".keys.json"
_HEADPHONE_TESTS: Final = 8
_ENCODING: Final = Encoding(crf=17, preset="fast")
_COMMAND: Final = "collect prepare"


@dataclass(frozen=True, slots=True)
class _Conversion:
    """Conversion of a clip, and of the still that is cut from it."""

    clip_id: str
    source: Path
    target: Path
    still: Path | None
    given_still: Path | None
    turn: HeadTurn


@dataclass(frozen=True, slots=True)
class _Converted:
    video: MediaFile
    still: MediaFile | None


def prepare_study(plan_file: Path, manifest: Path, folder: Path, *, workers: int) -> PreparedStudy:
    """Prepare a study.

    Clips are converted to H.264 and AAC under opaque names; files of an earlier run are reused.

    Args:
        plan_file: Plan.
        manifest: Manifest of the clips.
        folder: Folder to write to.
        workers: Number of clips that are converted at once.

    Raises:
        InputError: The plan does not match the manifest, clips are missing or have no picture, or
            the folder holds a study that participants have joined.
    """
    plan = read_plan(plan_file)
    clips = read_manifest(manifest)
    taxonomy = _taxonomy(plan, plan_file.parent)
    rows = {row.clip_id: row for row in clips.rows}
    unnumbered = _items(plan, rows)
    used = sorted({clip for item in unnumbered for clip in item.clips})
    sources = _sources(clips, rows, used)
    with locked(folder, _COMMAND):
        if (folder / DATABASE_NAME).exists():
            raise InputError(
                f"{folder} holds a study that has begun ({DATABASE_NAME}): choose another folder"
            )
        keys = _keys(folder)
        converted = _convert(plan, plan_file.parent, sources, rows, folder, keys, workers)
        tests = _headphone_tests(plan, converted.values(), folder, keys)
        files = [clip.video for clip in converted.values()]
        files += [clip.still for clip in converted.values() if clip.still is not None]
        study = PreparedStudy(
            format_version=FORMAT_VERSION,
            plan=plan,
            taxonomy=taxonomy,
            token=keys["token"],
            curator_token=keys["curator_token"],
            media=(*files, *(file for _, file in tests)),
            items=tuple(_with_media(item, converted) for item in unnumbered),
            headphone_tests=tuple(test for test, _ in tests),
            tools={**_ENCODING.facts(), "decoder": media.decoder_version()},
        )
        write_prepared(folder, study)
    return study


def _taxonomy(plan: StudyPlan, folder: Path) -> Taxonomy | None:
    if plan.kind != "score" or not plan.distortions:
        return None
    return load_taxonomy(None if plan.taxonomy is None else folder / plan.taxonomy)


def _items(plan: StudyPlan, rows: Mapping[str, ManifestRow]) -> list[StudyItem]:
    """Items to show, not yet with their media."""
    return _pairs(plan, rows) if plan.kind == "pairwise" else _single(plan, rows)


def _single(plan: StudyPlan, rows: Mapping[str, ManifestRow]) -> list[StudyItem]:
    golden = {known.clip: known for known in plan.golden}
    _check_known("clip", (*plan.training, *golden), rows)
    items: list[StudyItem] = []
    for clip in (*plan.training, *sorted(rows.keys() - set(plan.training))):
        known = golden.get(clip)
        content, model = plan.content_and_model(clip)
        items.append(
            StudyItem(
                number=len(items),
                role="training" if clip in plan.training else "golden" if known else "rated",
                content=content,
                clips=(clip,),
                models=(model,),
                media=(),
                low=None if known is None else known.low,
                high=None if known is None else known.high,
            )
        )
    return _enough(items)


def _pairs(plan: StudyPlan, rows: Mapping[str, ManifestRow]) -> list[StudyItem]:
    clips: dict[str, dict[str, str]] = {}
    for clip in sorted(rows):
        content, model = plan.content_and_model(clip)
        clips.setdefault(model or REAL, {})[content] = clip
    contents = sorted({content for shown in clips.values() for content in shown})
    _check_known("content", plan.training, contents)
    golden = [(pair.clip, pair.against or "") for pair in plan.golden]
    _check_known("clip", [clip for pair in golden for clip in pair], rows)
    taken = {*plan.training, *(plan.content_and_model(better)[0] for better, _ in golden)}
    shown = {model: set(of) - taken for model, of in clips.items()}
    n_pairs = sum(len(first & second) for first, second in combinations(shown.values(), 2))
    trials = schedule(shown, plan.trials or n_pairs, seed=plan.seed)
    rng = np.random.default_rng(plan.seed)
    items: list[StudyItem] = []

    def add(role: Role, content: str, left: str, right: str) -> None:
        pair = clips[left][content], clips[right][content]
        items.append(StudyItem(len(items), role, content, pair, (left, right), media=()))

    for content in plan.training:
        models = sorted(model for model, of in clips.items() if content in of)
        if len(models) < 2:
            raise InputError(
                f"training: expected at least two clips of the content {content!r}, got one"
            )
        left, right = rng.permutation(len(models))[:2]
        add("training", content, models[int(left)], models[int(right)])
    for trial in trials:
        add("rated", trial.clip_id, trial.left, trial.right)
    for better, worse in golden:
        pair = (better, worse) if rng.random() < 0.5 else (worse, better)
        (content, left_model), (other, right_model) = map(plan.content_and_model, pair)
        if content != other:
            raise InputError(f"golden: expected two clips of one content, got {better} and {worse}")
        items.append(
            StudyItem(
                number=len(items),
                role="golden",
                content=content,
                clips=pair,
                models=(left_model or REAL, right_model or REAL),
                media=(),
                winner="left" if pair[0] == better else "right",
            )
        )
    return _enough(items)


def _enough(items: list[StudyItem]) -> list[StudyItem]:
    """The items, if some are rated and they can be ordered without a content twice in a row.

    Raises:
        InputError: None is rated, or more than half show one content.
    """
    rated = [item for item in items if item.role == "rated"]
    if not rated:
        raise InputError(
            "no clip is left to rate: every clip is used for training or as golden clip"
        )
    contents = [item.content for item in rated]
    most = max(sorted(set(contents)), key=contents.count)
    if 2 * contents.count(most) > len(contents) + 1:
        raise InputError(
            f"{contents.count(most)} of {len(contents)} clips show the content {most!r}, so it would "
            "appear twice in a row. Add clips of other contents, or correct the pattern `names`, by "
            "which a clip's id states its content."
        )
    return items


def _check_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _sources(
    clips: Manifest, rows: Mapping[str, ManifestRow], used: Sequence[str]
) -> dict[str, Path]:
    """File of each clip.

    Raises:
        InputError: Names every clip whose file is missing or differs from the manifest.
    """
    sources, faults = {}, []
    for clip in used:
        path = clips.file(rows[clip])
        if path is None or not path.is_file():
            faults.append(f"{clip}: its file is missing ({path or rows[clip].reason or 'no path'})")
        elif rows[clip].sha256 is not None and sha256_file(path) != rows[clip].sha256:
            faults.append(f"{clip}: {path.name} is not the file of the manifest (its hash differs)")
        else:
            sources[clip] = path
    if faults:
        raise InputError(f"{len(faults)} clips cannot be shown: {some_of(faults)}")
    return sources


def _keys(folder: Path) -> dict[str, str]:
    """Secrets of the study, made once, so that a second run gives files the same names."""
    file = folder / KEYS_NAME
    if file.is_file():
        keys: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return keys
    keys = {name: secrets.token_urlsafe(16) for name in ("token", "curator_token", "naming")}
    write_text(file, json.dumps(keys) + "\n")
    file.chmod(0o600)
    return keys


def _opaque(keys: Mapping[str, str], identity: str, suffix: str) -> str:
    """A file name that reveals nothing without the study's key."""
    mac = hmac.new(keys["naming"].encode(), identity.encode(), hashlib.sha256)
    return mac.hexdigest()[:24] + suffix


def _convert(
    plan: StudyPlan,
    plan_folder: Path,
    sources: Mapping[str, Path],
    rows: Mapping[str, ManifestRow],
    folder: Path,
    keys: Mapping[str, str],
    workers: int,
) -> dict[str, _Converted]:
    marked = plan.kind == "sliders-and-marks" and "marks" in plan.ask
    jobs = []
    for clip, source in sources.items():
        identity = f"{clip}:{rows[clip].sha256 or sha256_file(source)}"
        given = None
        if marked and plan.stills is not None:
            given = inside(plan_folder / plan.stills, f"{clip}.png")
        jobs.append(
            _Conversion(
                clip,
                source,
                folder / MEDIA_FOLDER / _opaque(keys, identity, ".mp4"),
                folder / MEDIA_FOLDER / _opaque(keys, f"{identity}:still", ".png")
                if marked
                else None,
                given,
                plan.turn,
            )
        )
    converted: dict[str, _Converted] = {}
    faults = []
    with Tasks(LocalEngine(workers)) as tasks:
        for job, result in tasks.run(_convert_clip, jobs, "convert", path=lambda job: job.source):
            if isinstance(result, Failure):
                faults.append(f"{job.clip_id}: {result.detail or result.reason}")
            else:
                converted[job.clip_id] = result
    if faults:
        raise InputError(
            f"{len(faults)} clips cannot be shown: {some_of(sorted(faults))}. Repair them or remove "
            "them from the manifest; clips that are already converted are kept."
        )
    return {clip: converted[clip] for clip in sources}


def _convert_clip(job: _Conversion) -> _Converted:
    """Convert a clip, unless an earlier run has done so.

    Raises:
        MediaError: The file is a still picture or does not decode, or the given still is missing or of
            another size.
    """
    facts = media.probe(job.source)
    if facts.n_frames < 2:
        raise MediaError(f"{job.source.name} is a still picture, not a clip")
    if not job.target.is_file():
        cut(job.source, Piece(0.0, inf), job.target, _ENCODING)
    made = media.probe(job.target)
    video = MediaFile(
        job.target.name,
        sha256_file(job.target),
        round(made.duration, 3),
        (made.width, made.height),
        made.audio_codec is not None,
    )
    return _Converted(video, None if job.still is None else _still(job, job.still))


def _still(job: _Conversion, target: Path) -> MediaFile:
    from PIL import Image

    if not target.is_file():
        if job.given_still is None:
            pixels = snapshots(job.target, job.turn)
        elif not job.given_still.is_file():
            raise MediaError(f"its still {job.given_still} is missing")
        else:
            try:
                with Image.open(job.given_still) as picture:
                    if picture.size != STILL_SIZE:
                        raise MediaError(
                            f"its still has {picture.width}x{picture.height} pixels, expected "
                            f"{STILL_SIZE[0]}x{STILL_SIZE[1]}"
                        )
                    pixels = np.asarray(picture.convert("RGB"))
            except (OSError, ValueError, SyntaxError) as error:
                raise MediaError(f"its still cannot be read: {error}") from None
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        with atomic_write(target) as out:
            out.write(stream.getvalue())
    return MediaFile(target.name, sha256_file(target), 0.0, STILL_SIZE)


def _headphone_tests(
    plan: StudyPlan, converted: Iterable[_Converted], folder: Path, keys: Mapping[str, str]
) -> list[tuple[HeadphoneTest, MediaFile]]:
    audible = any(clip.video.sound for clip in converted)
    checked = audible if plan.headphones is None else plan.headphones
    rng = np.random.default_rng(plan.seed)
    tests = []
    for number in range(_HEADPHONE_TESTS if checked else 0):
        digits = "".join(str(digit) for digit in rng.integers(1, 6, 3))
        path = folder / MEDIA_FOLDER / _opaque(keys, f"headphones:{number}", ".wav")
        with atomic_write(path) as out:
            out.write(tone_groups(digits))
        file = MediaFile(path.name, sha256_file(path), sound=True)
        tests.append((HeadphoneTest(path.name, digits), file))
    return tests


def _with_media(item: StudyItem, converted: Mapping[str, _Converted]) -> StudyItem:
    files = [converted[clip] for clip in item.clips]
    still = files[0].still
    return replace(
        item,
        media=tuple(file.video.name for file in files),
        still=None if still is None else still.name,
    )
