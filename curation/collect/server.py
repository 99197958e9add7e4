"""`collect serve`: the study's page and its small JSON interface, on Starlette and uvicorn.

Participants are identified by a random id in a cookie and nothing else: neither addresses nor user agents
are stored or logged. A vote is acknowledged once it is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from theval_datasets.errors import InputError, StorageError
from theval_datasets.utils.files import inside
from theval_datasets.utils.records import from_plain

from .answers import Answer, Playback
from .guide import item_view, state_of, study_view
from .languages import PAGES, check_language, texts
from .prepared import MEDIA_FOLDER, PreparedStudy
from .status import study_status
from .store import ConflictError, Participant, Store

T = TypeVar("T")

COOKIE: Final = "participant"
LARGEST_BODY: Final = 64 << 10
_MAX_AGE: Final = 90 * 24 * 3600
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STATUS_OF: Final = ((ConflictError, 409), (StorageError, 507), (InputError, 422))


class _BodyTooLargeError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Submission:
    """Body of a vote."""

    position: int
    revision: int
    answer: Answer
    playback: Playback


@dataclass(frozen=True, slots=True)
class _Screen:
    """Body of the screen check: size in CSS pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Empty body."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Body with one text: a language, a resume code, or digits."""

    value: str


@dataclass(frozen=True, slots=True)
class _Position:
    """Body that names a presentation."""

    position: int


