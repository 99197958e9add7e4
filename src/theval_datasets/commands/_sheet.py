"""Contact sheet of `inspect`: frames with the detected faces, and curves below."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Outcome, Values
from theval_datasets.media.frames import Frames
from theval_datasets.utils.files import atomic_write

_COLUMNS: Final = 4
_WIDE: Final = 3.2  # width of a frame, inches
_ALONE: Final = 8.0  # width of the frame of a still picture, inches
_CURVES: Final = 4.4  # height of all curves together, inches
_PICTURE: Final = 0.03  # distance of a frame from the picture of it that is judged, seconds
_DOT: Final = 0.018  # diameter of the dots of a mesh, in inter-ocular distances
_GREY: Final = "#555555"
_COLOURS: Final = ("#0b6fb3", "#b84a00", "#00775a", "#a03a78", "#7a6300", "#5b4fb0", "#1b7f96", "#6b5044")  # fmt: skip
_AXES: Final = (("#ff4040", "-"), ("#40ff40", "--"), ("#40a0ff", ":"))
_KINDS: Final = ("", " still", " duplicate", " brief")

Floats = npt.NDArray[np.float64]


def draw(
    path: Path,
    name: str,
    frames: Frames,
    times: Floats,
    values: Mapping[str, Values],
    outcomes: Mapping[str, Outcome],
) -> None:
    """Write a contact sheet as PNG.

    Args:
        path: Output file.
        name: Name of the clip, for the title.
        frames: Frames to show.
        times: float64 (n,): timestamps of all frames of the clip, in seconds.
        values: Values by extractor; extractors without values are absent.
        outcomes: Outcome by extractor; the title states the reason where one is not `ok`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(frames))
    rows = math.ceil(len(frames) / columns)
    height, width = frames.pixels[0].shape[:2]
    curves = len(frames) > 1
    wide = _WIDE if curves else _ALONE
    high = rows * (min(wide * height / width, 2 * wide) + 0.25)
    inches = (max(columns * wide, 2 * _WIDE), high + 0.6 + _CURVES * curves)
    figure = Figure(figsize=inches, dpi=100, layout="constrained")
    figure.suptitle(_title(name, values, outcomes), fontsize=8, parse_math=False, wrap=True)
    upper: Any = figure
    lower: Any = None
    if curves:
        halves: Any = figure.subfigures(2, 1, height_ratios=[high, _CURVES])
        upper, lower = halves
    cells = np.atleast_1d(upper.subplots(rows, columns)).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, pixels, time in zip(cells, frames.pixels, frames.times, strict=False):
        cell.imshow(pixels)
        cell.set_xlim(0, width)
        cell.set_ylim(height, 0)
        cell.set_title(f"{time:.2f} s", fontsize=7)
        _draw_boxes(cell, float(time), values)
        _draw_meshes(cell, float(time), values, 72 * wide / width)
    if lower is not None:
        _draw_curves(lower, frames.times, times, values, outcomes)
    canvas = FigureCanvasAgg(figure)
    image = io.BytesIO()
    canvas.print_png(image)
    with atomic_write(path) as stream:
        stream.write(image.getbuffer())


def _title(name: str, values: Mapping[str, Values], outcomes: Mapping[str, Outcome]) -> str:
    """The clip's name, undefined features by reason, and a legend of the drawings."""
    first = [name]
    if "faces" in values:
        count = int(values["faces"]["n_subjects"])
        first.append(f"{count} {'person' if count == 1 else 'people'}")
    reasons: dict[str, list[str]] = {}
    for extractor, outcome in outcomes.items():
        if outcome.reason:
            reasons.setdefault(outcome.reason, []).append(extractor)
    first += [f"{reason}: {', '.join(names)}" for reason, names in reasons.items()]
    lines = ["  ·  ".join(first)]
    if "faces" in values:
        lines.append(
            "#: track, p: person; axes: right red solid, down green dashed, forward blue dotted; shaded: speech"
        )
    if "active_speaker" in values:
        lines[-1] += "; thick box: speaks"
    return "\n".join(lines)


def _colour(track: int) -> str:
    return _COLOURS[track % len(_COLOURS)]


