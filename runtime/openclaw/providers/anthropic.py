"""The Messages API: Anthropic's own service, or any server that speaks it (`base_url`).

Its law: the history goes out exactly as it came in, and the answer comes back exactly as it was sent.
Sampling parameters are never sent. A server named by `base_url` gets the key written beside it and
nothing else: no key, token, profile or header of the environment. Every failure is a `ProviderError` at
once: whether to ask again is the caller's to decide, and the SDK's own retries are off. An answer that has
no end is given up. It knows no agents, tools or sessions beyond their words.

Two things happen here that a reader of the wire would not expect. A 400 that says a thinking block
belongs to another conversation is healed once: all thinking is left out and the request sent again; from
then on the session's messages up to there go out without thinking (newer blocks were made without it and
stay valid). And the SDK's typed layer is bypassed: it walks the whole history on the way out and builds a
model object for every delta on the way in; its client, credentials, headers and retries are used as they are.

The SDK takes a second to import. That happens in a thread, a moment after `open` or with the first request,
so that the prompt is there at once; only a credential that the SDK alone can read is tried in `open`.

Where the service is to sum up (`Request.compact`), the request is the conversation's own with one parameter more, so
that its cache serves, and the answer is one signed block. That block is sent back first, as it came; to a server or a
model that does not know such blocks its words go instead.

A tool `web_search` that may always be called is handed to the service, which searches by itself where the
model has the capability; elsewhere it is a tool like any other.

Options: base_url, api_key, auth_token, capabilities (of `CAPABILITIES`; missing: all of them for
Anthropic's service as far as the model has them, none for a `base_url`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openclaw import abilities
from openclaw.apart import apart
from openclaw.clock import Clock
from openclaw.errors import CredentialsError, ProviderError
from openclaw.messages import SUMMARY, ToolSpec, inside
from openclaw.ports import Alive, ProviderEvent, Request
from openclaw.providers._anthropic_answer import Answer
from openclaw.providers._anthropic_credentials import HOW, credentials
from openclaw.providers._anthropic_faults import Service, bound_elsewhere, translate
from openclaw.providers._patience import Patience, Stalled

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

__all__ = ["CAPABILITIES", "Provider", "credentials"]

CAPABILITIES = abilities.ALL

WARM_AFTER = 0.6  # seconds: the prompt and the sockets come first
SEARCHES = 8  # of one answer
FIRST_BYTES = 600.0  # seconds: a model at home may read a long prompt for minutes before it says a word
STALL = 120.0  # seconds without a byte; the real service pings far more often
LINGER = 2.0  # seconds for a server to close an answer that is over; its connection is then used again
QUIET = 300.0  # seconds of bytes that say nothing: a model that thinks without a word is rarely so slow
SLOWEST = 4.0  # tokens a second that an answer comes with at the least, and
LEAST = 900.0  # seconds that any answer may take
REMEMBERED = 1000  # sessions healed

_COMPACTS = "compact-2026-09-04"  # the beta that makes and takes blocks of summaries
_SEARCH = {"type": "web_search_20260318", "name": "web_search", "max_uses": SEARCHES}
_READ_BY_US = frozenset({"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"})  # any other credential the SDK has to read
_log = logging.getLogger("openclaw.provider")
_ADDRESSED = frozenset({"accept", "content-type", "user-agent", "anthropic-version"})


class Provider:
    def __init__(self, options: Mapping[str, Any], clock: Clock) -> None:
        self._clock = clock
        self._base_url: str | None = options.get("base_url") or None
        self._api_key: str | None = (options.get("api_key") or "").strip() or None
        self._auth_token: str | None = (options.get("auth_token") or "").strip() or None
        chosen = options.get("capabilities")
        self._capabilities = None if chosen is None else frozenset(chosen)
        self._client: AsyncAnthropic | None = None
        self._connecting: asyncio.Task[AsyncAnthropic] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._service = Service(_host(self._base_url or "https://api.anthropic.com"), self._secrets(), self._how())
        self._headers: dict[str, Any] = {}
        self._unbound: dict[str, int] = {}  # session -> how many of its messages go out without thinking

    async def open(self) -> None:
        """Raises CredentialsError where no key can be found, or what was found cannot be used."""
        if self._warming is not None:
            return
        own = self._base_url or self._api_key or self._auth_token
        found = None if own else credentials(os.environ)
        if not (own or found):
            raise CredentialsError(f"no credentials for {self._service.host}: {HOW}")
        if found and found not in _READ_BY_US:
            await self._connected()
        self._warming = asyncio.create_task(self._warm())

    async def close(self) -> None:
        for task in (self._warming, self._connecting):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        client, self._client, self._connecting, self._warming = self._client, None, None, None
        if client is not None:
            await client.close()

    async def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        response = await self._send(request)
        answer, patience = Answer(self._service, request.model, request.max_tokens), Patience(self._clock)
        ending = Ending(self._service, self._clock, request.max_tokens)
        try:
            chunks = response.aiter_bytes()
            patience.allow(FIRST_BYTES)
            while chunk := await self._read(chunks, patience, answer):
                known = answer.events
                deltas = answer.feed(chunk)
                patience.allow(LINGER if answer.over else STALL)
                ending.mind(answer)
                for delta in deltas:
                    yield delta
                if not deltas and answer.events != known:
                    yield Alive(answer.doing)
            patience.stop()
            yield answer.completed()
        finally:
            patience.stop()
            await response.aclose()

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, request: Request) -> httpx2.Response:
        known = self._unbound.get(request.session, 0)
        messages = request.messages
        if known > len(messages):  # compacted or started anew since: what was healed is gone
            del self._unbound[request.session]
        elif known:
            messages = [*_without_thinking(messages[:known]), *messages[known:]]
        try:
            return await self._post(request, messages)
        except Exception as error:
            if not bound_elsewhere(error) or not _thinks(messages):
                raise self._told(error, request) from None
        _log.warning("thinking blocks of this conversation are bound to another one; sent again without them")
        try:
            response = await self._post(request, _without_thinking(request.messages))
        except Exception as error:
            raise self._told(error, request) from None
        self._remember(request)
        return response

    async def _post(self, request: Request, messages: Sequence[Mapping[str, Any]]) -> httpx2.Response:
        if self._warming is None:
            raise RuntimeError("the provider is not open")
        client = await self._connected()
        import httpx2
        from anthropic import AsyncStream

        body, headers = self._body(request, messages), self._headers
        if request.compact or _summed_up(body["messages"]):
            headers = {**headers, "anthropic-beta": self._betas(client)}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=dict)
        posting = client.post(  # typed as its `stream_cls`, but `cast_to` decides
            "/v1/messages",
            cast_to=httpx2.Response,
            content=text.encode("utf-8", "replace"),  # a lone surrogate has no bytes; the same mark each time
            options={"headers": headers, "follow_redirects": False},  # a key is not carried elsewhere
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        response: Any = await self._begun(posting)
        content_type = response.headers.get("content-type", "")
        if not content_type.startswith("text/event-stream"):
            await response.aclose()
            raise self._service.not_a_stream(content_type)
        assert isinstance(response, httpx2.Response)
        return response

    async def _begun(self, posting: Awaitable[Any]) -> Any:
        """The answer's beginning, or the whole of an error. The SDK's own limit is one between two bytes."""
        patience = Patience(self._clock)
        patience.allow(FIRST_BYTES)
        try:
            return await patience.wait(posting)
        except Stalled:
            raise self._service.unreachable("no answer in time") from None
        finally:
            patience.stop()

    def _body(self, request: Request, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        able = abilities.of(request.model) if self._capabilities is None else self._capabilities
        if self._capabilities is None and self._base_url is not None:
            able = frozenset()
        if request.compact and "compaction" not in able:
            raise ProviderError("rejected", f"{self._service.host} makes no summaries with `{request.model}`")
        caching = "cache_control" in able
        body: dict[str, Any] = {"model": request.model, "max_tokens": request.max_tokens, "stream": True}
        if request.system:
            body["system"] = [_marked(request.system)] if caching else request.system
        if request.tools:
            body["tools"] = [_tool(tool, "web_search" in able) for tool in request.tools]
        body["messages"] = messages if "compaction" in able else _in_words(messages)
        if request.compact:
            body["compaction"] = {"type": "summarize", "instructions": request.compact}
        if caching:
            body["cache_control"] = {"type": "ephemeral"}
        if "thinking" in able:
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
        if request.effort and "effort" in able:
            body["output_config"] = {"effort": request.effort}
        return body

    def _remember(self, request: Request) -> None:
        if not request.session:
            return
        self._unbound[request.session] = len(request.messages)
        while len(self._unbound) > REMEMBERED:
            del self._unbound[next(iter(self._unbound))]

    def _told(self, error: Exception, request: Request) -> Exception:
        if isinstance(error, CredentialsError):
            return ProviderError("credentials", str(error))
        if isinstance(error, ProviderError | RuntimeError):
            return error
        return translate(error, self._service, request.model)

    def _betas(self, client: AsyncAnthropic) -> str:
        """With those that the environment names for Anthropic's own service."""
        named = None if self._base_url else client.default_headers.get("anthropic-beta")
        return f"{named},{_COMPACTS}" if isinstance(named, str) and named else _COMPACTS

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, chunks: AsyncIterator[bytes], patience: Patience, answer: Answer) -> bytes:
        """The next bytes; none at the end. After the answer's own end nothing that happens matters any more."""
        import httpx2

        try:
            return await patience.wait(anext(chunks, b""))
        except (Stalled, httpx2.TimeoutException):
            if answer.over:
                return b""
            raise self._service.truncated("nothing has come for too long") from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError):
            if answer.over:
                return b""
            raise self._service.truncated("the connection was cut") from None

    # ── the client ───────────────────────────────────────────────────────────────────────────────

    async def _warm(self) -> None:
        await self._clock.sleep(WARM_AFTER)
        try:
            await self._connected()
        except CredentialsError as error:
            _log.error("%s", error)  # and told again to whoever asks

    async def _connected(self) -> AsyncAnthropic:
        """The client, made once. Whoever waits may leave; the making goes on."""
        if self._client is None:
            if self._connecting is None:
                self._connecting = asyncio.create_task(apart(self._connect))  # to import the SDK takes a while
            try:
                self._client = await asyncio.shield(self._connecting)
            except CredentialsError:
                self._connecting = None  # what is missing may have been put there by the next time
                raise
            self._service = Service(_host(str(self._client.base_url)), self._secrets(), self._how())
        return self._client

    def _connect(self) -> AsyncAnthropic:
        import anthropic
        import httpx2

        from openclaw.providers._short_errors import cut_short

        self._headers, timeout = self._own_headers(), httpx2.Timeout(FIRST_BYTES, connect=10.0)
        # A key in the arguments, even one that is not sent, keeps the SDK from looking for others.
        stranger = self._base_url is not None and not self._auth_token
        try:
            return anthropic.AsyncAnthropic(
                api_key=(self._api_key or "none") if stranger else self._api_key,
                auth_token=None if self._api_key else self._auth_token,
                base_url=self._base_url,
                timeout=timeout,
                max_retries=0,
                http_client=anthropic.DefaultAsyncHttpxClient(timeout=timeout, event_hooks={"response": [cut_short]}),
            )
        except anthropic.AnthropicError as error:  # a profile that is chosen but cannot be read
            found = credentials(os.environ) or "the profile"
            raise CredentialsError(f"{found} cannot be used ({type(error).__name__}); {HOW}") from None

    def _own_headers(self) -> dict[str, Any]:
        """Ours, and what a `base_url` server is sent in place of ANTHROPIC_CUSTOM_HEADERS, meant for Anthropic."""
        from anthropic import Omit

        headers: dict[str, Any] = {"accept-encoding": "identity"}  # so that what is counted is what there is
        if self._base_url is None:
            return headers
        lines = os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
        ambient = (line.partition(":")[0].strip() for line in lines)
        headers |= {name: Omit() for name in ambient if name and name.lower() not in _ADDRESSED}
        key = self._auth_token or self._api_key
        headers["Authorization"] = f"Bearer {key}" if key else Omit()
        if self._api_key and not self._auth_token and self._service.host != "api.anthropic.com":
            headers["x-api-key"] = self._api_key  # some gateways read only this one
        return headers

    def _secrets(self) -> tuple[str, ...]:
        names = () if self._base_url else ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
        ambient = (os.environ.get(name) for name in names)
        return tuple(secret for secret in (self._api_key, self._auth_token, *ambient) if secret)

    def _how(self) -> str:
        return "set `api_key` of this model in models.yaml" if self._base_url else HOW


