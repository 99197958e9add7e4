"""`collect export`: tables that `study` and `build` read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from theval_datasets.utils.files import atomic_write, inside, write_text
from theval_datasets.utils.locks import locked
from theval_datasets.utils.records import to_plain

from ..study.marks import Image, red_mask
from .prepared import MEDIA_FOLDER
from .store import AnswerRow, Participant, Store

DOT_RADIUS: Final = 6
"""Radius of a red dot in pixels, as in Gen3DHF's marks."""
_RATINGS: Final = ("subject", "clip_id", "dimension", "session", "repetition", "score")
_VOTES: Final = ("subject", "left", "right", "winner", "clip_id", "time")
_MARKS: Final = ("subject", "clip_id", "x", "y", "time")
_PRESENTATIONS: Final = (
    "subject", "position", "session", "role", "repetition", "clips", "revision", "plays", "seen",
    "seconds_seen", "stalls", "seconds_stalled", "shown", "answered", "passed",
)  # fmt: skip
_CHECKS: Final = ("subject", "position", "session", "role", "clips", "wanted", "answer", "passed")


def export_study(folder: Path, store: Store, output: Path) -> list[Path]:
    """Write the last revision of every answer so far.

    Args:
        folder: Folder of the study.
        store: Database of the study.
        output: Folder to write to.

    Returns:
        The files: `ratings.csv`, `votes.csv`, `marks.csv`, `marks/` and `descriptions.csv` if the
        study asks for them; `presentations.csv`, `checks.csv` and `protocol.yaml` always.
    """
    study = store.study
    rows = list(store.answers())
    rated = [row for row in rows if row.presentation.role == "rated"]
    plan = study.plan
    with locked(output, "collect export"):
        files = []
        if plan.scored:
            columns = (*_RATINGS, *(("distortions",) if study.taxonomy else ()), "time")
            files.append(_table(output / "ratings.csv", columns, _ratings(store, rated)))
        if plan.kind == "pairwise":
            files.append(_table(output / "votes.csv", _VOTES, _votes(store, rated)))
        if plan.kind == "sliders-and-marks":
            firsts = [row for row in rated if row.presentation.repetition == 1]
            if "marks" in plan.ask:
                files.append(_table(output / "marks.csv", _MARKS, _marks(store, firsts)))
                files += _pictures(folder, store, firsts, output / "marks")
            if "text" in plan.ask:
                columns = ("clip_id", "description", "subject")
                files.append(
                    _table(output / "descriptions.csv", columns, _descriptions(store, firsts))
                )
        presentations = (_presentation(store, row) for row in rows)
        files.append(_table(output / "presentations.csv", _PRESENTATIONS, presentations))
        checks = (_check(store, row) for row in rows if row.passed is not None)
        files.append(_table(output / "checks.csv", _CHECKS, checks))
        if plan.taxonomy is not None and study.taxonomy is not None:
            files.append(_yaml(output / "taxonomy.yaml", to_plain(study.taxonomy)))
        files.append(_yaml(output / "protocol.yaml", protocol_of(store, rows)))
    return files