def _draw_boxes(cell: Any, time: float, values: Mapping[str, Values]) -> None:
    from matplotlib.patches import Rectangle

    from theval_datasets.features.people.tracks import boxes_at, sightings

    faces = values.get("faces")
    if faces is None:
        return
    step = float(np.diff(faces["time"]).max()) if len(faces["time"]) > 1 else 0.0
    for track, kind in enumerate(faces["track_kind"].tolist()):
        begin, end = float(faces["track_start"][track]), float(faces["track_end"][track])
        if not begin - step / 2 <= time <= end + step:
            continue
        own = sightings(faces, track)
        sampled = faces["time"][faces["sample"][own]]
        left, top, right, bottom = boxes_at(sampled, faces["box"][own], np.array([time]))[0]
        dashed = "-" if kind == 0 else ":"
        speaks = _speaks(values.get("active_speaker"), track, time)
        box = Rectangle((left, top), right - left, bottom - top, fill=False)
        box.set(edgecolor=_colour(track), linestyle=dashed, linewidth=4.0 if speaks else 1.4)
        cell.add_patch(box)
        suffix = " speaks" if speaks else ""
        label = f"#{track} p{int(faces['track_person'][track])}{_KINDS[kind]}{suffix}"
        cell.text(left, top, label, fontsize=6, color="white", va="bottom", clip_on=True,
                  bbox={"facecolor": _colour(track), "edgecolor": "none", "pad": 0.8})  # fmt: skip


def _speaks(speakers: Values | None, track: int, time: float) -> bool:
    """Whether the person of a track speaks at a time."""
    if speakers is None:
        return False
    here = (speakers["track"] == track) & (np.abs(speakers["time"] - time) <= _PICTURE)
    return bool(speakers["speaking"][here].any())


def _draw_turns(axis: Any, speakers: Values) -> None:
    """Draw who speaks when, a row per track, and speech of nobody visible below."""
    from theval_datasets.features.active_speaker import turns

    tracks = np.unique(speakers["track"]).tolist()
    rows = {track: len(tracks) - i for i, track in enumerate(tracks)}
    for track in tracks:
        times = speakers["time"][speakers["track"] == track]
        axis.plot(
            times, np.full(len(times), rows[track]), ".", color=_colour(track), markersize=0.6
        )
    for turn in turns(speakers):
        row = rows[turn.track]
        axis.plot(
            (turn.start, turn.end),
            (row, row),
            color=_colour(turn.track),
            linewidth=5,
            solid_capstyle="butt",
        )
    for begin, end in speakers["off_screen"].tolist():
        axis.plot((begin, end), (0, 0), color=_GREY, linewidth=5, solid_capstyle="butt")
    axis.set_yticks([0, *rows.values()], ["off-screen", *(f"#{track}" for track in rows)])
    axis.set_ylim(-0.7, len(tracks) + 0.7)
    axis.grid(visible=False)


def _draw_meshes(cell: Any, time: float, values: Mapping[str, Values], scale: float) -> None:
    """Draw the meshes of a time; `scale` is the size of a pixel in typographic points."""
    from theval_datasets.extraction.mesh import inter_ocular, pixels

    mesh, angles = _meshes(values)
    if mesh is None:
        return
    rows = np.flatnonzero(np.abs(mesh["time"] - time) < 2e-3)
    if not len(rows):
        return
    points = pixels(mesh["mesh"][rows], int(mesh["width"]), int(mesh["height"]))
    for row, face, size in zip(rows, points, inter_ocular(points), strict=True):
        colour = _colour(int(mesh["track"][row]))
        dot = max(0.5, _DOT * float(size) * scale)
        cell.scatter(face[:468, 0], face[:468, 1], s=dot**2, color=colour, linewidths=0)
        if angles is not None:
            pitch, yaw, roll = (float(angles[name][row]) for name in ("pitch", "yaw", "roll"))
            _draw_axes(cell, face[1, :2], 1.2 * float(size), pitch, yaw, roll)


def _draw_axes(
    cell: Any, origin: Floats, length: float, pitch: float, yaw: float, roll: float
) -> None:
    """Draw the head's right, down and forward axes as projected into the picture."""
    p, y, r = np.radians((-pitch, yaw, roll))
    turn = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    aside = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    axes = (turn @ aside @ nod) * np.array((1.0, 1.0, -1.0))  # the face looks at the camera: -z
    for axis, (colour, style) in zip(axes.T, _AXES, strict=True):
        end = origin + length * axis[:2]
        cell.plot([origin[0], end[0]], [origin[1], end[1]], style, color=colour, linewidth=1.5)


def _meshes(values: Mapping[str, Values]) -> tuple[Values | None, Values | None]:
    """Meshes and poses by track; without tracks, those of the single face of the whole frame."""
    if "person_landmarks" in values:
        return values["person_landmarks"], values.get("person_pose")
    whole = values.get("landmarks")
    if whole is None:
        return None, None
    count = len(whole["mesh"])
    rows: Values = {
        "track": np.zeros(count, np.int32),
        "time": whole["time"][whole["face"]],
        **{name: whole[name] for name in ("mesh", "width", "height")},
    }
    return rows, values.get("head_pose")


