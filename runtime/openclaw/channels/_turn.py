"""One turn as it is shown: progress in, printed blocks and live lines out. Knows no prompt and no runtime."""

from __future__ import annotations

from typing import Protocol

from openclaw.channels import _paper
from openclaw.clock import Clock
from openclaw.messages import (
    Finished,
    Progress,
    Reply,
    Retrying,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    Waiting,
)

_LIVE_LINES = 6


class Screen(Protocol):
    def say(self, text: str) -> None: ...

    def speak(self, agent: str) -> None: ...

    def has_shown(self, reply: Reply) -> bool: ...

    def ended(self, reply: Reply) -> None: ...


class TurnView:
    def __init__(self, screen: Screen, clock: Clock) -> None:
        self._screen = screen
        self._clock = clock
        self._began = clock.monotonic()
        self._blocks = _paper.Blocks()
        self._streamed: list[str] = []  # since the last tool call: what the reply will most likely repeat
        self._calls: dict[str, str] = {}
        self._thought = ""
        self._quiet = ""  # how long nothing has come
        self._in_text = False  # the last thing printed was a block of text
        self.agent = ""
        self.session = ""

    def accepted(self, agent: str, session: str) -> None:
        self.agent, self.session = agent, session

    def show(self, progress: Progress) -> None:
        self._quiet = ""
        match progress:
            case TextDelta(text=text):
                self._thought = ""
                self._streamed.append(text)
                self._print(self._blocks.feed(text))
            case ThinkingDelta(text=text):
                self._thought = (self._thought + text)[-400:]
            case ToolStarted(call=call, line=line):
                self._flush()
                self._calls[call.id] = line
            case ToolFinished(call=call, result=result, seconds=seconds):
                line = self._calls.pop(call.id, call.name)
                failed = result.text if result.is_error else None
                self._screen.speak(self.agent)
                self._screen.say(_paper.tool_line(line, failed, seconds))
                self._in_text = False
            case Retrying(reason=reason, seconds=seconds):
                self._retry(reason, seconds)
            case Waiting(words=words):
                self._quiet = words
            case Finished(reply=reply):
                if not self._screen.has_shown(reply):
                    self.finish(reply)
                    self._screen.ended(reply)
            case _:
                pass

    def finish(self, reply: Reply) -> None:
        """Prints what is still missing of the reply, and all of it where something else was streamed."""
        streamed = "".join(self._streamed).strip()
        self._flush()
        self.agent = reply.agent
        if reply.failed:
            self._screen.say(_paper.paint(_paper.wrapped(reply.text), "red"))
        elif reply.text.strip() != streamed:
            self._print([reply.text] if reply.text.strip() else [])

    def live(self, waiting: int) -> list[str]:
        """The lines over the prompt: the unfinished block, and what goes on."""
        tail = self._blocks.tail
        lines = _paper.last_lines(tail, _LIVE_LINES) if tail.strip() else []
        seconds = self._clock.monotonic() - self._began
        doing = next(reversed(self._calls.values()), "") or self._quiet or " ".join(self._thought.split())[-120:] or "…"
        more = f" · {waiting} more waiting" if waiting else ""
        end = f" · {seconds:.0f} s{more} · Ctrl-C stops"
        room = max(8, _paper.width() - len(end) - len(self.agent) - 5)
        return [*lines, _paper.paint(f"{self.agent or '…'} · {_paper.one_line(doing, room)}{end}", "dim")]

    def _flush(self) -> None:
        self._print(self._blocks.rest())
        self._streamed.clear()

    def _retry(self, reason: str, seconds: float) -> None:
        void = bool(self._streamed)
        self._flush()
        again = f"{_paper.one_line(reason, 200)}; trying again in {seconds:.0f} s"
        self._screen.say(_paper.paint(again + ("; the answer starts over" if void else ""), "yellow") + "\n")

    def _print(self, blocks: list[str]) -> None:
        for block in blocks:
            self._screen.speak(self.agent)
            self._screen.say(("\n" if self._in_text else "") + _paper.markdown(block))
            self._in_text = True
