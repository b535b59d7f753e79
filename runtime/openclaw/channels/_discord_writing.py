"""What the bot does on Discord: writes, edits, shows that it is at work; and what goes wrong, as `DeliveryError`.

Law: nothing that is written calls anybody (`allowed_mentions` is none, set on the client), and no address in it is
looked up by the service (embeds are suppressed): what stands in one would reach its owner unasked. A limit is told
with the seconds it asks for and never waited for long, so that one place holds up no other. Errors name no token and
no address. Knows the channel's connection, not what is said.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from openclaw.channels._discord_client import Client
from openclaw.channels._discord_library import MultipartParameters, discord
from openclaw.errors import DeliveryError

UNCONNECTED = 5.0  # seconds until trying again is worth while, where there is no connection
NO_PRIVATE, NO_RECIPIENT = 50007, 50033  # the service's own codes
UNEMBEDDED, EPHEMERAL = 4, 64  # flags of a message
NOBODY: dict[str, list[str]] = {"parse": []}

Style = Literal["success", "primary", "danger"]


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    style: Style
    id: str


@dataclass(frozen=True, slots=True)
class Slip:
    """The right to answer one press or slash command, for a quarter of an hour."""

    id: int
    application: int
    token: str


class Writer:
    """`client`: the connection there is, or None."""

    def __init__(self, client: Callable[[], Client | None]) -> None:
        self._client = client

    def _connected(self) -> Client:
        client = self._client()
        if client is None or client.http.token is None or client.is_closed() or client.session.closed:
            raise DeliveryError("there is no connection to Discord", retry_after=UNCONNECTED)
        return client

    async def send(
        self,
        channel: int,
        text: str,
        *,
        nonce: str | None = None,
        file: bytes | None = None,
        answers: int | None = None,
        buttons: Sequence[Button] = (),
    ) -> int:
        """The new message's id. With the same `nonce` the service makes one message only, for some minutes."""
        more: dict[str, Any] = {"nonce": nonce} if nonce else {}
        if file is not None:
            more["file"] = discord.File(io.BytesIO(file), "reply.md")
        if buttons:
            more["view"] = _view(buttons)
        if answers is not None:
            reference = discord.MessageReference(message_id=answers, channel_id=channel, fail_if_not_exists=False)
            more["reference"] = reference
        with faults():
            sent = await self._connected().get_partial_messageable(channel).send(text, suppress_embeds=True, **more)
        return int(sent.id)

    async def edit(
        self,
        channel: int,
        message: int,
        text: str,
        *,
        file: bytes | None = None,
        bare: bool = False,
        buttons: Sequence[Button] = (),
    ) -> None:
        """`bare` takes the buttons away."""
        more: dict[str, Any] = {"view": None} if bare else {}
        if buttons:
            more["view"] = _view(buttons)
        if file is not None:
            more["attachments"] = [discord.File(io.BytesIO(file), "reply.md")]
        flags, nobody = discord.MessageFlags(suppress_embeds=True), discord.AllowedMentions.none()
        client = self._connected()
        with (
            faults(),
            discord.http.handle_message_parameters(content=text, flags=flags, allowed_mentions=nobody, **more) as whole,
        ):
            await client.http.edit_message(channel, message, params=whole)

    async def typing(self, channel: int) -> None:
        with faults():
            await self._connected().http.send_typing(channel)

    async def direct(self, person: int) -> int:
        """The private channel with this person. `person` may be a channel: then it is that channel."""
        client = self._connected()
        if client.get_channel(person) is not None:
            return person
        try:
            with faults():
                found = await client.http.start_private_message(person)
        except DeliveryError as error:
            if isinstance(error.__cause__, discord.HTTPException) and error.__cause__.code == NO_RECIPIENT:
                return person
            raise
        return int(found["id"])

    async def channel(self, id: int) -> Any:
        with faults():
            return await self._connected().fetch_channel(id)

    # ── presses and slash commands ───────────────────────────────────────────────────────────────

    async def acknowledge(self, slip: Slip, *, update: bool = False, hidden: bool = False) -> None:
        """Within three seconds, or the service takes it for failed. `update`: of a button, what follows changes the
        message it belongs to; otherwise a message follows, which only who asked sees where it is `hidden`."""
        payload: dict[str, Any] = {"type": 6 if update else 5}
        if hidden:
            payload["data"] = {"flags": EPHEMERAL}
        await self._respond(slip, payload)

    async def respond(self, slip: Slip, text: str) -> None:
        """Answers at once, seen by who asked alone."""
        said = {"content": text, "flags": EPHEMERAL | UNEMBEDDED, "allowed_mentions": NOBODY}
        await self._respond(slip, {"type": 4, "data": said})

    async def _respond(self, slip: Slip, payload: dict[str, Any]) -> None:
        client = self._connected()
        with faults():
            await client.interactions.create_interaction_response(
                slip.id, slip.token, session=client.session, params=MultipartParameters(payload, None, None)
            )

    async def answer(self, slip: Slip, text: str, file: bytes | None = None) -> None:
        """What was announced when it was acknowledged."""
        client = self._connected()
        payload: dict[str, Any] = {"content": text, "allowed_mentions": NOBODY, "flags": UNEMBEDDED}
        with faults(), discord.http.handle_message_parameters(**_with_file(text, file)) as whole:
            await client.interactions.edit_original_interaction_response(
                slip.application,
                slip.token,
                session=client.session,
                payload=payload if file is None else None,
                multipart=whole.multipart if file is not None else None,
                files=whole.files if file is not None else None,
            )

    async def add(self, slip: Slip, text: str, *, hidden: bool = False) -> None:
        """A further message about it."""
        client = self._connected()
        payload = {"content": text, "allowed_mentions": NOBODY, "flags": UNEMBEDDED | (EPHEMERAL if hidden else 0)}
        with faults():
            await client.interactions.execute_webhook(
                slip.application, slip.token, session=client.session, payload=payload, wait=True
            )