def _draw_curves(
    part: Any,
    shown: Floats,
    frame_times: Floats,
    values: Mapping[str, Values],
    outcomes: Mapping[str, Outcome],
) -> None:
    speakers = values.get("active_speaker")
    openness, loudness, *speaks, pose = part.subplots(3 if speakers is None else 4, 1, sharex=True)
    labels = ("openness", "loudness", *("speaks" for _ in speaks), "pose, °")
    for axis, label in zip((openness, loudness, *speaks, pose), labels, strict=True):
        axis.set_ylabel(label, fontsize=7)
        axis.tick_params(labelsize=6)
        for time in shown.tolist():
            axis.axvline(time, color="#cccccc", linewidth=0.6, zorder=0)
    pose.set_xlim(float(frame_times[0]), float(frame_times[-1]))
    pose.set_xlabel("seconds", fontsize=7)
    mesh, angles = _meshes(values)
    if mesh is None:
        _say(openness, outcomes, "landmarks")
        _say(pose, outcomes, "head_pose")
    else:
        _draw_faces(openness, pose, mesh, angles)
    if speakers is not None:
        _draw_turns(speaks[0], speakers)
    sound = values.get("loudness")
    if sound is None:
        _say(loudness, outcomes, "loudness")
    elif len(sound["heard"]) == len(frame_times):
        _line(loudness, frame_times[sound["heard"]], sound["rms"], "#333333")
    if "vad" in values:
        _draw_speech(loudness, values["vad"])
        for begin, end in values["vad"]["segments"].tolist():
            for axis in (openness, loudness):
                axis.axvspan(begin, end, color="#ffe08a", alpha=0.5, linewidth=0, zorder=-1)


def _draw_faces(openness: Any, pose: Any, mesh: Values, angles: Values | None) -> None:
    """Draw mouth opening and head pose of every track."""
    from matplotlib.lines import Line2D

    from theval_datasets.extraction.mesh import pixels
    from theval_datasets.features.formulas.signals import mouth_openness

    points = pixels(mesh["mesh"], int(mesh["width"]), int(mesh["height"]))
    opened = mouth_openness(points)
    tracks = np.unique(mesh["track"]).tolist()
    styles = {"yaw": "-", "pitch": "--", "roll": ":"}
    for track in tracks:
        own = mesh["track"] == track
        times = mesh["time"][own]
        _line(openness, times, opened[own], _colour(track))
        if angles is not None:
            for name, style in styles.items():
                _line(pose, times, angles[name][own], _colour(track), style)
    by_track = [Line2D([], [], color=_colour(track), label=f"#{track}") for track in tracks]
    by_angle = [Line2D([], [], color=_GREY, linestyle=s, label=n) for n, s in styles.items()]
    for axis, handles in ((openness, by_track), (pose, by_angle)):
        axis.legend(handles=handles, fontsize=6, loc="lower right", bbox_to_anchor=(1, 1),
                    ncols=len(handles), frameon=False, borderaxespad=0.1)  # fmt: skip


def _draw_speech(loudness: Any, vad: Values) -> None:
    """Draw the probability of speech on an axis of its own."""
    from theval_datasets.features.vad import CHUNK
    from theval_datasets.media.frames import SAMPLE_RATE

    beside = loudness.twinx()
    beside.set_ylim(0, 1.05)
    beside.tick_params(labelsize=6)
    beside.set_ylabel("speech", fontsize=7)
    probability = vad["probability"]
    at = float(vad["start"]) + (np.arange(len(probability)) + 0.5) * CHUNK / SAMPLE_RATE
    beside.plot(at, probability, color="#b8860b", linewidth=0.6)


def _line(axis: Any, times: Floats, heights: Any, colour: str, style: str = "-") -> None:
    """Draw a curve with gaps where frames are missing."""
    steps = np.diff(times)
    longest = 3 * float(np.median(steps)) if len(steps) else 0.0
    for piece in np.split(np.arange(len(times)), np.flatnonzero(steps > longest) + 1):
        axis.plot(times[piece], heights[piece], style, color=colour, linewidth=0.9)


def _say(axis: Any, outcomes: Mapping[str, Outcome], extractor: str) -> None:
    outcome = outcomes.get(extractor)
    reason = outcome.reason if outcome else "not measured"
    axis.text(0.5, 0.5, str(reason), transform=axis.transAxes, ha="center", fontsize=8)
