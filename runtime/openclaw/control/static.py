"""The files of the web page, as they are in the package: a page that may load nothing but them.

Law: only names that exist as files in that one folder are served, and no path is made of what a request says. A
browser asks each time whether its copy is still good, so that a new version is seen at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from openclaw.control.problems import unserved
from openclaw.ports import Caller

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"
KINDS: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    tag: str
    changed: int


class Static:
    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    def files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if path.suffix in KINDS and _plain(path)]

    async def page(self, request: Request, caller: Caller) -> Response:
        return self._answer(request, INDEX)

    async def page_part(self, request: Request, caller: Caller) -> Response:
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        file = self._file(name)
        headers = {**_HEADERS, "ETag": file.tag}
        if file.tag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=KINDS[Path(name).suffix])

    def _file(self, name: str) -> _File:
        """As it is on disk now: small files, read once and looked at each time."""
        path = next((one for one in self.files() if one.name == name), None)
        if path is None:
            raise unserved(404, "not_found", "there is no such file")
        changed, known = path.stat().st_mtime_ns, self._files.get(name)
        if known is None or known.changed != changed:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            known = self._files[name] = _File(content, tag, changed)
        return known


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
