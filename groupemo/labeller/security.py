"""Who may speak to the labeller: a page from its own address that knows the token.

Any page in the same browser can send requests to this machine, any name can be made to
point here (DNS rebinding), and other people may be logged in. So a request is answered
only if its `Host` is this server's, no other site's page sent it (`Origin`,
`Sec-Fetch-Site`), and, but for the page's own files, it carries the token. The token
stands in the address behind the `#`, which browsers send to nobody.
"""

from __future__ import annotations

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "PAGE", "PAGE_FILES", "Guard"]

PAGE, PAGE_FILES = "/", "/page/"
"""What is given without the token: it holds nothing of anybody's."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every answer."""


class Guard:
    """Refuses requests from elsewhere, and sets `HEADERS` on every answer.

    Parameters
    ----------
    site : ASGI application
        What is guarded.
    token : str
        Has to be sent as `Authorization: Bearer TOKEN`.
    port : int
        The port of the server, part of the one address it answers to.
    """

    def __init__(self, site: ASGIApp, token: str, port: int) -> None:
        self.site = site
        self._expected = f"Bearer {token}".encode()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            raise RuntimeError(f"the labeller speaks HTTP alone, not {scope['type']}")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        await (refusal or self.site)(scope, receive, guarded)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        """Return the answer to a request that is none of ours, or None."""
        host = ", ".join(headers.getlist("host")).lower()
        if host not in self._hosts:
            return _refused(403, "wrong host: open the address that groupemo printed")
        if any(origin.lower() != f"http://{host}" for origin in headers.getlist("origin")):
            return _refused(403, "asked by a page of another origin")
        if path != PAGE and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _refused(403, "asked by a page of another site")
        given = headers.get("authorization", "").encode()
        public = path == PAGE or path.startswith(PAGE_FILES)
        if not public and not secrets.compare_digest(given, self._expected):
            return _refused(401, "wrong token: open the address that groupemo printed last")
        return None


def _refused(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason, "kind": "refused"}, status)
