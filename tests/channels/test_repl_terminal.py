"""The REPL as a person meets it: a real pseudo-terminal, real keys, a small desk behind it."""

from __future__ import annotations

import ast
import os
import pty
import re
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from pexpect import fdpexpect

from doubles import warm

TESTS = Path(__file__).parents[1]
CTRL_C, CTRL_D, CTRL_J, ENTER, TAB = "\x03", "\x04", "\n", "\r", "\t"
_ESCAPE = r"(?:\x1b\[[0-9;?]*[a-zA-Z])*"


class Terminal:
    def __init__(self, *arguments: str, **environment: str) -> None:
        ours, its = pty.openpty()
        termios.tcsetwinsize(its, (40, 100))
        self.process = warm.Popen(
            [sys.executable, "-m", "doubles.desk", *arguments],
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=TESTS,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(its)
        self.child: Any = fdpexpect.fdspawn(ours, encoding="utf-8", timeout=15)
        self.child.delaybeforesend = None
        self.seen = ""

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.child.close()

    def sees(self, text: str) -> None:
        """Waits until `text` is written, whatever its colours; what follows it is for the next call."""
        self.child.expect(_ESCAPE.join(re.escape(char) for char in text))
        self.seen += self.child.before + self.child.after

    def types(self, keys: str) -> None:
        self.child.send(keys)

    def says(self, text: str) -> None:
        self.child.send(text + ENTER)

    def posted(self) -> list[str]:
        """The messages the desk was sent, told at the end of the conversation."""
        self.child.expect(r"left (\[.*?\])\r\n")
        self.seen += self.child.before
        posted = ast.literal_eval(self.child.match.group(1))
        self.child.expect(pexpect.EOF)
        assert self.process.wait(15) == 0
        return list(posted)


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def begin(*arguments: str, **environment: str) -> Terminal:
        opened.append(Terminal(*arguments, **environment))
        opened[-1].sees(" leaves.")
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()


def test_a_reply_is_streamed_once_and_ctrl_d_leaves(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("stream the only answer 你好")
    terminal.sees("main:")
    terminal.sees("the only answer 你好")
    terminal.seen = ""
    terminal.types(CTRL_D)
    assert terminal.posted() == ["stream the only answer 你好"]
    assert "only answer" not in terminal.seen


def test_commands_act_at_once_and_quit_is_the_only_one_read_here(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("/help")
    terminal.sees("This desk echoes it.")
    terminal.says("refuse")
    terminal.sees("this desk does not know you")
    terminal.says("/quit")
    assert terminal.posted() == []


def test_a_tool_call_is_one_line_with_outcome_and_time(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("tool ls -l")
    terminal.sees("✓ run_command  ls -l  0.0 s")
    terminal.sees("Done.")
    terminal.says("break cat x")
    terminal.sees("✗ run_command  cat x  0.0 s: no such file")
    terminal.sees("Done.")


def test_text_that_is_not_streamed_is_printed_when_it_is_delivered(start: Callable[..., Terminal]) -> None:
    terminal = start("unasked")
    terminal.sees("main (heartbeat morning):")
    terminal.sees("Good morning!")
    terminal.says("late and whole")
    terminal.sees("and whole")
    terminal.sees("and whole")
    terminal.says("fail")
    terminal.sees("the model did not answer")


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [("y", "allow-once"), ("a", "allow-always"), ("n", "deny"), ("yes\r", "allow-once"), ("no\r", "deny")],
)
def test_an_approval_is_shown_whole_and_answered_by_its_key(
    start: Callable[..., Terminal], keys: str, outcome: str
) -> None:
    terminal = start()
    command = "rm " + " ".join(f"file-{number}" for number in range(60)) + " last"
    terminal.says(f"ask {command}")
    terminal.sees("main wants to run run_command")
    terminal.sees("file-59 last")
    terminal.sees("/home/ana/work")
    terminal.sees("no rule allows it")
    terminal.sees("tools.yaml:12 careful default ask")
    terminal.sees("Allow this?  [y] once  [a] always  [n] no")
    terminal.types(keys)
    terminal.sees(f"The answer was {outcome}.")
    terminal.types(CTRL_D)
    assert len(terminal.posted()) == 1  # what follows the key is no message


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_an_approval_whose_answer_does_not_fit_on_the_disk_is_put_again(
    start: Callable[..., Terminal], kind: str
) -> None:
    terminal = start(TERM=kind)
    terminal.says("full rm x")
    for answer, told in (("a", "the disk is full"), ("y", "The answer was allow-once.")):
        terminal.sees("Allow this?")
        terminal.types(f"{answer}{ENTER}")
        terminal.sees(told)
    terminal.types(CTRL_D)
    assert terminal.posted() == ["full rm x"]


def test_enter_a_word_and_a_paste_answer_no_approval(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("ask rm x")
    terminal.sees("Allow this?")
    terminal.types(ENTER)
    terminal.types("yonder")
    terminal.sees("yonder")
    terminal.types(ENTER)
    terminal.types("\x1b[200~y\x1b[201~")
    terminal.types("n")
    terminal.sees("The answer was deny.")


def test_a_draft_is_put_aside_for_a_question_and_comes_back(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.types("ask rm x\rany yes and no")  # typed on before the card is there: answers nothing
    terminal.sees("Allow this?")
    terminal.types("n")
    terminal.sees("The answer was deny.")
    terminal.sees("any yes and no")
    terminal.types(ENTER)
    terminal.sees("You said: any yes and no")


def test_a_question_goes_with_its_turn(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("ask rm x")
    terminal.sees("Allow this?")
    terminal.types(CTRL_C)
    terminal.sees("Stopped.")
    terminal.says("you are free")
    terminal.sees("You said: you are free")


def test_ctrl_c_stops_the_turn_then_clears_the_line_then_leaves(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("wait")
    terminal.sees("Working on")
    terminal.types(CTRL_C)
    terminal.sees("Stopped.")
    terminal.types("never sent")
    terminal.sees("never sent")
    terminal.types(CTRL_C)
    terminal.says("after")
    terminal.sees("You said: after")
    terminal.types(CTRL_C)
    terminal.sees("Ctrl-C again, or Ctrl-D, leaves.")
    terminal.types(CTRL_C)
    assert terminal.posted() == ["wait", "after"]


def test_a_message_may_have_several_lines(start: Callable[..., Terminal]) -> None:
    terminal = start()
    for keys, shown in (("one", "one"), (CTRL_J + "two", "two"), ("\x1b\rthree", "three")):
        terminal.types(keys)
        terminal.sees(shown)
    terminal.types(ENTER)
    terminal.sees("You said: one")
    terminal.types("\x1b[200~four\r\nfive\x1b[201~")
    terminal.sees("five")
    terminal.types(ENTER)
    terminal.sees("You said: four")
    terminal.types(CTRL_D)
    assert terminal.posted() == ["one\ntwo\nthree", "four\nfive"]


def test_a_line_that_a_program_ends_with_a_newline_is_sent(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.types("from a script\n")
    terminal.sees("You said: from a script")


def test_a_long_paste_is_folded_and_sent_whole(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.types("\x1b[200~" + "x" * 200_000 + "\x1b[201~")
    terminal.sees("[paste 1: 200,000 characters]")
    terminal.types(ENTER)
    terminal.sees("200000")


def test_tab_completes_commands_prefixes_and_agents(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.types("/res" + TAB)
    terminal.sees("earch")
    terminal.types(" who\r")
    terminal.sees("researcher:")
    terminal.sees("You said: /research who")
    terminal.types("/agent res" + TAB)
    terminal.sees("earcher")


def test_what_was_typed_is_remembered_in_a_private_file(start: Callable[..., Terminal], tmp_path: Path) -> None:
    history = tmp_path / "deep" / "history"
    first = start(str(history))
    first.says("remember me")
    first.sees("You said: remember me")
    first.types(CTRL_D)
    first.posted()
    assert history.stat().st_mode & 0o777 == 0o600
    second = start(str(history))
    second.types("\x1b[A")
    second.sees("remember me")


def test_no_color_leaves_colours_out(start: Callable[..., Terminal]) -> None:
    terminal = start(NO_COLOR="1")
    terminal.says("break x")
    terminal.says("fail")
    terminal.sees("the model did not answer")
    terminal.types(CTRL_D)
    terminal.posted()
    assert not re.search(r"\x1b\[[0-9;]*\b3[0-7]m", terminal.seen)


def test_a_model_has_no_power_over_the_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.types("\x1b[200~late \x1b]0;owned\x07 \u202eevil\x1b[201~")
    terminal.sees("evil")
    terminal.types(ENTER)
    terminal.sees("%1B]0;owned%07 \\u{202e}evil")


def test_what_is_logged_appears_above_the_prompt(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.says("log be careful")
    terminal.sees("log: be careful")
    terminal.sees("Logged.")