class StudyServer:
    """Web application of a study.

    Args:
        folder: Folder of the study.
        store: Database of the study, which is used from one thread only.
        root_path: Path below which a reverse proxy serves the study, such as ``/studies/pilot``.
        clock: Function that returns the time in seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        root_path: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.study: PreparedStudy = store.study
        self._folder = folder
        self._store = store
        self._clock = clock
        self._root = root_path.rstrip("/")
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._media = {file.name: file for file in self.study.media}
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader(PAGES, "."),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )

    @property
    def participant_path(self) -> str:
        """Path of the participants' page."""
        return f"{self._root}/{self.study.token}/"

    @property
    def curator_path(self) -> str:
        """Path of the curator's page."""
        return f"{self._root}/{self.study.curator_token}/"

    def application(self) -> ASGIApp:
        """ASGI application."""
        inner: list[BaseRoute] = [
            Route("/", self._page),
            Route("/{name:str}.js", self._static),
            Route("/{name:str}.css", self._static),
            Route("/texts/{language:str}.json", self._texts),
            Route("/media/{name:str}", self._file),
            Route("/api/state", self._state),
            Route("/api/answer/{position:int}", self._earlier),
            *(
                Route(f"/api/{name}", action, methods=["POST"])
                for name, action in (
                    ("join", self._join),
                    ("resume", self._resume),
                    ("screen", self._screen),
                    ("headphones", self._headphones),
                    ("begin", self._begin),
                    ("shown", self._shown),
                    ("vote", self._vote),
                )
            ),
        ]
        curator: list[BaseRoute] = [
            Route("/", self._status_page),
            Route("/status.json", self._status_json),
            Route("/{name:str}.css", self._static),
        ]
        routes: list[BaseRoute] = [
            Mount(f"/{self.study.token}", routes=inner),
            Mount(f"/{self.study.curator_token}", routes=curator),
        ]
        if self._root:
            routes.append(Mount(self._root, routes=list(routes)))
        application = Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={
                **{kind: partial(_refused, status) for kind, status in _STATUS_OF},
                _BodyTooLargeError: partial(_refused, 413),
            },
        )
        return _with_headers(application)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._thread.shutdown()

    async def _call(self, function: Callable[[], T]) -> T:
        """Run a function that uses the database in the database's thread; its result is then on disk.

        Calls that arrive while the disk is busy are written together.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((function, future))
        loop.run_in_executor(self._thread, self._work, loop)
        return await future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run all waiting functions."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        results = self._store.together([function for function, _ in batch])
        for (_, future), result in zip(batch, results, strict=True):
            loop.call_soon_threadsafe(_settle, future, result)

    # Pages and files

    async def _page(self, request: Request) -> Response:
        template = self._templates.get_template("study.html.jinja")
        language = self.study.plan.language
        html = template.render(language=language, name=self.study.plan.name, texts=texts(language))
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    async def _static(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        kinds = {"study.js": "text/javascript", "study.css": "text/css"}
        if name not in kinds:
            return Response(status_code=404)
        text = (resources.files(PAGES) / name).read_text(encoding="utf-8")
        return Response(text, media_type=kinds[name], headers={"Cache-Control": "no-cache"})

    async def _texts(self, request: Request) -> Response:
        language = request.path_params["language"]
        check_language(language)
        return JSONResponse(texts(language), headers={"Cache-Control": "no-cache"})

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._media:
            return Response(status_code=404)
        path = inside(self._folder / MEDIA_FOLDER, name)
        return FileResponse(path, headers={"Cache-Control": "private, max-age=86400, immutable"})

    async def _status_page(self, request: Request) -> Response:
        status = await self._call(lambda: study_status(self._store, self._clock()))
        template = self._templates.get_template("status.html.jinja")
        return HTMLResponse(template.render(status=status), headers={"Cache-Control": "no-store"})

    async def _status_json(self, request: Request) -> Response:
        status = await self._call(lambda: study_status(self._store, self._clock()))
        return JSONResponse(status.to_plain(), headers={"Cache-Control": "no-store"})

    # Participants

    async def _state(self, request: Request) -> Response:
        def read() -> dict[str, Any]:
            return {
                "study": study_view(self.study),
                **state_of(self._store, self._participant(request), self._clock()),
            }

        return _answered(await self._call(read))

    async def _join(self, request: Request) -> Response:
        language = (await _body(request, _Text)).value or self.study.plan.language
        check_language(language)

        def join() -> tuple[dict[str, Any], str]:
            participant, secret = self._store.join(language, self._clock())
            return state_of(self._store, participant, self._clock()), secret

        state, secret = await self._call(join)
        response = _answered({**state, "code": secret})
        self._set_cookie(request, response, secret)
        return response

    async def _resume(self, request: Request) -> Response:
        code = "".join((await _body(request, _Text)).value.upper().split()).replace("-", "")

        def resume() -> dict[str, Any]:
            participant = self._store.participant(code)
            if participant is None:
                raise InputError("no participant has this code")
            return state_of(self._store, participant, self._clock())

        response = _answered(await self._call(resume))
        self._set_cookie(request, response, code)
        return response

    def _set_cookie(self, request: Request, response: Response, secret: str) -> None:
        response.set_cookie(
            COOKIE,
            secret,
            max_age=_MAX_AGE,
            path=self.participant_path,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def _participant(self, request: Request) -> Participant | None:
        secret = request.cookies.get(COOKIE)
        return None if secret is None else self._store.participant(secret)

    async def _acting(
        self, request: Request, act: Callable[[Participant, float], dict[str, Any] | None]
    ) -> Response:
        """Run an action for the participant of a request; the response holds the stage that follows."""

        def run() -> dict[str, Any]:
            participant = self._participant(request)
            if participant is None:
                raise ConflictError(
                    "this browser belongs to no participant: join the study, or enter your code"
                )
            result = act(participant, self._clock())
            after = self._store.participant(request.cookies[COOKIE])
            return {**state_of(self._store, after, self._clock()), **(result or {})}

        return _answered(await self._call(run))

    async def _screen(self, request: Request) -> Response:
        screen = await _body(request, _Screen)
        required = self.study.plan.screen

        def act(participant: Participant, now: float) -> dict[str, Any] | None:
            large = screen.width >= required.width and screen.height >= required.height
            if not large and not required.phones:
                return {"small": True}
            self._store.set_screen(participant.number, f"{screen.width}x{screen.height}", now)
            return None

        return await self._acting(request, act)

    async def _headphones(self, request: Request) -> Response:
        digits = "".join((await _body(request, _Text)).value.split())

        def act(participant: Participant, now: float) -> None:
            tests = self.study.headphone_tests
            if tests:
                expected = tests[participant.headphone_test % len(tests)].digits
                self._store.set_headphones(participant.number, passed=digits == expected, now=now)

        return await self._acting(request, act)

    async def _shown(self, request: Request) -> Response:
        position = (await _body(request, _Position)).position

        def act(participant: Participant, now: float) -> None:
            state = state_of(self._store, participant, now)
            current = self._store.current(participant.number)
            if state["stage"] not in ("start", "item") or current is None:
                raise ConflictError("no presentation is due now")
            if current.position != position:
                raise ConflictError(f"presentation {position} is not the next one")
            self._store.mark_shown(participant.number, position, now)

        return await self._acting(request, act)

    async def _begin(self, request: Request) -> Response:
        await _body(request, _Nothing)

        def act(participant: Participant, now: float) -> None:
            current = self._store.current(participant.number)
            stage = state_of(self._store, participant, now)["stage"]
            if stage == "start" and current is not None:
                self._store.mark_shown(participant.number, current.position, now)

        return await self._acting(request, act)

    async def _vote(self, request: Request) -> Response:
        body = await _body(request, _Submission)

        def act(participant: Participant, now: float) -> dict[str, Any]:
            stored = self._store.submit(
                participant.number, body.position, body.revision, body.answer, body.playback, now
            )
            return {"stored": stored}

        return await self._acting(request, act)

    async def _earlier(self, request: Request) -> Response:
        position = request.path_params["position"]

        def act(participant: Participant, _: float) -> dict[str, Any]:
            shown = self._store.presentation(participant.number, position)
            if shown is None or self._store.last_answer(participant.number, position) is None:
                raise InputError(f"there is no answer to presentation {position}")
            return {"stage": "item", "item": item_view(self._store, participant.number, shown)}

        return await self._acting(request, act)


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return  # the browser closed the connection
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _answered(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


async def _refused(status: int, _: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": str(error)}, status_code=status, headers={"Cache-Control": "no-store"}
    )


async def _body(request: Request, kind: type[T]) -> T:
    """JSON body of a request.

    Raises:
        InputError: The body is not of this kind, or not declared as JSON.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InputError("expected a body of the type application/json")
    too_large = _BodyTooLargeError(f"expected a body of at most {LARGEST_BODY} bytes")
    if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise too_large
    try:
        plain: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("expected a body of JSON") from None
    return from_plain(kind, plain, "the request")


