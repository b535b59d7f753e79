"""What the doctor finds out by asking: every model that is used answers, and every bot's token is taken.

Law: what is asked is asked as the runtime asks, by the same providers and the same clients, and costs next to nothing:
one short answer of each model, and what a service says of the bot itself. Nothing is sent to anybody, and no update is
taken from a runtime that serves. All are asked side by side, each for a bounded time. Whatever answers in a service's
place, and whatever that does to a library, is told as a finding about that service alone, without the words of either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from openclaw.cli._doctor_finding import Finding
from openclaw.cli._doctor_project import Read, credential, used
from openclaw.clock import Clock
from openclaw.errors import OpenClawError, ProviderError
from openclaw.manifest.snapshot import Channel, Model
from openclaw.ports import Completed, Request

PATIENCE = 30.0  # seconds for each
_WORDS = 64  # tokens: enough for a word, and for a short thought before it
_QUESTION = ({"role": "user", "content": [{"type": "text", "text": "Answer with the one word: ready"}]},)
_BETWEEN = "look at what answers in its place: a proxy, or the page of a network where one signs in"
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_CURES = {
    "credentials": "get a valid key, and set it where the old one is",
    "unknown_model": "name a model in models.yaml that the service has",
    "unreachable": "look at the network, or at `base_url` in models.yaml",
    "rate_limited": "wait a little; or raise the account's limits",
    "overloaded": "wait a little; `fallback` in models.yaml names another model meanwhile",
}


async def asked(read: Read, clock: Clock, environment: dict[str, str]) -> list[Finding]:
    """Everything at once, in the order of the manifests."""
    from openclaw.project import asked_models

    real = asked_models(read.folder, False)
    questions: list[Awaitable[Finding]] = [
        _bounded(f"model {model.alias}", _model(real(model), clock))
        for model in used(read.snapshot)
        if not credential(model, environment, read.own)[1]
    ]
    for channel in read.snapshot.channels.values():
        ask = _CHANNELS.get(channel.options.kind)
        if ask is not None and channel.skipped is None:
            questions.append(_bounded(f"channel {channel.key}", ask(channel, clock)))
    with _hushed():
        return list(await asyncio.gather(*questions))


async def _bounded(about: str, question: Awaitable[Finding]) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE):
            found = await question
    except TimeoutError:
        found = Finding(about, "problem", f"no answer within {PATIENCE:g} s", "look at the network, and try again")
    except Exception as error:  # an answer that is none of a service's own does anything to its library
        found = Finding(about, "problem", f"it cannot be asked ({type(error).__name__})", _BETWEEN)
    return _through_proxies(found, os.environ)


def _through_proxies(found: Finding, environment: Mapping[str, str]) -> Finding:
    """What goes wrong between this machine and a service has often to do with one; its address may hold a password."""
    names = sorted(name for name in environment if name.upper() in _PROXIES and environment[name])
    if found.state == "ok" or not names:
        return found
    told = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} set"
    return replace(found, cure=f"{found.cure}; {told}, which Discord is not asked through, and all else is")


@contextmanager
def _hushed() -> Iterator[None]:
    """What the libraries would log is told as a finding."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


# ── models ───────────────────────────────────────────────────────────────────────────────────────


async def _model(model: Model, clock: Clock) -> Finding:
    from openclaw import adapters

    about, began = f"model {model.alias}", clock.monotonic()
    provider: Any = adapters.kind("providers", model.kind)(model.options, clock)
    request = Request(model=model.id, system="", tools=(), messages=_QUESTION, max_tokens=_WORDS)
    try:
        await provider.open()
        async for event in provider.stream(request):
            if isinstance(event, Completed):
                return Finding(about, "ok", f"{model.id} answered in {clock.monotonic() - began:.1f} s")
    except ProviderError as error:
        if error.fault == "refused":  # it declined, so it is there
            return Finding(about, "ok", f"{model.id} answered in {clock.monotonic() - began:.1f} s")
        return Finding(about, "problem", str(error), _CURES.get(error.fault, "look at this model in models.yaml"))
    except OpenClawError as error:
        return Finding(about, "problem", str(error), "look at this model in models.yaml")
    finally:
        await provider.close()
    return Finding(about, "problem", f"{model.id} gave no answer", "look at this model in models.yaml")


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


