"""The database of a study: participants, presentations, answers.

One connection writes while the server runs (SQLite, WAL, synchronous=FULL): when a method returns, its
changes are on disk. Answers to training, trap and golden clips are in a table of their own, `checks`;
`votes` holds exactly what is exported.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from theval_datasets.errors import InputError, StorageError, ThevalError
from theval_datasets.utils.files import canonical_json
from theval_datasets.utils.records import from_plain, to_plain

from .answers import Answer, Playback, check_answer, check_playback, passes
from .prepared import DATABASE_NAME, PreparedStudy
from .sessions import Presentation, plan_presentations

SECRET_BYTES: Final = 15
"""Random bytes of a participant's id: 120 bits, 24 characters as a resume code."""
ABANDONED: Final = 48 * 3600.0
"""Seconds of inactivity after which items that a participant has not rated are assigned to others."""
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # five bits a character, none that look alike
_PRESENTATION: Final = "position, session, item, role, repetition, wanted"
"""Columns of `presentations` that make a `Presentation`."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS study (token TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS participants (
  number INTEGER PRIMARY KEY,
  secret TEXT NOT NULL UNIQUE,
  language TEXT NOT NULL,
  joined REAL NOT NULL,
  seen REAL NOT NULL,
  screen TEXT,
  headphone_test INTEGER NOT NULL DEFAULT 0,
  headphones INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS presentations (
  participant INTEGER NOT NULL REFERENCES participants,
  position INTEGER NOT NULL,
  session INTEGER NOT NULL,
  item INTEGER NOT NULL,
  role TEXT NOT NULL,
  repetition INTEGER NOT NULL,
  wanted TEXT,
  first_shown REAL,
  shown REAL,
  PRIMARY KEY (participant, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS planned ON presentations (item, role, repetition);
CREATE TABLE IF NOT EXISTS votes (
  participant INTEGER NOT NULL,
  position INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  answer TEXT NOT NULL,
  playback TEXT NOT NULL,
  time REAL NOT NULL,
  PRIMARY KEY (participant, position, revision),
  FOREIGN KEY (participant, position) REFERENCES presentations
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checks (
  participant INTEGER NOT NULL,
  position INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  answer TEXT NOT NULL,
  playback TEXT NOT NULL,
  time REAL NOT NULL,
  passed INTEGER,
  PRIMARY KEY (participant, position, revision),
  FOREIGN KEY (participant, position) REFERENCES presentations
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS answers AS
  SELECT participant, position, revision, answer, playback, time, NULL AS passed FROM votes
  UNION ALL
  SELECT participant, position, revision, answer, playback, time, passed FROM checks;
"""


class ConflictError(ThevalError):
    """Another answer to the presentation is on disk, or another presentation is due."""


