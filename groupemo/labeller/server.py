"""The labeller's page on this machine alone: HTTP around a `Desk`.

==================================  ==========================================================
`GET /`, `GET /page/NAME`           the page and its modules, without a token
`POST /api`                         a message to the desk as JSON, its reply as JSON
`GET /picture/ID?side=N`            a photo, its longer side at most N pixels, as JPEG
`GET /face/ID?box=X,Y,X,Y&side=N`   a face with half a box around it on each side, as JPEG
==================================  ==========================================================

What the desk answers has status 200, an error of its own, too; anything refused before
it gets there has another one, and the same shape: `{"error": ..., "kind": ...}`. Who is
let in: `groupemo.labeller.security`.
"""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from groupemo.errors import GroupemoError
from groupemo.labeller.desk import Desk
from groupemo.labeller.pictures import Pictures
from groupemo.labeller.security import PAGE, PAGE_FILES, Guard

__all__ = ["make_app", "page_files"]

MOST_BYTES = 32_000_000
"""Of a message: a label file of hundreds of thousands of faces may be sent to be imported."""

PATIENCE = 30
"""Seconds for a message to arrive whole."""

CLOSING = {"Connection": "close"}
"""What is still being sent after a refusal is not read."""

LEAST_SIDE, MOST_PHOTO, MOST_FACE = 16, 16_384, 1024
"""Pixels a side of the pictures that may be asked for; faces are made larger, photos are not."""

FAR = 1e6
"""Pixels; there is no photo as wide."""

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""What the page is made of: ending -> media type. Nothing else is given out."""


def make_app(desk: Desk, token: str, port: int) -> Guard:
    """Return the labeller as an ASGI application.

    Parameters
    ----------
    desk : Desk
        What answers the messages.
    token : str
        What has to be known to speak to it.
    port : int
        Where it is served, on the loopback address.
    """
    pictures = Pictures(desk.pictured)
    page = page_files()

    def page_file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            raise HTTPException(404, "no such file")
        return Response(page[name], media_type=KINDS[Path(name).suffix])

    async def api(request: Request) -> Response:
        body = await _body(request)
        return await run_in_threadpool(lambda: JSONResponse(desk.handle(_message(body))))

    def picture(request: Request) -> Response:
        return _jpeg(pictures.photo(_photo(request, desk), _side(request, MOST_PHOTO)))

    def face(request: Request) -> Response:
        side = _side(request, MOST_FACE)
        return _jpeg(pictures.face(_photo(request, desk), _box(request), side))

    site = Starlette(
        routes=[
            Route(PAGE, page_file),
            Route(PAGE_FILES + "{name:path}", page_file),
            Route("/api", api, methods=["POST"]),
            Route("/picture/{photo}", picture),
            Route("/face/{photo}", face),
        ],
        exception_handlers=dict.fromkeys((HTTPException, GroupemoError, Exception), _refuse),
    )
    return Guard(site, token, port)


def page_files() -> dict[str, bytes]:
    """Return the files the page is made of, by their path below its folder."""
    folder = Path(__file__).with_name("page")
    found = (path for path in folder.rglob("*") if path.suffix in KINDS)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


async def _body(request: Request) -> bytes:
    """Return what was sent, if it is not too much and comes in time."""
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise HTTPException(413, f"more than {MOST_BYTES:,} bytes", CLOSING)
    except TimeoutError as error:
        raise HTTPException(408, f"not all there after {PATIENCE} seconds", CLOSING) from error
    return bytes(body)


def _message(body: bytes) -> dict[str, Any]:
    """Return a message of finite numbers and text that can be written, or refuse it."""
    try:
        message = json.loads(
            body.decode(), parse_int=_whole, parse_float=_finite, parse_constant=_finite
        )
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # also what is no UTF-8, or half a character
        raise HTTPException(400, f"not a message in JSON: {error}") from error
    if not isinstance(message, dict):
        raise HTTPException(400, "not a message: expected a JSON object")
    return message


def _whole(text: str) -> int:
    if len(text) > 16:
        raise ValueError("a number of too many digits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number to count with")
    return number


def _photo(request: Request, desk: Desk) -> str:
    photo: str = request.path_params["photo"]
    if photo not in desk.pictured:
        raise HTTPException(404, "no photo of that id")
    return photo


def _side(request: Request, most: int) -> int:
    text = request.query_params.get("side", "")
    if not (text.isdecimal() and len(text) < 6 and LEAST_SIDE <= int(text) <= most):
        raise HTTPException(400, f"side: expected {LEAST_SIDE} to {most} pixels")
    return int(text)


def _box(request: Request) -> list[float]:
    try:
        box = [float(text) for text in request.query_params.get("box", "").split(",")]
    except ValueError:
        box = []
    if len(box) != 4 or not all(abs(value) < FAR for value in box):
        raise HTTPException(400, "box: expected x1,y1,x2,y2 in pixels")
    return box


def _jpeg(picture: bytes) -> Response:
    return Response(picture, media_type="image/jpeg")


def _refuse(_: Request, error: Exception) -> Response:
    """Say an error in the shape of the desk's own."""
    status, reason, headers = 500, "a bug in groupemo: the terminal says more", None
    if isinstance(error, HTTPException):
        status, reason, headers = error.status_code, error.detail, error.headers
    elif isinstance(error, GroupemoError):
        status, reason = 422, str(error)
    return JSONResponse({"error": reason, "kind": "refused"}, status, headers)
