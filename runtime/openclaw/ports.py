"""The shapes of everything that touches the world: one Protocol for each folder of kinds.

The file name in a folder *is* the kind, and `adapters.py` finds the class by its name there:

    channels/<kind>.py    class Channel      providers/<kind>.py   class Provider
    tools/<kind>.py       class Tools        stores/<kind>.py      class Store
    doorbells/<kind>.py   class Doorbell

Constructors have no effects. `open` acquires, `close` releases and may be called after a failed `open`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from openclaw.messages import (
    Accepted,
    Address,
    Answer,
    Answered,
    Approval,
    Block,
    Call,
    Entry,
    Message,
    Progress,
    Refused,
    Reply,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from openclaw.storing import *  # noqa: F403 - whoever keeps something finds its shape here, too
from openclaw.storing import Queued, SessionSummary, Settlement
from openclaw.words import ChannelOptions as ChannelOptions

# ── providers ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model. `messages` are role and content blocks in the form of the Messages API.

    `system` and `tools` (in this order) are the same for every request of a session under one
    snapshot; `messages` only ever grows. `capabilities` of the model are the provider's business.
    """

    model: str  # the id the service knows, not the alias
    system: str
    tools: tuple[ToolSpec, ...]
    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    effort: str | None = None
    session: str = ""
    compact: str = ""  # how the service is to sum the messages up, in place of an answer to them


@dataclass(frozen=True, slots=True)
class Completed:
    """The whole answer. `content` is verbatim what the next request must carry; always the last event."""

    content: tuple[Block, ...]
    stop_reason: str
    usage: Usage
    model: str
    why: str = ""  # it stopped so, as far as the service says: of a refusal its category and explanation


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life without words: the model is `doing` something that there is nothing to show of."""

    doing: str


ProviderEvent: TypeAlias = TextDelta | ThinkingDelta | Alive | Completed


class Provider(Protocol):
    """One service for one entry of models.yaml. Constructed as `Provider(options: Mapping, clock)`."""

    async def open(self) -> None: ...

    def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        """Deltas and other signs of life as they come, then one `Completed`. Raises ProviderError; never ends without
        `Completed`."""

    async def close(self) -> None: ...


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


class Tools(Protocol):
    """All tools of one kind. Constructed as `Tools(specs: Mapping[str, ToolSpec], place: Place, clock)`."""

    async def open(self) -> None: ...

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        """Runs a call whose input was validated and whose decision was made. Failures become error results
        (`ToolError` may be raised and is turned into one); cancellation ends what it started."""

    async def close(self) -> None: ...


class Reminding(Protocol):
    """What an agent sets up for later. Kept in the state folder; a person sees it beside the heartbeats."""

    async def remind(
        self,
        text: str,
        call: Call,
        *,
        at: str | None = None,
        after: str | None = None,
        cron: str | None = None,
        act: bool = False,
    ) -> str:
        """Sets one up: `at` a time, `after` a duration, or on a schedule; exactly one of them. Then the text is
        delivered where the call came from, or, to `act`, the agent is asked to do what it says. Words about it,
        with its name. Raises ToolError."""

    async def reminders(self, call: Call) -> Sequence[str]:
        """Those that whoever is behind this call may see, a line each."""

    async def unremind(self, name: str, call: Call) -> str:
        """Raises ToolError where there is none of this name for them."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a runtime gives its tools: where it lives on disk, as absolute paths in text, and what it does for them."""

    project: str
    state: str
    reminding: Reminding | None = None
    memory: object = None  # the one memory of this runtime, for the tools that are made to use it


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

Watcher: TypeAlias = Callable[[Progress], None]
"""Told what happens in a turn, best effort and in memory only; must not block or raise."""


Begin: TypeAlias = Callable[[], Awaitable[None]]
"""Awaited between the decision on a call and its effect: the intent is on disk when it returns."""

Perform: TypeAlias = Callable[[ToolCall, Begin], Awaitable[ToolResult]]
"""Makes one call, or refuses it. Raises nothing that the model could mend."""


async def _nobody() -> Sequence[Queued]:
    return ()


@dataclass(frozen=True, slots=True)
class Beside:
    """What else is answered with a message: `with_it` is read together with it, and `steer` gives, whenever it is
    asked, what came since and joins the turn under way. All of it is settled with the turn; `rows` gives what that is
    by now, also what was read before a crash. `anew`: its words are said once more, because its turn, which was begun
    before, is not to be taken up."""

    with_it: Sequence[Queued] = ()
    steer: Callable[[], Awaitable[Sequence[Queued]]] = _nobody
    anew: bool = False
    rows: Callable[[], Sequence[Queued]] = tuple


ALONE = Beside()