class Ending:
    """Gives an answer up that goes on for too long, or has said nothing for too long while bytes kept coming."""

    def __init__(self, service: Service, clock: Clock, max_tokens: int) -> None:
        self._service, self._clock = service, clock
        self._began = self._said = clock.monotonic()
        self._longest = max(LEAST, max_tokens / SLOWEST)
        self._events = 0

    def mind(self, answer: Answer) -> None:
        now = self._clock.monotonic()
        if answer.events != self._events:
            self._events, self._said = answer.events, now
        if answer.over:
            return
        if now - self._said > QUIET:
            raise self._service.truncated("it has said nothing for too long")
        if now - self._began > self._longest:
            raise self._service.truncated(f"it had no end after {now - self._began:.0f} s")


def _tool(tool: ToolSpec, searches: bool) -> dict[str, Any]:
    if searches and tool.kind == "web" and tool.options.get("unasked"):
        return dict(_SEARCH)
    return {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}


def _marked(text: str) -> dict[str, Any]:
    """The end of the system prompt as a cache breakpoint: the automatic one looks back 20 blocks only."""
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


def _thinks(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(_is_thinking(block) for message in messages for block in _blocks(message))


def _summed_up(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(block.get("type") == "compaction" for block in _blocks(messages[0])) if messages else False


def _in_words(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if not _summed_up(messages):
        return messages
    content = [
        {"type": "text", "text": f"{SUMMARY[0]}{inside(str(block.get('content')))}{SUMMARY[1]}"}
        if block.get("type") == "compaction"
        else block
        for block in _blocks(messages[0])
    ]
    return [{**messages[0], "content": content}, *messages[1:]]


def _without_thinking(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Messages that were nothing but thinking disappear; neighbours of one role are merged by the server."""
    kept: list[Mapping[str, Any]] = []
    for message in messages:
        blocks = _blocks(message)
        rest = [block for block in blocks if not _is_thinking(block)]
        if len(rest) == len(blocks):
            kept.append(message)
        elif rest:
            kept.append({**message, "content": rest})
    return kept


def _blocks(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message.get("content")
    return () if content is None or isinstance(content, str) else content


def _is_thinking(block: Mapping[str, Any]) -> bool:
    return block.get("type") in ("thinking", "redacted_thinking")


def _host(url: str) -> str:
    """Host and port, without the user name and password an address may carry."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or "the model server"
