"""The words of the runtime: frozen values that flow between rooms. Imports nothing of ours but `words`, does nothing.

One message type inside; channels translate at their edge, and so do providers: the content of a
transcript is kept in the block form of the Messages API, verbatim, because a model may bind later
answers to the exact bytes of earlier ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from openclaw.words import Address as Address
from openclaw.words import Call as Call
from openclaw.words import CommandLine as CommandLine
from openclaw.words import Confinement as Confinement
from openclaw.words import Judged as Judged
from openclaw.words import Mechanism as Mechanism
from openclaw.words import Step as Step
from openclaw.words import ToolSpec as ToolSpec
from openclaw.words import escape as escape
from openclaw.words import quote_line as quote_line
from openclaw.words import unescape as unescape

Block: TypeAlias = Mapping[str, Any]
"""One content block of the Messages API: {"type": "text" | "thinking" | "tool_use" | ..., ...}."""


SILENT = "NO_REPLY"
"""What an agent answers to a heartbeat when nobody needs to be told anything."""


# ── messages and replies ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """`path` is a file in the workspace or state folder; images are never carried in memory."""

    path: str
    media_type: str


@dataclass(frozen=True, slots=True)
class File:
    path: str
    name: str
    size: int  # bytes
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of somebody else that came along: what a message answers or passes on. They are shown to the model as
    such, and never read as a command, a prefix or an answer."""

    text: str
    author: str = ""  # as displayed; never trusted for anything
    forwarded: bool = False  # passed on, rather than answered


Part: TypeAlias = Text | Image | File | Quote


@dataclass(frozen=True, slots=True)
class Message:
    """What a person, a program or a heartbeat says to the runtime.

    `id` is the channel's own and unique on it for ever: together with the channel's key it is the
    inbox's unique key. `chat` is set in groups only; `agent` and `session` only where the program
    that posted it named them (`session` is appended to the sender's key).
    """

    id: str
    sender: Address
    parts: tuple[Part, ...]
    at: datetime  # aware, UTC
    name: str = ""  # the sender's display name; never trusted for anything
    chat: str | None = None
    topic: str | None = None
    agent: str | None = None
    session: str | None = None
    heartbeat: str | None = None
    agents: tuple[str, ...] | None = None  # those the program may reach; None: every one
    fetched: bool = False  # whoever posted it fetches the reply by its id; nothing is sent
    can_ask: bool = True  # where it was said, a question about it can be put to somebody
    deliver: tuple[Address, ...] = ()  # the reply goes there, and not back to the sender
    told: bool = False  # was said to this session's person already: it enters the transcript, and nobody answers
    untrusted: str = ""  # whose words the text itself holds, where they are a stranger's
    bot: str = ""  # the account of the channel by which it came, where it has one; what answers it goes out by the same

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a message: agent id, session key, and the text without the prefix that chose the agent. `instead` is
    the agent that it was taken in for, where that was gone before it came to answer."""

    agent: str
    session: str
    text: str
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, and the searches of the web that its service made; missing figures are 0."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    searches: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.searches + other.searches,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.input - other.input,
            self.output - other.output,
            self.cache_read - other.cache_read,
            self.cache_write - other.cache_write,
            self.searches - other.searches,
        )

    def as_json(self) -> dict[str, int]:
        return {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_read_tokens": self.cache_read,
            "cache_write_tokens": self.cache_write,
        }

    @property
    def context(self) -> int:
        """Tokens the next request will carry at least: all input of this call, and its output."""
        return self.input + self.cache_read + self.cache_write + self.output


@dataclass(frozen=True, slots=True)
class Account:
    """What answering one message took."""

    model: str = ""  # the id the service knows; "" where no model was asked
    usage: Usage = Usage()
    cost: float | None = None  # US dollars; None where the model's price is not known
    seconds: float = 0.0
    check: str = ""  # what the check of a heartbeat found, in a line
    woken: bool = True  # False where that check let the model sleep


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back. `answers` is the inbox id of the message it answers, None for one sent unasked."""

    to: Address
    text: str
    session: str
    agent: str
    answers: str | None = None
    chat: str | None = None
    topic: str | None = None
    failed: bool = False  # the text is an error told to the person, not the model's words
    fault: str = ""  # what kind of error of the model it was, as `errors.ProviderFault` names them
    repeated: bool = False  # may have been delivered before a crash already
    told: Route | None = None  # what enters which session once it was delivered, so that it can be answered there
    account: Account | None = None
    untrusted: str = ""  # a heartbeat's: the strangers' material that was in its run
    bot: str = ""  # the account by which it goes out; "": whoever has the channel's key

    @property
    def place(self) -> Address:
        """Where it goes: the group, whoever asked there, or the person. Nothing overtakes anything on its way there."""
        return Address(self.to.channel, self.chat or self.to.id)


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `id` is the provider's."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call. `text` is already cut to what a model should read. `plain` is what the tool really said,
    where `text` holds more that differs each time, such as the date or a file's name; a check compares that.

    `untrusted`: whose words are in it, where they are a stranger's; from then on the session is tainted.
    """

    text: str
    is_error: bool = False
    untrusted: str = ""
    plain: str | None = field(default=None, repr=False, compare=False)

    @property
    def said(self) -> str:
        return self.text if self.plain is None else self.plain


# ── approvals ────────────────────────────────────────────────────────────────────────────────────

Answer: TypeAlias = Literal["allow-once", "allow-always", "deny"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person: may this call run? Bound to `digest`, which covers all that was judged.

    `lines` is the whole call, escaped, one argv a line; it is never shortened. `approvers` are
    addresses. `offers` are the answers that are accepted.
    """

    id: str
    session: str
    agent: str
    tool: str
    sender: str  # address of the person whose message led here
    lines: tuple[str, ...]
    cwd: str
    reason: str
    rules: tuple[str, ...]  # "file:line policy/id effect"
    approvers: tuple[str, ...]
    offers: tuple[Answer, ...]
    digest: str
    created: datetime
    expires: datetime
    chat: str | None = None  # the group it was asked for in, and its topic
    topic: str | None = None
    there: bool = True  # whether whoever it was asked for can be asked where they wrote
    policy: str = ""  # digest of the policy that asks; an edit of it withdraws the question