def protocol_of(store: Store, rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Facts of the study for the card, as `study --protocol` and `build` read them.

    Facts that the plan states replace those that are derived here.
    """
    plan = store.study.plan
    rules = plan.sessions
    people = store.participants()
    screens = sorted({person["screen"] for person in people if person["screen"]})
    with_headphones = sum(bool(person["headphones"]) for person in people)
    rated = {row.participant for row in rows if row.presentation.role == "rated"}
    checks = [row.passed for row in rows if row.passed is not None]
    facts: dict[str, Any] = {
        "subjects": f"{len(rated)} anonymous participants, by a random code each.",
        "sessions": (
            f"In a web browser; at most {rules.max_clips} presentations a session, breaks of "
            f"{rules.break_minutes:g} min, at most {rules.per_day} sessions a day; "
            f"{len(plan.training)} clips of training; {rules.repeat_share:.0%} of the clips shown "
            f"twice; {sum(map(bool, checks))} of {len(checks)} traps and golden clips passed. "
            "Order drawn for each participant, no content twice running, each clip played to its end."
        ),
        "display": (
            f"Participants' own screens, of at least {plan.screen.width}x{plan.screen.height}"
            f"{' (phones allowed)' if plan.screen.phones else ''}: {', '.join(screens) or 'none yet'}. "
            f"Headphones checked by counting tones: {with_headphones} of {len(people)}."
        ),
        "instructions": " ".join(filter(None, (plan.question, plan.instructions))),
        "consent": plan.consent.strip(),
    }
    if plan.scored:
        facts["scale"] = list(plan.score_range)
    stated = {k: v for k, v in to_plain(plan.protocol).items() if v}
    return {**facts, **stated}


def _subject(row: AnswerRow) -> str:
    return Participant(row.participant, "", None, 0, False).subject


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _ratings(store: Store, rows: Sequence[AnswerRow]) -> Iterator[dict[str, Any]]:
    taxonomy = store.study.taxonomy
    for row in rows:
        ticked = set(row.answer.distortions)
        bits = "".join(
            "1" if name in ticked else "0" for name in (taxonomy.ids if taxonomy else ())
        )
        for dimension in store.study.plan.scored:
            yield {
                "subject": _subject(row),
                "clip_id": store.items[row.presentation.item].clips[0],
                "dimension": dimension,
                "session": row.presentation.session,
                "repetition": row.presentation.repetition,
                "score": f"{row.answer.scores[dimension]:g}",
                "distortions": bits,
                "time": _time(row.time),
            }


def _votes(store: Store, rows: Sequence[AnswerRow]) -> Iterator[dict[str, Any]]:
    """First votes only; repeated presentations of a pair are listed in `presentations.csv`."""
    for row in rows:
        if row.presentation.repetition == 1:
            item = store.items[row.presentation.item]
            yield {
                "subject": _subject(row),
                "left": item.models[0],
                "right": item.models[1],
                "winner": row.answer.choice,
                "clip_id": item.content,
                "time": _time(row.time),
            }


def _marks(store: Store, rows: Sequence[AnswerRow]) -> Iterator[dict[str, Any]]:
    """One row per mark; a still without marks has one row without coordinates."""
    for row in rows:
        for x, y in row.answer.marks or (("", ""),):
            yield {
                "subject": _subject(row),
                "clip_id": store.items[row.presentation.item].clips[0],
                "x": x,
                "y": y,
                "time": _time(row.time),
            }


def _descriptions(store: Store, rows: Sequence[AnswerRow]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row.answer.text.strip():
            yield {
                "clip_id": store.items[row.presentation.item].clips[0],
                "description": " ".join(row.answer.text.split()),
                "subject": _subject(row),
            }


def _presentation(store: Store, row: AnswerRow) -> dict[str, Any]:
    item, shown, playback = store.items[row.presentation.item], row.presentation, row.playback
    seconds = {file.name: file.seconds for file in store.study.media}
    seen = sum(
        share * seconds[name] for share, name in zip(playback.seen, item.media, strict=True)
    )  # fmt: skip
    return {
        "subject": _subject(row),
        "position": shown.position,
        "session": shown.session,
        "role": shown.role,
        "repetition": shown.repetition,
        "clips": " / ".join(item.clips),
        "revision": row.revision,
        "plays": " / ".join(map(str, playback.plays)),
        "seen": " / ".join(f"{share:.3f}" for share in playback.seen),
        "seconds_seen": f"{seen:.2f}",
        "stalls": playback.stalls,
        "seconds_stalled": f"{playback.stalled:.2f}",
        "shown": _time(row.first_shown),
        "answered": _time(row.time),
        "passed": "" if row.passed is None else int(row.passed),
    }


def _check(store: Store, row: AnswerRow) -> dict[str, Any]:
    item, shown = store.items[row.presentation.item], row.presentation
    wanted = shown.wanted if shown.role == "trap" else item.winner or [item.low, item.high]
    return {
        "subject": _subject(row),
        "position": shown.position,
        "session": shown.session,
        "role": shown.role,
        "clips": " / ".join(item.clips),
        "wanted": json.dumps(wanted),
        "answer": json.dumps(row.answer.choice or row.answer.scores),
        "passed": int(bool(row.passed)),
    }


def _pictures(
    folder: Path, store: Store, rows: Sequence[AnswerRow], output: Path
) -> Iterator[Path]:
    from PIL import Image as Pillow

    stills: dict[str, Image] = {}
    for row in rows:
        item = store.items[row.presentation.item]
        if item.still is None:
            continue
        if item.still not in stills:
            with Pillow.open(inside(folder / MEDIA_FOLDER, item.still)) as picture:
                stills = {item.still: np.asarray(picture.convert("RGB"))}
        path = inside(output, f"{_subject(row)}/{item.clips[0]}.png")
        stream = io.BytesIO()
        Pillow.fromarray(with_dots(stills[item.still], row.answer.marks)).save(stream, "PNG")
        with atomic_write(path) as out:
            out.write(stream.getvalue())
        yield path


def with_dots(still: Image, marks: Sequence[tuple[int, int]]) -> Image:
    """A still with a red dot at each mark.

    Pixels of the still that are as red as a dot become grey, so that they are not taken for marks.

    Args:
        still: uint8 (height, width, 3), RGB.
        marks: Column and row of each mark in pixels.

    Returns:
        uint8 (height, width, 3), RGB.

    Example:
        >>> picture = with_dots(np.full((64, 64, 3), 200, np.uint8), [(20, 30)])
        >>> picture[30, 20].tolist(), picture[0, 0].tolist()
        ([255, 0, 0], [200, 200, 200])
    """
    picture = still.copy()
    red = red_mask(picture)
    picture[red] = picture[red].mean(axis=1, keepdims=True).astype(np.uint8)
    rows, columns = np.mgrid[: still.shape[0], : still.shape[1]]
    for column, row in marks:
        picture[(rows - row) ** 2 + (columns - column) ** 2 <= DOT_RADIUS**2] = (255, 0, 0)
    return picture


def _table(path: Path, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> Path:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())
    return path


def _yaml(path: Path, plain: Mapping[str, Any]) -> Path:
    write_text(path, yaml.safe_dump(dict(plain), sort_keys=False, allow_unicode=True, width=100))
    return path