def _with_file(text: str, file: bytes | None) -> dict[str, Any]:
    flags = discord.MessageFlags(suppress_embeds=True)
    plain = {"content": text, "allowed_mentions": discord.AllowedMentions.none(), "flags": flags}
    return plain if file is None else {**plain, "file": discord.File(io.BytesIO(file), "reply.md")}


def _view(buttons: Sequence[Button]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for button in buttons:
        style = discord.ButtonStyle[button.style]
        view.add_item(discord.ui.Button(label=button.label, style=style, custom_id=button.id))
    # Presses are told apart by their ids, also after a restart; the library need not remember this one.
    view.stop()
    return view


@contextmanager
def faults() -> Iterator[None]:
    try:
        yield
    except discord.RateLimited as error:
        raise DeliveryError("Discord asks to wait", retry_after=error.retry_after) from error
    except discord.HTTPException as error:
        raise _refused(error) from error
    except (OSError, aiohttp.ClientError, RuntimeError) as error:  # the last is a connection that was let go of
        begun = not isinstance(error, aiohttp.ClientConnectorError | RuntimeError)  # neither a yes nor a no
        raise DeliveryError(f"Discord cannot be reached: {type(error).__name__}", begun=begun) from error


def _refused(error: discord.HTTPException) -> DeliveryError:
    if error.code == NO_PRIVATE:
        return DeliveryError("this person takes no private messages from the bot", final=True)
    if error.status == 429:
        return DeliveryError("Discord asks to wait", retry_after=60.0)
    if error.status == 401 or error.status >= 500:
        return DeliveryError(f"Discord answers {error.status}")
    what = {403: "the bot may not do this there", 404: "it is gone"}.get(error.status, "Discord refuses it")
    return DeliveryError(f"{what} ({error.status}, code {error.code}: {error.text[:200]})", final=True)
