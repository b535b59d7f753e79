"""Makes a long session short: the older part becomes a summary by the model, the newer part stays as it is.

The law: only where no call waits for its result; nothing is written unless the summary is whole; the lines it stands
for stay on disk, and an entry takes it back. All thinking before it is left out from then on, because what it was bound
to has changed. What the model leaves out of what must not be lost is asked for once more and then added as a list.
Where the agent wants it, the model's service makes the summary; where it does not, that is asked for as elsewhere.
Knows no tools, no policy, no channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from openclaw import essentials
from openclaw.essentials import Essential
from openclaw.fallback import Models
from openclaw.manifest.snapshot import CompactionLimits
from openclaw.messages import (
    SUMMARY,
    AssistantEntry,
    Block,
    Compaction,
    Entry,
    Told,
    Undone,
    Usage,
    UserEntry,
    inside,
)
from openclaw.plain import CHARS_PER_TOKEN, guess, shown, spoken, texts
from openclaw.summing import Summing, always, drafted
from openclaw.transcript import Log, Transcript, calls

LISTED = 16_000  # characters of the list of what is still left out
LAST_WORDS = 8000  # characters of the person's last message, where it would be summed up
SHORT = 20_000  # characters that are looked through in no time
_PLAIN = ("text", "tool_use", "thinking", "redacted_thinking")
CARRIED = 12_000  # characters of an earlier summary that are carried on where none can be made


def due(log: Log, limits: CompactionLimits, *, share: float = 1.0) -> bool:
    """Whether the next request would carry more than the session should, or than this share of it. After a summary was
    taken back not before a good deal more was said. What no summary makes shorter, system prompt and tools, leaves the
    conversation a quarter of that at the least: else it would be summed up again and again."""
    transcript = log.transcript
    undone = transcript.undone()
    if undone and guess(undone) <= limits.at_tokens // 4:
        return False
    carried = tokens(log)
    return carried > limits.at_tokens * share and carried - _fixed(transcript) > limits.at_tokens * share / 4


def kept_tokens(log: Log, limits: CompactionLimits) -> int:
    """How many of the latest tokens stay: half of what the conversation may have, so that there is room to go on."""
    room = max(limits.at_tokens - _fixed(log.transcript), limits.at_tokens // 4)
    return min(limits.keep_tokens, room // 2) if room < limits.at_tokens else limits.keep_tokens


def _fixed(transcript: Transcript) -> int:
    """Tokens of the first call that stand in none of its entries, as far as the model reported it. Later ones hold
    pictures, searches and thinking besides, which no guess counts and a summary does away with; where the first one
    does so too, nobody knows."""
    at, first = next(((i, e) for i, e in enumerate(transcript.entries) if isinstance(e, AssistantEntry)), (0, None))
    before = transcript.entries[:at]
    if first is None or not first.usage.context or not all(map(_guessable, [*before, first])):
        return 0
    return max(0, first.usage.context - first.usage.output - guess(before))


def _guessable(entry: Entry) -> bool:
    """Whether all that was sent of it, or answered before it, is text."""
    if isinstance(entry, UserEntry | AssistantEntry):
        return all(block.get("type") in _PLAIN for block in entry.content)
    return True


def tokens(log: Log) -> int:
    """What the next request carries at least: reported by the model for its last call, and guessed for what came since;
    else guessed from all the text."""
    transcript = log.transcript
    if transcript.context_tokens:
        return transcript.context_tokens + guess(transcript.since_call())
    at, before = transcript.guessed
    new = transcript.entries[at:] if at else transcript.kept()
    transcript.guessed = len(transcript.entries), before + guess(new)
    return transcript.guessed[1]


async def compact(
    log: Log,
    models: Models,
    keep_tokens: int,
    mode: Literal["own", "server"] = "own",
    may: Callable[[], bool] = always,
    message: str = "",
) -> Compaction | None:
    """Writes the summary of all but the newest `keep_tokens`; None where there is nothing to shorten. `may` is asked
    before each piece; `message` is the command that wants it.

    Raises ProviderError or Unfinished, and then only drafts were written.
    """
    parts = _parted(log.transcript, keep_tokens)
    if parts is None:
        return None
    older, kept = parts
    text = "\n".join(texts(older))
    wanted = await _wanted(older, len(text))  # before anything is paid: it takes half a second for a long one
    summing = Summing(log, models, may)
    block = await summing.by_server(kept[0].id if kept else None) if mode == "server" else None
    summary = str(block["content"]) if block else await summing.up(text)
    left_out, beside, cut_off = essentials.missing(wanted, summary), "", None
    if left_out:
        try:
            beside = await summing.more(left_out)
        except asyncio.CancelledError as error:  # the summary is whole and paid: first it is written
            cut_off = error
        left_out = essentials.missing(left_out, beside)
    if left_out:
        beside += f"\n\n{essentials.listed(left_out, LISTED)}"
    beside += _last_words(log, kept)
    await summing.settle()
    compaction = await _write(log, summary, beside, kept, summing.usage, block, message=message)
    if cut_off is not None:
        raise cut_off
    return compaction


async def trim(log: Log, keep_tokens: int, why: str) -> Compaction | None:
    """Leaves the older part out without a model, and says so where it stood; None where there is nothing to shorten."""
    parts = _parted(log.transcript, keep_tokens)
    if parts is None:
        return None
    older, kept = parts
    text, first = "\n".join(texts(older)), older[0]
    earlier, at = drafted(log.transcript, text)
    if not earlier and isinstance(first, Compaction):
        earlier = first.summary.removeprefix(SUMMARY[0]).removesuffix(SUMMARY[1])[:CARRIED]
    since, until = (entry.at.strftime("%Y-%m-%d %H:%M UTC") for entry in (older[0], older[-1]))
    what = "What was said then" if at else f"What was said from {since} ({len(older):,} entries)"
    told = (
        f"{what}, up to {until}, is left out here and not summarised, because no summary of it could be made ({why}). "
        "It is kept on disk. Ask the person where you need to know more."
    )
    wanted = await _wanted(older, len(text))
    listed = essentials.listed(essentials.missing(wanted, earlier), LISTED)
    summary = "\n\n".join(filter(None, [earlier, told, listed]))
    return await _write(log, summary, _last_words(log, kept), kept, Usage(), trimmed=True)


async def undo(log: Log, message: str = "") -> bool:
    """Takes the last summary back; False where there is none."""
    summary = log.transcript.summary
    if summary is None:
        return False
    await log.write(Undone(log.chance.fresh(), log.clock.now(), summary.id, message))
    return True


async def _wanted(older: Sequence[Entry], length: int) -> list[Essential]:
    if length < SHORT:
        return essentials.found(older)
    return await asyncio.to_thread(essentials.found, older)


async def _write(
    log: Log,
    summary: str,
    beside: str,
    kept: Sequence[Entry],
    usage: Usage,
    block: Block | None = None,
    *,
    trimmed: bool = False,
    message: str = "",
) -> Compaction:
    summary, beside, first = inside(summary), inside(beside), kept[0].id if kept else None
    text = f"{SUMMARY[0]}{summary}{beside}{SUMMARY[1]}"
    aside = f"<more of what the summary stands for>{beside}\n</more>" if block and beside else ""
    compaction = Compaction(log.chance.fresh(), log.clock.now(), text, first, usage, block, aside, trimmed, message)
    await log.write(compaction)
    return compaction


def _last_words(log: Log, kept: Sequence[Entry]) -> str:
    """What is still being answered and not in what is kept: the person's question, and what was said to it since."""
    transcript, staying = log.transcript, {entry.id for entry in kept}
    said: list[UserEntry] = []
    for entry in reversed(transcript.entries):
        if isinstance(entry, AssistantEntry) and not said and not calls(entry.content):
            return ""  # that was the answer
        if isinstance(entry, UserEntry):
            said.append(entry)
            if not transcript.steers(entry):
                break
    if not said or said[-1].id in staying:
        return ""
    words = "\n".join(spoken(entry) for entry in reversed(said) if entry.id not in staying)
    cut = "" if len(words) <= LAST_WORDS else f"\n(cut off here; it had {len(words):,} characters)"
    return f"\n\nThe person's last message, word for word:\n{words[:LAST_WORDS]}{cut}" if words else ""


# ── where it is cut ──────────────────────────────────────────────────────────────────────────────


def _parted(transcript: Transcript, keep_tokens: int) -> tuple[Sequence[Entry], Sequence[Entry]] | None:
    """What is summed up, an earlier summary first, and what stays; None where nothing would be gained."""
    entries = transcript.kept()
    start = 1 if entries and isinstance(entries[0], Compaction) else 0
    cut = _cut(transcript, entries, start, keep_tokens)
    return None if cut == start else (entries[:cut], entries[cut:])


def _cut(transcript: Transcript, entries: Sequence[Entry], start: int, keep_tokens: int) -> int:
    """Where the kept part begins: at something a person said or was told between two turns; where the last turn alone
    is more than is kept, at one of its answers. So no call is parted from its result."""
    kept, turn, answer = 0.0, len(entries), len(entries)
    for at in range(len(entries) - 1, start - 1, -1):
        kept += len(shown(entries[at])) / CHARS_PER_TOKEN
        if kept > keep_tokens:
            break
        if isinstance(entries[at], UserEntry | Told) and not transcript.steers(entries[at]):
            turn = at
        elif isinstance(entries[at], AssistantEntry):
            answer = at
    return turn if turn < len(entries) else answer
