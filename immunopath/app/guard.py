"""What every request passes first: host name, password, own page; and headers of all answers."""

import base64
import binascii
import hashlib
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from immunopath.app.bind import Binding, is_loopback
from immunopath.app.uploads import UploadTooLarge, size_words

OWN_HEADER: Final = "x-immunopath"
"""Sent by the page's own script. Another site cannot send it: the browser would ask here first."""
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
REPORT_POLICY: Final = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""Of a report: no script, no request, an origin of its own even in a tab of its own."""
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware around the whole page."""

    def __init__(self, app: ASGIApp, binding: Binding, max_bytes: int) -> None:
        self._app, self._binding, self._max_bytes = app, binding, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer here what may not pass; limit the body of what may."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, _limited(receive, self._max_bytes), _with_headers(send))

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        if self._binding.loopback and not _local_name(headers.get("host", "")):
            return PlainTextResponse("this page answers to its local name only\n", 403)
        if self._binding.password is not None and not self._knows_password(headers):
            ask = {"www-authenticate": 'Basic realm="ImmunoPath", charset="UTF-8"'}
            return PlainTextResponse("this page needs its password\n", 401, ask)
        if method not in {"GET", "HEAD"} and not _from_own_page(headers):
            return PlainTextResponse("only the page itself may ask for this\n", 403)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_bytes:
            return PlainTextResponse(_too_large(self._max_bytes) + "\n", 413)
        return None

    def _knows_password(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(given, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        wanted = (self._binding.password or "").encode()
        return secrets.compare_digest(
            hashlib.sha256(password).digest(), hashlib.sha256(wanted).digest()
        )


def _local_name(host: str) -> bool:
    """Another name in front of 127.0.0.1 is another site's (DNS rebinding)."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return is_loopback(name.strip("[]"))


def _from_own_page(headers: Headers) -> bool:
    """Every browser of today says itself where a request comes from; the header is for the rest."""
    return OWN_HEADER in headers and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _too_large(limit: int) -> str:
    return f"the images are larger than {size_words(limit)} together; use the command line for them"


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise UploadTooLarge(_too_large(limit))
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("content-security-policy", PAGE_POLICY)
        await send(message)

    return sent
