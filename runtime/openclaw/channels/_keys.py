"""The prompt: keyboard, history, completion, and which key does what. Knows prompt_toolkit, not the runtime.

Law: an approval is answered by one of its own keys, pressed after the question came up; Enter, a paste
or a word that was being typed never answers it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle

_HISTORY_FILE = 1 << 20  # bytes; a longer file is cut to its younger half when it is opened
_HISTORY_ENTRY = 1 << 14  # characters; longer texts are not remembered
_PASTE = 4000  # characters; longer pastes stand in the line as one short mark


class Desk(Protocol):
    """What the keys act upon."""

    def asked(self) -> bool:
        """Whether a question is on the screen."""

    def answer(self, key: str) -> None:
        """One key, while a question is on the screen."""

    def interrupt(self) -> bool:
        """Ctrl-C with nothing typed: True where that ends the conversation."""

    def words(self, text: str) -> Iterable[tuple[str, str]]:
        """What `text`, the start of the input, may become, with a word of help each."""


def prompt_session(desk: Desk, message: Callable[[], AnyFormattedText], history: str | None) -> PromptSession[str]:
    pastes = Pastes()
    session: PromptSession[str] = PromptSession(
        message=message,
        multiline=True,
        prompt_continuation="  ",
        history=_history(history),
        completer=_Words(desk),
        complete_while_typing=False,
        complete_style=CompleteStyle.COLUMN,
        key_bindings=_bindings(desk, pastes),
        input=_Keyboard(sys.stdin),
        output=_output(),
        erase_when_done=False,
    )
    session.default_buffer.accept_handler = None
    return session


def _output() -> Vt100_Output:
    # No cursor position requests: half of all terminals in scripts and multiplexers do not answer them.
    output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
    output.enable_cpr = False
    return output


class _Keyboard(Vt100Input):
    """The terminal stays in raw mode while something is printed above the prompt: in the cooked mode that
    would be restored for it, keys pressed in that moment are echoed, and Enter arrives as Ctrl-J."""

    def cooked_mode(self) -> AbstractContextManager[None]:
        return nullcontext()


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def _bindings(desk: Desk, pastes: Pastes) -> KeyBindings:
    keys = KeyBindings()
    asked = Condition(desk.asked)
    burst = Burst()

    @keys.add(Keys.Any, filter=asked, eager=True)
    def _answer(event: KeyPressEvent) -> None:
        desk.answer(event.data)

    @keys.add(Keys.BracketedPaste, filter=asked, eager=True)
    def _pasted_at_a_question(event: KeyPressEvent) -> None:
        """Answers nothing, whatever it says."""

    @keys.add("c-c", eager=True)
    def _interrupt(event: KeyPressEvent) -> None:
        if event.current_buffer.text and not asked():
            event.current_buffer.reset()
        elif desk.interrupt():
            event.app.exit(exception=EOFError, style="class:exiting")

    @keys.add("enter", filter=~asked, eager=True)
    def _enter(event: KeyPressEvent) -> None:
        _submit(event, pastes)

    @keys.add("c-j", filter=~asked, eager=True)
    def _newline(event: KeyPressEvent) -> None:
        # A line that a program writes, or that was typed before the prompt was there, ends in \n, which is
        # Ctrl-J. It comes in one piece with its text; a person's Ctrl-J comes alone.
        if burst.running or not event.current_buffer.text:
            _submit(event, pastes)
        else:
            event.current_buffer.insert_text("\n")

    @keys.add("escape", "enter", filter=~asked)
    def _alt_enter(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add(Keys.BracketedPaste, filter=~asked)
    def _paste(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(pastes.fold(event.data.replace("\r\n", "\n").replace("\r", "\n")))

    @keys.add(Keys.Any, filter=~asked)
    def _typed(event: KeyPressEvent) -> None:
        burst.start()
        event.current_buffer.insert_text(event.data)

    return keys


def _submit(event: KeyPressEvent, pastes: Pastes) -> None:
    buffer = event.current_buffer
    if not buffer.text.strip():
        buffer.reset()
        return
    buffer.append_to_history()
    event.app.exit(result=pastes.unfold(buffer.text))


class Burst:
    """Whether a character came with the very read of the terminal that is being worked off."""

    def __init__(self) -> None:
        self.running = False

    def start(self) -> None:
        if not self.running:
            self.running = True
            loop = get_app().loop
            assert loop is not None  # keys only come to a running prompt
            loop.call_soon(self._end)  # one read is worked off within one callback of the loop

    def _end(self) -> None:
        self.running = False


class Pastes:
    """Long pastes, folded into a mark while they stand in the input line: drawing a megabyte takes minutes."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, text: str) -> str:
        if len(text) <= _PASTE:
            return text
        mark = f"[paste {len(self._texts) + 1}: {len(text):,} characters]"
        self._texts[mark] = text
        return mark

    def unfold(self, text: str) -> str:
        for mark, whole in self._texts.items():
            text = text.replace(mark, whole)
        self._texts.clear()
        return text


# ── history ──────────────────────────────────────────────────────────────────────────────────────


def _history(path: str | None) -> History:
    if path is None:
        return InMemoryHistory()
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    file.chmod(0o600)
    if file.stat().st_size > _HISTORY_FILE:
        _keep_younger(file)
    return _Remembered(str(file))


def _keep_younger(file: Path) -> None:
    content = file.read_bytes()
    start = content.find(b"\n# ", len(content) - _HISTORY_FILE // 2)
    file.write_bytes(content[start:] if start >= 0 else b"")


class _Remembered(FileHistory):
    def store_string(self, string: str) -> None:
        if len(string) <= _HISTORY_ENTRY:
            super().store_string(string)


# ── completion ───────────────────────────────────────────────────────────────────────────────────


class _Words(Completer):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        start = document.text_before_cursor
        for text, help in self._desk.words(start):
            yield Completion(text, start_position=-len(start), display=text, display_meta=help)


def matching(text: str, commands: Sequence[tuple[str, str]], agents: Sequence[str]) -> list[tuple[str, str]]:
    """Commands and prefixes that begin with `text`; after `/agent ` the agents' names."""
    if text.startswith("/agent "):
        names = (f"/agent {agent}" for agent in agents)
        return [(name, "") for name in names if name.startswith(text)]
    if text[:1] not in ("/", "!") or " " in text:
        return []
    return [(name, help) for name, help in commands if name.startswith(text)]