async def _telegram(channel: Channel, clock: Clock) -> Finding:
    from openclaw.channels import _telegram_client as client

    about, options = f"channel {channel.key}", channel.options.options
    new = "get a valid token from @BotFather, and set it where the old one is"
    try:
        line = client.line(str(options["token"]), str(options.get("api_base") or client.API))
    except client.InvalidToken:
        return Finding(about, "problem", "Telegram's tokens look otherwise", new)
    try:
        me = await line.bot.get_me()
    except client.RetryAfter as error:
        wait = timedelta(seconds=client.wait_of(error))
        return Finding(about, "warning", f"Telegram wants to be left alone for {wait}", "try again then")
    except client.TelegramError as error:
        if isinstance(error.__cause__, client.TelegramError):  # which says that it could not be read
            return Finding(about, "problem", "what answers there is not Telegram", _BETWEEN)
        if isinstance(error, client.InvalidToken):
            return Finding(about, "problem", "Telegram refuses the token", new)
        return Finding(about, "problem", f"Telegram cannot be asked: {line.words(error)}", "look at the network")
    finally:
        await line.close()
    found = f"Telegram takes the token: @{me.username}"
    if options.get("groups") == "all" and not me.can_read_all_group_messages:
        cure = "@BotFather: /setprivacy, Disable; then put the bot into the group anew"
        return Finding(about, "warning", f"{found}, but in groups it sees only what mentions it", cure)
    return Finding(about, "ok", found)


async def _discord(channel: Channel, clock: Clock) -> Finding:
    import aiohttp

    from openclaw.channels._discord_client import OFFICIAL, Client
    from openclaw.channels._discord_library import discord

    about, options = f"channel {channel.key}", channel.options.options
    wants, token = options.get("message_content") is True, str(options["token"])
    new = "make a new token in the developer portal (Bot, Reset Token), and set it where the old one is"
    if token.split() != [token]:
        return Finding(about, "problem", "its token holds a space or the end of a line", "set it anew, on one line")
    base = str(options.get("api_base") or OFFICIAL)
    client = Client(base, clock, lambda event, args: None, message_content=wants)
    try:
        await client.login(token)
        flags, name = client.application_flags, str(client.user)
    except discord.LoginFailure as error:
        why = error.__cause__
        if isinstance(why, discord.HTTPException) and "json" not in why.response.headers.get("Content-Type", ""):
            return Finding(about, "problem", "what answers there is not Discord", _BETWEEN)
        return Finding(about, "problem", "Discord refuses the token", new)
    except discord.HTTPException as error:
        return Finding(about, "problem", f"Discord answers with status {error.status}", "try again later")
    except (OSError, aiohttp.ClientError) as error:
        found = f"Discord cannot be reached ({type(error).__name__})"
        return Finding(about, "problem", found, "look at the network")
    finally:
        with contextlib.suppress(Exception):
            await client.leave(1.0)
    found = f"Discord takes the token: {name}"
    able = flags.gateway_message_content or flags.gateway_message_content_limited
    if (wants or options.get("groups") == "all") and not able:
        cure = "switch on Message Content Intent in the developer portal (Bot)"
        state: Any = "problem" if options.get("groups") == "all" else "warning"
        return Finding(about, state, f"{found}, but not to read what does not mention the bot", cure)
    return Finding(about, "ok", found)


_CHANNELS: dict[str, Callable[[Channel, Clock], Awaitable[Finding]]] = {"telegram": _telegram, "discord": _discord}


def merged(findings: Sequence[Finding], deep: Sequence[Finding]) -> list[Finding]:
    """What was found out by asking stands in place of what was found by looking."""
    told = {finding.about: finding for finding in deep}
    return [told.get(finding.about, finding) for finding in findings]