def _with_headers(application: ASGIApp) -> ASGIApp:
    """The application with security headers in every response."""
    extra = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await application(scope, receive, sending if scope["type"] == "http" else send)

    return wrapped


def serve(
    server: StudyServer,
    *,
    host: str,
    port: int,
    proxies: Sequence[str] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is interrupted or terminated.

    Args:
        server: Application.
        host: Address to listen on.
        port: Port; 0 for any free port.
        proxies: Hosts whose forwarding headers are trusted.
        ready: Function that is called with the origin, such as ``http://127.0.0.1:8000``, once the server
            listens.

    Raises:
        InputError: The address or port is not available.
    """
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port."
        ) from None
    with listening:
        shown = f"[{host}]" if ":" in host else host
        if ready is not None:
            ready(f"http://{shown}:{listening.getsockname()[1]}")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
            uvicorn.Server(configuration(server, proxies)).run(sockets=[listening])


def configuration(server: StudyServer, proxies: Sequence[str] = ()) -> uvicorn.Config:
    """Configuration of uvicorn: no access log, and forwarding headers of the given hosts only.

    Args:
        server: Application.
        proxies: Hosts whose forwarding headers are trusted.
    """
    return uvicorn.Config(
        server.application(),
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies) or None,
        timeout_graceful_shutdown=5,
    )
