"""Makes a long session short: the older part becomes a summary by the model, the newer part stays as it is.

The law: only between two turns, never between a call and its result; nothing is written unless the summary is
whole; the lines it stands for stay on disk. All thinking before it is left out from then on, because what it
was bound to has changed. Knows no tools, no policy, no channel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from openclaw.errors import ProviderError
from openclaw.fallback import Models
from openclaw.manifest.snapshot import CompactionLimits
from openclaw.messages import AssistantEntry, Block, Compaction, Entry, Intent, Result, Told, UserEntry
from openclaw.names import fresh
from openclaw.ports import Completed, Request
from openclaw.prompt import Voice
from openclaw.transcript import Log, Transcript, newest, text_of

CHARS_PER_TOKEN = 3.5  # a careful guess where no usage was reported
LONGEST = 4000  # tokens of a summary

_ASK = """\
Summarise the conversation below for yourself, so that you can go on with it without having read it. Keep every \
fact about the person, every name, number, identifier, path and address as written, every decision and its reason, \
what was tried and came of it, and every task that is still open. Write only the summary.

"""


def due(log: Log, limits: CompactionLimits) -> bool:
    """Whether the next request would carry more than the session should."""
    return tokens(log) > limits.at_tokens


def tokens(log: Log) -> int:
    """What the next request carries at least: reported by the model for its last call, and guessed for what came since;
    else guessed from all the text."""
    transcript = log.transcript
    if transcript.context_tokens:
        return transcript.context_tokens + _guess(transcript.since_call())
    return _guess(transcript.kept())


def _guess(entries: Sequence[Entry]) -> int:
    return int(sum(map(len, _texts(entries))) / CHARS_PER_TOKEN)


def _texts(entries: Iterable[Entry]) -> Iterator[str]:
    """As they are shown, of what the person was told in between only as much as a model is sent."""
    told: list[Told] = []
    for entry in entries:
        if isinstance(entry, Told):
            told.append(entry)
            continue
        if isinstance(entry, UserEntry):
            yield from map(_shown, newest(told))
            told = []
        yield _shown(entry)
    yield from map(_shown, newest(told))


async def compact(log: Log, models: Models, limits: CompactionLimits) -> Compaction | None:
    """Writes the summary of all but the newest `keep_tokens`; None where there is nothing to shorten.

    Raises ProviderError, and then nothing was written.
    """
    entries = log.transcript.entries
    start = next((i + 1 for i in range(len(entries) - 1, -1, -1) if isinstance(entries[i], Compaction)), 0)
    earlier = [entries[start - 1]] if start else []
    cut = _cut(log.transcript, start, limits.keep_tokens)
    if cut == start:
        return None
    done = await _summary(models, "\n".join(_texts([*earlier, *entries[start:cut]])))
    summary = f"<summary of the conversation so far>\n{text_of(done.content)}\n</summary>"
    keep_from = entries[cut].id if cut < len(entries) else None
    compaction = Compaction(fresh(), log.clock.now(), summary, keep_from, done.usage)
    await log.write(compaction)
    return compaction


def _cut(transcript: Transcript, start: int, keep_tokens: int) -> int:
    """Where the kept part begins: at something a person said or was told between two turns, so that no call is parted
    from its result."""
    entries = transcript.entries
    kept, cut = 0.0, len(entries)
    for at in range(len(entries) - 1, start - 1, -1):
        kept += len(_shown(entries[at])) / CHARS_PER_TOKEN
        if kept > keep_tokens:
            break
        if isinstance(entries[at], UserEntry | Told) and not transcript.steers(entries[at]):
            cut = at
    return cut


async def _summary(models: Models, text: str) -> Completed:
    def request(voice: Voice) -> Request:
        return Request(
            model=voice.model,
            system="You summarise conversations.",
            tools=(),
            messages=[{"role": "user", "content": [{"type": "text", "text": _ASK + text}]}],
            max_tokens=LONGEST,
        )

    done = (await models.ask(request)).done
    if done.stop_reason == "end_turn" and text_of(done.content):
        return done
    raise ProviderError("truncated", f"the summary was not completed ({done.stop_reason})")


def _shown(entry: Entry) -> str:
    match entry:
        case UserEntry():
            return f"person: {_said(entry.content)}"
        case AssistantEntry():
            return f"you: {_said(entry.content)}"
        case Result():
            return f"result: {entry.content}"
        case Compaction():
            return entry.summary
        case Told():
            return f"{entry.by} told the person: {entry.text}"
        case Intent():
            return ""


def _said(content: tuple[Block, ...]) -> str:
    parts = []
    for block in content:
        if block.get("type") == "text":
            parts.append(str(block.get("text", "")))
        elif block.get("type") == "tool_use":
            parts.append(f"[{block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}]")
    return "\n".join(parts)