class Post(Protocol):
    async def __call__(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        """Takes a message in: a command acts at once, all else is on disk when this returns, or refused."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A stranger who wrote in private and waits to be let in, or one who was. `code` is "" once they are in."""

    sender: Address
    name: str  # as displayed; never trusted for anything
    code: str
    at: datetime
    expires: datetime | None = None


Letter: TypeAlias = Callable[[Mapping[str, str], bytes], Awaitable[int]]
"""Takes a POST that a service sent to one channel: headers (names in lower case) and body in, HTTP status out.
Judges by itself who sent it; what it answers 200 to is on disk."""


class Operations(Protocol):
    """What a channel or the control socket may ask of the runtime beside posting. All answers are JSON values."""

    def status(self) -> Mapping[str, Any]: ...

    def readiness(self) -> Mapping[str, Any]:
        """`status` (starting, ready, stopping), `on_last_good`, and perhaps a `detail` about what is amiss."""

    def agents(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[Mapping[str, Any]]:
        """All of them; or those who answer on this channel, of those `among` that a program may reach. `default` is who
        answers there where none is named."""

    def tools(self) -> Sequence[Mapping[str, Any]]: ...

    async def heartbeats(self) -> Sequence[Mapping[str, Any]]:
        """Those of the manifests and the reminders, as `control/shapes.py` has them."""

    async def history(
        self, heartbeat: str | None, limit: int, since: datetime | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """What came of the latest instants, of one heartbeat or of all, latest first."""

    async def coming(self, until: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
        """When what is on runs from now on, soonest first."""

    def commands(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[tuple[str, str]]:
        """Slash commands, and the prefixes of those whom `agents` gives, with a word of help each: for completion and
        menus."""

    def approvals(self) -> Sequence[Approval]: ...

    async def answer(self, approval: str, answer: Answer, by: Address) -> None:
        """Raises ApprovalError where the approval is gone, or `by` is not one of its approvers."""

    async def remembered(self) -> Sequence[Mapping[str, Any]]: ...

    async def revoke(self, id: str) -> None: ...

    async def stop(self, session: str) -> bool:
        """Cancels the running turn; its transcript stays valid. False where none runs."""

    async def sessions(self) -> Sequence[SessionSummary]: ...

    async def transcript(self, session: str) -> Sequence[Entry]: ...

    async def reset(self, session: str) -> str | None:
        """Archives the session, as /new does."""

    async def import_session(self, session: str, text: str, *, force: bool) -> int | None:
        """Takes in what `sessions export` gave: how many entries were new. None where another session is there,
        unless `force` puts it aside, or it is being answered. Raises OpenClawError where the text is wrong."""

    async def find(self, message: str) -> Settlement | None: ...

    async def inbox(self) -> Sequence[Mapping[str, Any]]:
        """Messages that wait, are answered or were put aside, and replies that were given up."""

    async def figures(self) -> Mapping[str, int]:
        """How many there are `queued`, `running`, `parked`, `undelivered` and `dead`."""

    async def retry(self, id: str) -> bool:
        """Answers a parked message, or sends a dead reply, once more; False where it is neither."""

    async def drop(self, id: str) -> bool:
        """Ends what waits, is parked or dead; False where it is none of these."""

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        """Listens to the turn of an accepted message from now on; call what is returned to stop."""

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        """Listens to those turns of a channel that nobody watches: taken up again after a restart, for example."""

    def questions(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        """Hears `Asked` and `Settled` of every approval that somebody on this channel may answer, those that are open
        now included, whoever's turn it is; call what is returned to stop. Where a question is put,
        `openclaw.asking.places` says, the same on every channel."""

    async def folder(self, message: Message) -> Path | Refused:
        """Where files that come with this message are kept, made if it is not there: in the workspace of the agent
        that would answer it. `Refused` where the message would be: then nothing is fetched. Where there is no room for
        it this waits for half a minute; then it is `full`, and the message goes without its files."""

    async def knock(self, sender: Address, name: str) -> str | None:
        """A stranger wrote in private. The words to tell them, with their code; None where nothing is to be said:
        they were told lately, too many wait already, or nobody may be let in here."""

    def pairings(self) -> tuple[Sequence[Pairing], Sequence[Pairing]]:
        """Those who wait, and those who were let in, oldest first."""

    async def pair(self, code: str) -> Pairing:
        """Lets the holder of the code in; raises PairingError where nobody waits with it."""

    async def unpair(self, sender: Address) -> None:
        """Raises PairingError where they were not let in."""

    def receive(self, channel: str, letter: Letter) -> Callable[[], None]:
        """Has POSTs to `/channels/<channel>` of the HTTP channel given to `letter`; call what is returned to stop."""

    def letter(self, channel: str) -> Letter | None:
        """What receives for this channel now."""

    async def run_heartbeat(self, name: str) -> Accepted | Refused:
        """Runs it now, beside its schedule."""

    async def pause_heartbeat(self, name: str, by: Address | None = None) -> bool:
        """Nothing of it runs by itself until it is resumed, over restarts too; False where there is none."""

    async def resume_heartbeat(self, name: str) -> bool:
        """It goes on from now, also where it had stopped after failures; False where there is none."""

    async def forget_heartbeat(self, name: str) -> bool:
        """Deletes a reminder; False where there is none of that name. Those of the manifests stay."""

    async def memories(self, query: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Of every scope: the best for the query, or the latest where it is empty."""

    async def forget(self, memory: str) -> bool:
        """Deletes a memory by its key; False where there is none."""

    def usage(self) -> Sequence[Mapping[str, Any]]:
        """What was used since the start, by agent and model."""

    async def spending(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        """What was used on days, also before the start; `query` as `GET /api/usage` has it. Raises UsageError."""

    def reloads(self) -> Sequence[Mapping[str, Any]]:
        """The latest attempts to apply what is on disk, oldest first."""

    async def reload(self) -> Mapping[str, Any]:
        """Applies what is on disk now, or says why not."""

    def hear_reloads(self, told: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Tells of every attempt from now on, as `reloads` lists them; call what is returned to stop."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request speaks for. `scopes`: chat, approve, read, operator (which includes the others).

    `declare` makes an address of a `sender` that the request names; None: it may name none. `owns` tells
    the sessions it may see; None: all. `agents` are those it may ask; None: every one. `answers_as` is whose
    answers to approvals it gives, where that is not the sender.
    """

    name: str  # of the token, never its value
    sender: Address
    scopes: frozenset[str] = frozenset({"chat"})
    declare: Callable[[str], Address] | None = None
    owns: Callable[[str], bool] | None = None
    agents: tuple[str, ...] | None = None
    answers_as: Address | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "operator" in self.scopes


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is not served. `code` is stable; `detail` is fit for whoever asked."""

    status: int
    code: str
    detail: str


class Gate(Protocol):
    """The door of one socket. A request is a Starlette `Request`; nothing else of it is read before this is asked."""

    async def __call__(self, request: Any) -> Caller | Problem:
        """Whom it speaks for."""

    def holds(self, caller: Caller) -> bool:
        """Whether the caller may still be served: a token can be withdrawn while a request lasts."""

    def foreign(self, request: Any) -> Problem | None:
        """Why not even what needs no token is served: it came under a name that is not ours, or from the page of
        another web site."""

    def paused(self, request: Any) -> Problem | None:
        """Why a secret from there is not looked at: too many wrong ones came lately."""

    def wrong(self, request: Any) -> None:
        """Notes that a wrong secret came from there."""


class Channel(Protocol):
    """Constructed as `Channel(options: ChannelOptions, clock)`. The class says with `keeps` whether its service keeps a
    message until it is acknowledged: then one that the disk has no room for waits there."""

    async def open(self) -> None: ...

    async def run(self, post: Post, operations: Operations) -> None:
        """Takes messages in until cancelled, or until the person leaves (the REPL). Replies can be sent before it, and
        after it until `close`."""

    async def send(self, reply: Reply) -> None:
        """Delivers one reply whole; raises DeliveryError."""

    async def close(self) -> None: ...


class Notes(Protocol):
    """What a channel keeps across restarts: small JSON documents by name. The app hands it in as option `notes`."""

    async def get(self, name: str) -> Any:
        """The document as it was put last; None where there is none."""

    async def put(self, name: str, document: Any) -> None:
        """Durable on return."""


@dataclass(slots=True)
class Pulse:
    """A channel's signs of life: when it last *received* (a poll that was answered, a gateway's acknowledgement).

    The channel writes, others read. `patience` is the seconds of silence after which it does not receive any more,
    and is begun anew. `trouble` is what it struggles with at present, fit for an operator; "" for nothing.
    """

    patience: float
    last: float | None = None  # monotonic; None until the first sign
    trouble: str = ""
    received: int = 0  # signs so far
    reconnects: int = 0

    def beat(self, now: float) -> None:
        self.last, self.trouble, self.received = now, "", self.received + 1

    def silent(self, now: float, since: float) -> bool:
        """`since`: when the channel began, for one that has not received yet."""
        return now - max(self.last if self.last is not None else since, since) > self.patience


@runtime_checkable
class Receiving(Channel, Protocol):
    """A channel whose intake can fall silent: it says when it last received."""

    pulse: Pulse


@runtime_checkable
class Probing(Channel, Protocol):
    """A channel of a service that knows a bot by its token."""

    account: str  # the same for every token of one bot: two of one account must not receive at the same time

    async def probe(self) -> str:
        """Asks the service whether it would let this bot in, beside whatever is at work there; opens nothing and notes
        nothing. "" where it would, or words why it does not answer. Raises OpenClawError where it would not."""


@runtime_checkable
class Renewable(Channel, Protocol):
    """A channel that listens at an address, and takes any other description while everything that is open goes on:
    `renew`, then `settle` once the snapshot is in force, or `forgo` where it will not be.

    Its `open` may be called again, and then does nothing. But for `renew` none of these raises.
    """

    address: str  # once open
    link: str  # once open: what a person opens in a browser

    def renew(self, options: ChannelOptions) -> bool:
        """Makes ready for it. False where only a new channel can serve this. Raises OpenClawError, with everything as
        it was."""

    def settle(self) -> None:
        """What was made ready counts from here on."""

    def forgo(self) -> None:
        """Lets go of what was made ready."""

    def make_way(self) -> None:
        """Listens no longer, for another channel that wants the place."""

    def take_back(self) -> None:
        """Listens again where it made way."""

    def retire(self) -> None:
        """Takes nothing more in, for good; `run` ends with the last request that is open."""