# ── the transcript ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class UserEntry:
    """What the person said, with the dynamic context the model got with it. `message` is the inbox id.

    `untrusted` names what came along that somebody else wrote: quotes, files. `joined` are the inbox ids of other
    messages that are answered together with it: those whose words it holds, and those of the turn that it joined.
    """

    id: str
    at: datetime
    content: tuple[Block, ...]
    message: str
    untrusted: str = ""
    joined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssistantEntry:
    """One answer of the model, verbatim. `setup` is the digest of system prompt and tool list it was given."""

    id: str
    at: datetime
    content: tuple[Block, ...]
    model: str
    stop_reason: str
    usage: Usage
    setup: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A tool is about to run. On disk before the effect; without a `Result`, what came of it is unknown."""

    id: str
    at: datetime
    call: str
    tool: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call: after its intent, or alone where the call was refused and never ran."""

    id: str
    at: datetime
    call: str
    content: str
    is_error: bool
    untrusted: str = ""  # whose words it holds, where they are a stranger's


@dataclass(frozen=True, slots=True)
class Compaction:
    """Everything before the entry `keep_from` is from now on this summary. The lines stay on disk.

    `block` is the summary where the model's own service made it: it is sent back as it came, before all else, and
    `beside` behind it. `summary` holds the words of both. `trimmed`: of what it stands for a part was left out without
    a summary, which the person has to be told. `message`: the inbox id of the command that asked for it.
    """

    id: str
    at: datetime
    summary: str
    keep_from: str | None  # entry id; None keeps nothing
    usage: Usage = Usage()
    block: Block | None = None
    beside: str = ""
    trimmed: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was paid and is never part of the conversation: written at once, for a summary that is not whole yet.

    `summary` stands for the first `length` characters of what is summed up, which have this digest. There is none where
    an answer was paid and of no use.
    """

    id: str
    at: datetime
    summary: str = ""
    length: int = 0
    digest: str = ""
    usage: Usage = Usage()
    setup: str = ""  # of the model that answered


@dataclass(frozen=True, slots=True)
class Undone:
    """A summary is taken back: what it stood for is in the conversation again, word for word."""

    id: str
    at: datetime
    compaction: str  # entry id
    message: str = ""  # the inbox id of the command that asked for it


@dataclass(frozen=True, slots=True)
class Told:
    """What was said to the person of this session from elsewhere: a heartbeat's reply. The model sees it as such.

    `message` is the inbox id it entered with, `by` who said it, for example "heartbeat morning".
    """

    id: str
    at: datetime
    by: str
    text: str
    message: str
    untrusted: str = ""  # the strangers' material that was before whoever said it


Entry: TypeAlias = UserEntry | AssistantEntry | Intent | Result | Compaction | Draft | Undone | Told


# ── what a person sees while a turn runs ─────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call: ToolCall
    line: str  # one line for a person, for example: run_command  ls -l


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call: ToolCall
    result: ToolResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    approval: Approval


@dataclass(frozen=True, slots=True)
class Settled:
    approval: str  # its id
    answer: Answer | Literal["expired", "cancelled"]
    why: str = ""  # it was withdrawn


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed and what it streamed is void; another follows after `seconds`, or at once."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The model `what` has said nothing for so many seconds; it goes on being waited for. Where it gives signs of life,
    `doing` says what it does that nobody is shown."""

    seconds: float
    what: str
    doing: str = ""

    @property
    def words(self) -> str:
        how = f"has been {self.doing}" if self.doing else "has said nothing"
        return f"{self.what} {how} for {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Finished:
    reply: Reply


Progress: TypeAlias = (
    TextDelta | ThinkingDelta | ToolStarted | ToolFinished | Asked | Settled | Retrying | Waiting | Finished
)


# ── answers of post() ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is on disk and will be answered. `new` is False where this id was accepted before."""

    id: str
    agent: str
    session: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """A command that acted at once; `text` is shown to the sender and enters no transcript."""

    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not accepted and nothing stored. `code` is stable: sender, agent, busy, empty, too_large, stopping, full."""

    code: str
    reason: str


SUMMARY = "<summary of the conversation so far>\n", "\n</summary>"  # what stands around one in a message
_ENDING = re.compile(r"<(?=\s*/\s*(?:summary|more))", re.IGNORECASE)


def inside(words: str) -> str:
    """Words of a summary that cannot end what stands around them."""
    return _ENDING.sub("&lt;", words)
