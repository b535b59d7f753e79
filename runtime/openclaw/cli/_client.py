"""Talking to a running runtime through its control socket, from a command.

Law: a socket file that nobody listens on is no runtime; everything else that goes wrong is said in words.
The web client is imported only where somebody does listen.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from openclaw.control_socket import SOCKET, reachable
from openclaw.errors import OpenClawError, StateError, UsageError

if TYPE_CHECKING:
    import httpx2

_WRONG = frozenset({  # codes of what the person who asks has to mend
    "sender", "agent", "empty", "too_large", "bad_field",
    "unknown_session", "unknown_memory", "unknown_heartbeat", "unknown_pairing", "unknown_approval",
})  # fmt: skip
_TIMEOUT = 60.0  # seconds without a byte; a stream carries a sign of life every 15
Json = dict[str, Any]


class Unanswered(OpenClawError):
    """It listens and does not answer."""


@contextmanager
def running(state: Path, patience: float = _TIMEOUT) -> Iterator[Runtime | None]:
    """The runtime that serves this state folder, or None where none does. `patience`: seconds without a byte."""
    folder(state)
    with reachable(state / SOCKET) if state.is_dir() else _nowhere() as name:
        if name is None or not _listens(name):
            yield None
            return
        import httpx2

        transport = httpx2.HTTPTransport(uds=name)
        with httpx2.Client(transport=transport, base_url="http://runtime", timeout=patience) as client:
            yield Runtime(client)


def folder(state: Path) -> None:
    """Raises StateError where something else than a folder stands in its place."""
    if state.exists() and not state.is_dir():
        raise StateError(f"the state folder {state} cannot be used: not a directory; choose another with --state")


@contextmanager
def _nowhere() -> Iterator[None]:
    yield None


def _listens(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            raise StateError(f"the control socket cannot be opened: {error.strerror or error}") from error
    return True


class Runtime:
    """Requests that give JSON; a problem becomes an OpenClawError with its detail."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._ask("GET", path, None, query)

    def post(self, *path: str, body: Json | None = None) -> Any:
        return self._ask("POST", path, body or {})

    def delete(self, *path: str) -> Any:
        return self._ask("DELETE", path, None)

    def events(self, body: Json) -> Iterator[tuple[str, Json]]:
        """Posts a message and gives the events of its turn, to the last."""
        return self._streamed("POST", "/api/messages", body)

    def follow(self, message: str) -> Iterator[tuple[str, Json]]:
        """The events of the turn of a message that was accepted, to the last."""
        return self._streamed("GET", f"/api/messages/{quote(message, safe='')}/events", None)

    def _streamed(self, method: str, place: str, body: Json | None) -> Iterator[tuple[str, Json]]:
        import httpx2

        headers = {"Accept": "text/event-stream"}
        try:
            with self._client.stream(method, place, json=body, headers=headers) as response:
                if response.is_error:
                    response.read()
                    raise _problem(response)
                yield from _events(_lines(response.iter_bytes()))
        except httpx2.TransportError as error:
            raise OpenClawError(f"the runtime went away: {error or type(error).__name__}") from error

    def _ask(
        self, method: str, path: tuple[str, ...], body: Json | None, query: Mapping[str, str] | None = None
    ) -> Any:
        import httpx2

        place = "/api/" + "/".join(quote(part, safe="") for part in path)
        try:
            response = self._client.request(method, place, json=body, params=query)
        except httpx2.TransportError as error:
            raise Unanswered(f"the runtime does not answer: {error or type(error).__name__}") from error
        if response.is_error:
            raise _problem(response)
        try:
            return response.json()
        except ValueError as error:
            raise OpenClawError("what answers on the control socket is no runtime of this kind") from error


def _problem(response: httpx2.Response) -> OpenClawError:
    try:
        found = response.json()
        return refusal(str(found["code"]), str(found["detail"]))
    except (ValueError, KeyError, TypeError):
        return OpenClawError(f"the runtime answered with status {response.status_code}")


def refusal(code: str, reason: str) -> OpenClawError:
    """Why a request is not served: wrong usage, where asking again in the same way cannot help."""
    return UsageError(reason) if code in _WRONG else OpenClawError(reason)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of a stream of events. What else Unicode calls the end of a line is text there."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode().removesuffix("\r") for line in whole)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
