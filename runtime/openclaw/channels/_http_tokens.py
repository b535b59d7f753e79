"""The tokens of the HTTP channel: which there are, what each may do, and for whom it speaks. The door compares them.

Law: what will not do is said before anything is in force. A client's own word for who it is counts within its token.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw.channels._http_door import Token, digest, loopback
from openclaw.errors import OpenClawError
from openclaw.messages import Address, escape
from openclaw.ports import Caller, ChannelOptions
from openclaw.secrecy import SECRETS
from openclaw.words import OPERATOR

SHORTEST = 32  # characters of a token where other machines can reach the port
_RESERVED: Mapping[str, str] = {
    OPERATOR: "the name of the one under `token`",
    "hook": "how the senders of hooks begin",
}


def tokens_of(described: ChannelOptions) -> tuple[Token, ...]:
    """All of them. Raises OpenClawError where one will not do."""
    key, options = described.key, described.options
    own = options.get("token")
    named = {name: str(token["secret"]) for name, token in options.get("tokens", {}).items()}
    for reserved, why in _RESERVED.items():
        if reserved in named:
            raise _wrong(key, f"a token cannot be called `{reserved}`, which is {why}")
    if not loopback(str(options["host"])):
        _check_length(key, str(options["host"]), {"token": own or "", **named})
    values = {OPERATOR: own or generated(options), **named}
    if len(set(values.values())) < len(values) or not all(values.values()):
        raise _wrong(key, "two of its tokens have the same value, or one has none")
    others = [_other(key, name, token) for name, token in options.get("tokens", {}).items()]
    return (_operator(key, values[OPERATOR]), *others)


def same(fresh: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, bool]:
    """By name: whether a token is described as it was."""
    earlier = before.get("tokens", {})
    return {OPERATOR: True, **{name: token == earlier.get(name) for name, token in fresh.get("tokens", {}).items()}}


def generated(options: Mapping[str, Any]) -> str:
    """The token of this state folder, made at the first start and kept for its owner alone."""
    path = Path(str(options["token_file"]))
    try:
        token = path.read_text("ascii").strip() if path.exists() else ""
        token = token or _written(path, secrets.token_urlsafe(32))
    except (OSError, ValueError) as error:
        raise OpenClawError(f"the token file {path} cannot be used; delete it to get a new one") from error
    SECRETS.hold(path, [token])
    return token


def _written(path: Path, token: str) -> str:
    """Whole or not at all: an empty file would be a token that everybody knows."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token + "\n")
    fresh.replace(path)
    return token


def _check_length(key: str, host: str, values: Mapping[str, str]) -> None:
    for name, secret in values.items():
        if len(secret) < SHORTEST:
            raise _wrong(
                key,
                f"it listens on {host}, where other machines reach it, and `{name}` has fewer than "
                f"{SHORTEST} characters; give it a long random value",
            )


def _wrong(key: str, why: str) -> OpenClawError:
    return OpenClawError(f"channel {key} cannot start: {why}")


def _operator(key: str, token: str) -> Token:
    caller = Caller(
        OPERATOR,
        Address(key, OPERATOR),
        frozenset({"operator"}),
        declare=lambda sender: _declared(key, OPERATOR, sender),
        answers_as=Address("repl", "local"),  # as whoever sits at the terminal: both can read this token
    )
    return Token(digest(token), caller)


def _other(key: str, name: str, token: Mapping[str, Any]) -> Token:
    declares = token.get("senders") == "declared"
    person = token.get("as")
    caller = Caller(
        name,
        Address(key, f"{name}/{person or name}"),
        frozenset(token.get("scopes") or ("chat",)),
        declare=(lambda declared: _declared(key, name, declared)) if declares else None,
        owns=lambda session: _owns(key, name, person, session),
        agents=tuple(token["agents"]) if token.get("agents") is not None else None,
    )
    return Token(digest(str(token["secret"])), caller)


def _declared(key: str, token: str, sender: str) -> Address:
    if not 0 < len(sender) <= 200 or not sender.isprintable():
        raise ValueError("`sender` must be 1 to 200 printable characters")
    return Address(key, f"{token}/{sender}")


def _owns(key: str, token: str, person: str | None, session: str) -> bool:
    """Whether a session belongs to this token: `agent:<agent>:<key>:<token>/...`, or its person's."""
    parts = session.split(":")
    if parts[:1] != ["agent"] or len(parts) < 4:
        return False
    if parts[2] == "person":
        return person is not None and parts[3] == escape(person)
    return parts[2] == escape(key) and parts[3].startswith(f"{escape(token)}/")