@dataclass(frozen=True, slots=True)
class Participant:
    """An anonymous participant.

    Attributes:
        number: Number in the order of joining, from 1.
        language: Language of the page.
        screen: Reported size of the screen, as ``1920x1080``; None before the check.
        headphone_test: Index of the next headphone test.
        headphones: Whether a headphone test was passed.
    """

    number: int
    language: str
    screen: str | None
    headphone_test: int
    headphones: bool

    @property
    def subject(self) -> str:
        """Name in exports.

        Example:
            >>> Participant(7, "en", None, 0, False).subject
            'p0007'
        """
        return f"p{self.number:04d}"


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The last revision of an answer, with its presentation.

    Attributes:
        participant: Number of the participant.
        presentation: Presentation.
        revision: Number of the revision, from 0.
        answer: Answer.
        playback: Playback of the clips.
        first_shown: Time at which the clips were first shown, in seconds since 1970.
        time: Time at which the answer was received, in seconds since 1970.
        passed: Whether a trap or golden clip was answered correctly; None for others.
    """

    participant: int
    presentation: Presentation
    revision: int
    answer: Answer
    playback: Playback
    first_shown: float
    time: float
    passed: bool | None


class Store:
    """A study's database.

    Args:
        folder: Folder of the study.
        study: Study that was prepared in it.
        readonly: Whether to only read, which is possible while a server writes.

    Raises:
        InputError: The database belongs to another study, or nobody has taken part yet (readonly).
    """

    def __init__(self, folder: Path, study: PreparedStudy, *, readonly: bool = False) -> None:
        self.study = study
        self.items = {item.number: item for item in study.items}
        self.path = folder / DATABASE_NAME
        if readonly and not self.path.is_file():
            raise InputError(f"nobody has taken part yet: there is no {self.path}")
        place = f"file:{self.path}?mode={'ro' if readonly else 'rwc'}"
        try:
            self._connection = sqlite3.connect(
                place, uri=True, isolation_level=None, check_same_thread=False, timeout=30
            )
            if not readonly:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("PRAGMA foreign_keys=ON")
                self._connection.executescript(_SCHEMA)
                self._claim()
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _claim(self) -> None:
        with self._transaction():
            row = self._row("SELECT token FROM study")
            if row is None:
                self._connection.execute("INSERT INTO study VALUES (?)", (self.study.token,))
            elif row[0] != self.study.token:
                raise InputError(f"{self.path} belongs to another study than {self.path.parent}")

    def _fault(self, error: sqlite3.Error) -> ThevalError:
        text = str(error)
        if "full" in text or "readonly" in text or "unable to open" in text or "I/O" in text:
            return StorageError(
                f"{self.path} cannot be written: {text}. Make room there; every answer that was "
                "acknowledged is kept."
            )
        return InputError(f"{self.path} cannot be used: {text}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A block whose changes are made completely or not at all.

        They are on disk when the outermost block ends.
        """
        inner = self._connection.in_transaction
        begin, commit, undo = ("SAVEPOINT inner", "RELEASE inner", "ROLLBACK TO inner") if inner else (
            "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
        )  # fmt: skip
        try:
            self._connection.execute(begin)
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute(undo)
                    if inner:
                        self._connection.execute(commit)
                raise
            self._connection.execute(commit)
        except sqlite3.Error as error:
            if not inner and self._connection.in_transaction:
                self._connection.execute(undo)
            raise self._fault(error) from None

    def together(self, actions: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run actions that arrived at the same time, with a single write to disk.

        Args:
            actions: Actions; each succeeds or fails on its own.

        Returns:
            The result or exception of each; if nothing could be written, that exception for all.
        """
        results: list[Any] = []
        try:
            with self._transaction():
                for action in actions:
                    try:
                        with self._transaction():
                            results.append(action())
                    except Exception as error:  # noqa: BLE001  # it is the result of this action only
                        results.append(error)
                    if (
                        not self._connection.in_transaction
                    ):  # a full disk has ended the outer transaction
                        raise sqlite3.OperationalError("database or disk is full")
        except ThevalError as fault:
            return [fault] * len(actions)
        return results

    def _row(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql, values).fetchone()

    # Participants

    def join(self, language: str, now: float) -> tuple[Participant, str]:
        """Register a participant and plan their presentations.

        Args:
            language: Language of the page.
            now: Seconds since 1970.

        Returns:
            The participant, and their id, which is also the resume code; only its hash is stored.
        """
        secret = new_code()
        with self._transaction():
            number = int(self._row("SELECT coalesce(max(number), 0) + 1 FROM participants")[0])
            self._connection.execute(
                "INSERT INTO participants (number, secret, language, joined, seen) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, _hashed(secret), language, now, now),
            )
            planned = plan_presentations(self.study, self.planned_counts(now), number)
            self._connection.executemany(
                "INSERT INTO presentations VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                [
                    (number, p.position, p.session, p.item, p.role, p.repetition,
                     None if p.wanted is None else json.dumps(p.wanted))
                    for p in planned
                ],
            )  # fmt: skip
        return Participant(number, language, None, 0, False), secret

    def planned_counts(self, now: float) -> dict[int, int]:
        """Number of participants who have rated each item or are expected to, by item."""
        rows = self._connection.execute(
            "SELECT p.item, count(*) FROM presentations p JOIN participants w "
            "ON w.number = p.participant WHERE p.role = 'rated' AND p.repetition = 1 "
            "AND (w.seen > ? OR EXISTS (SELECT 1 FROM votes v WHERE v.participant = p.participant "
            "AND v.position = p.position)) GROUP BY p.item",
            (now - ABANDONED,),
        )
        return dict(rows.fetchall())

    def participant(self, secret: str) -> Participant | None:
        """The participant with an id; None if there is none."""
        row = self._row(
            "SELECT number, language, screen, headphone_test, headphones FROM participants "
            "WHERE secret = ?",
            _hashed(secret),
        )
        if row is None:
            return None
        number, language, screen, test, passed = row
        return Participant(number, language, screen, test, bool(passed))

    def set_screen(self, number: int, screen: str, now: float) -> None:
        """Record the size of an accepted screen."""
        self._update(number, "screen = ?, seen = ?", screen, now)

    def set_headphones(self, number: int, *, passed: bool, now: float) -> None:
        """Record the result of a headphone test; after a failure the next test is used."""
        step = "headphones = ?, headphone_test = headphone_test + ?, seen = ?"
        self._update(number, step, int(passed), int(not passed), now)

    def _update(self, number: int, assignments: str, *values: Any) -> None:
        with self._transaction():
            self._connection.execute(
                f"UPDATE participants SET {assignments} WHERE number = ?",  # a constant of this module
                (*values, number),
            )

    # Presentations

    def current(self, number: int) -> Presentation | None:
        """The first presentation without an answer; None if all are answered."""
        row = self._row(
            f"SELECT {_PRESENTATION} FROM presentations p "
            "WHERE participant = ? AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.participant = "
            "p.participant AND a.position = p.position) ORDER BY position LIMIT 1",
            number,
        )
        return None if row is None else _presentation(row)

    def presentation(self, number: int, position: int) -> Presentation | None:
        """A participant's presentation at a position."""
        row = self._row(
            f"SELECT {_PRESENTATION} FROM presentations WHERE participant = ? AND position = ?",
            number,
            position,
        )
        return None if row is None else _presentation(row)

    def upcoming(self, number: int, position: int, n: int) -> list[Presentation]:
        """The next `n` presentations from a position on."""
        rows = self._connection.execute(
            f"SELECT {_PRESENTATION} FROM presentations "
            "WHERE participant = ? AND position >= ? ORDER BY position LIMIT ?",
            (number, position, n),
        )
        return [_presentation(row) for row in rows]

    def session_counts(self, number: int) -> list[tuple[int, int, int]]:
        """Number of each session, of its presentations, and of those that are answered."""
        rows = self._connection.execute(
            "SELECT session, count(*), count(a.position) FROM presentations p LEFT JOIN "
            "(SELECT DISTINCT position FROM answers WHERE participant = ?) a USING (position) "
            "WHERE p.participant = ? GROUP BY session ORDER BY session",
            (number, number),
        )
        return rows.fetchall()

    def session_begun(self, number: int, session: int) -> bool:
        """Whether a participant has begun a session."""
        return self._row(
            "SELECT 1 FROM presentations WHERE participant = ? AND session = ? "
            "AND first_shown IS NOT NULL LIMIT 1",
            number,
            session,
        ) is not None  # fmt: skip

    def session_starts(self, number: int) -> list[float]:
        """Start times of the sessions that have begun, without the training."""
        rows = self._connection.execute(
            "SELECT min(first_shown) FROM presentations WHERE participant = ? AND session > 0 "
            "AND first_shown IS NOT NULL GROUP BY session",
            (number,),
        )
        return [row[0] for row in rows]

    def session_end(self, number: int, session: int) -> float | None:
        """Time of the last answer of a session."""
        row = self._row(
            "SELECT max(a.time) FROM answers a JOIN presentations p USING (participant, position) "
            "WHERE participant = ? AND session = ?",
            number,
            session,
        )
        end: float | None = row[0]
        return end

    def mark_shown(self, number: int, position: int, now: float) -> None:
        """Record that the clips of a presentation begin to play."""
        with self._transaction():
            self._connection.execute(
                "UPDATE presentations SET shown = ?, first_shown = coalesce(first_shown, ?) "
                "WHERE participant = ? AND position = ?",
                (now, now, number, position),
            )
            self._connection.execute(
                "UPDATE participants SET seen = ? WHERE number = ?", (now, number)
            )

    # Answers

    def submit(
        self,
        number: int,
        position: int,
        revision: int,
        answer: Answer,
        playback: Playback,
        now: float,
    ) -> Literal["new", "same"]:
        """Store an answer; storing it twice changes nothing.

        Args:
            number: Number of the participant.
            position: Position of the presentation.
            revision: 0 for the first answer; increased by one for each later change.
            answer: Answer.
            playback: Playback of the clips.
            now: Seconds since 1970.

        Returns:
            `same` if an identical answer was on disk already.

        Raises:
            ConflictError: Another answer is on disk, or another presentation is due.
            InputError: The answer does not match the study, or the clips were not seen.
            StorageError: The disk is full; nothing was changed.
        """
        shown = self.presentation(number, position)
        if shown is None:
            raise InputError(f"there is no presentation {position}")
        item = self.items[shown.item]
        check_answer(self.study, item, answer)
        text = canonical_json(to_plain(answer))
        with self._transaction():
            row = self._row(
                "SELECT answer FROM answers WHERE participant = ? AND position = ? AND revision = ?",
                number,
                position,
                revision,
            )
            if row is not None:
                if row[0] == text:
                    return "same"
                raise ConflictError("another answer to this presentation is on disk already")
            if revision:
                self._check_revision(number, shown, revision)
            else:
                self._check_first(number, shown, playback, now)
            values = [number, position, revision, text, canonical_json(to_plain(playback)), now]
            if shown.role == "rated":
                table, marks = "votes", "?, ?, ?, ?, ?, ?"
            else:
                table, marks = "checks", "?, ?, ?, ?, ?, ?, ?"
                passed = passes(item, shown, answer)
                values.append(None if passed is None else int(passed))
            self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
            self._connection.execute(
                "UPDATE participants SET seen = ? WHERE number = ?", (now, number)
            )
        return "new"

    def _check_first(
        self, number: int, shown: Presentation, playback: Playback, now: float
    ) -> None:
        current = self.current(number)
        if current is None or current.position != shown.position:
            raise ConflictError(f"presentation {shown.position} is not the next one")
        row = self._row(
            "SELECT shown FROM presentations WHERE participant = ? AND position = ?",
            number,
            shown.position,
        )
        if row[0] is None:
            raise InputError("the clips have not been shown")
        item = self.items[shown.item]
        check_playback(item, playback, self.study.seconds_of(item), now - row[0])

    def _check_revision(self, number: int, shown: Presentation, revision: int) -> None:
        last = self.last_answer(number, shown.position)
        if last is None or last[0] != revision - 1:
            raise ConflictError(f"revision {revision} does not follow the one on disk")
        newest = self._row(
            "SELECT max(p.session) FROM answers a JOIN presentations p USING (participant, position) "
            "WHERE participant = ?",
            number,
        )
        if newest[0] != shown.session:
            raise ConflictError("answers of a finished session cannot be changed")

    def last_answer(self, number: int, position: int) -> tuple[int, Answer] | None:
        """Number of an answer's last revision, and the answer; None without an answer."""
        row = self._row(
            "SELECT revision, answer FROM answers WHERE participant = ? AND position = ? "
            "ORDER BY revision DESC LIMIT 1",
            number,
            position,
        )
        return None if row is None else (row[0], from_plain(Answer, json.loads(row[1]), "answer"))

    # Reading by status and export

    def answers(self) -> Iterator[AnswerRow]:
        """Last revision of every answer, by participant and position."""
        rows = self._connection.execute(
            f"SELECT participant, {_PRESENTATION}, first_shown, "
            "max(revision), answer, playback, time, passed FROM answers JOIN presentations "
            "USING (participant, position) GROUP BY participant, position "
            "ORDER BY participant, position"
        )
        for who, *shown, first, revision, answer, playback, time, passed in rows:
            yield AnswerRow(
                who,
                _presentation(shown),
                revision,
                from_plain(Answer, json.loads(answer), "answer"),
                from_plain(Playback, json.loads(playback), "playback"),
                first,
                time,
                None if passed is None else bool(passed),
            )

    def participants(self) -> list[Mapping[str, Any]]:
        """Number, joined, seen, screen, headphones, planned and answered of each participant, by name."""
        names = ("number", "joined", "seen", "screen", "headphones", "planned", "answered")
        rows = self._connection.execute(
            "SELECT number, joined, seen, screen, headphones, "
            "(SELECT count(*) FROM presentations p WHERE p.participant = number), "
            "(SELECT count(DISTINCT position) FROM answers a WHERE a.participant = number) "
            "FROM participants ORDER BY number"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]


def new_code() -> str:
    """A random id of 120 bits, in letters and digits that are not easily confused.

    Example:
        >>> len(new_code())
        24
    """
    number = int.from_bytes(secrets.token_bytes(SECRET_BYTES), "big")
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in range(SECRET_BYTES * 8 // 5))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _presentation(row: Any) -> Presentation:
    position, session, item, role, repetition, wanted = row
    return Presentation(
        position, session, item, role, repetition, None if wanted is None else json.loads(wanted)
    )
