"""The tutorial, followed from its first line to its last: files are written, commands run, the bot is talked to.

Telegram and the model are doubles, which the manifests are pointed to behind the reader's back; all else is as on the
page. `text phone` is what is said in the chat: `you` writes, or presses a `[button]`, and `bot` answers with a message
that holds these words, a new one or one that was edited.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.messages_server import MessagesServer, Reply, tool
from doubles.reader import Block, Desk, blocks, commands, desk
from doubles.telegram_server import TOKEN, TelegramServer

PAGE = "docs/tutorial.md"
ME = 12345
SECRETS = {"ANTHROPIC_API_KEY": "a-key-of-the-tutorial-" * 2, "TELEGRAM_BOT_TOKEN": TOKEN}


def answer(body: dict[str, Any]) -> Reply:
    """A model that does what it is told: it remembers, runs, and says what came of it."""
    last = body["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        content = last["content"]
        return Reply({"type": "text", "text": content if isinstance(content, str) else content[0]["text"]})
    said = str(last["text"])
    if fact := re.search(r"remember that (.*)", said):
        return Reply(tool("save_memory", text=fact[1]))
    if command := re.search(r"run (.*)", said):
        return Reply(tool("run_command", command=command[1]))
    return Reply({"type": "text", "text": "The draft for Ana is open."})


class Reader:
    def __init__(self, desk: Desk, telegram: TelegramServer, model: MessagesServer, stack: ExitStack) -> None:
        self.desk, self.telegram, self.model, self.stack = desk, telegram, model, stack
        self.printed, self.seen = "", Counter[str]()
        self.log = desk.folder / "log"

    def follow(self, block: Block) -> None:
        match block.language, block.info:
            case "console", _:
                for command in commands(block):
                    self.do(command, block)
            case "yaml", (name, "append"):
                before = self.reloads()
                with (self.desk.folder / name).open("a", encoding="utf-8") as file:
                    file.write(block.text)
                if not name.startswith("tests/"):
                    self.until(lambda: self.reloads() > before, f"{block}: the reload")
            case "text", ("output",):
                assert block.text == self.printed, block
            case "text", (".env",):
                names = re.findall(r"^(\w+)=", block.text, re.MULTILINE)
                assert names == list(SECRETS)
                with (self.desk.folder / ".env").open("a", encoding="utf-8") as file:
                    file.writelines(f"{name}={SECRETS[name]}\n" for name in names)
            case "text", ("phone",):
                for line in block.text.splitlines():
                    self.talk(line[:3], line[3:].strip(), block)
            case other:
                assert other == ("text", ()), f"{block}: what is a reader to do with {other}?"

    def do(self, command: str, block: Block) -> None:
        if "run" in block.info:
            return self.start(command)
        if command.startswith("cd "):
            self.desk = replace(self.desk, folder=self.desk.folder / command[3:])
            return None
        done = self.desk.run(command.replace("CODE", self.code()) if command.endswith(" CODE") else command)
        told = f"{block}: {command}\n{done.stdout}\n{done.stderr}"
        assert "any" in block.info or (done.returncode != 0) is ("fails" in block.info), told
        assert "Traceback" not in done.stderr, told
        self.printed = done.stdout
        if command.startswith("openclaw init"):
            self.point(self.desk.folder / command.split()[-1])
        return None

    def code(self) -> str:
        [found] = re.findall(r"^([A-Z0-9]{8}) ", self.printed, re.MULTILINE)
        return str(found)

    def point(self, root: Path) -> None:
        """To the doubles, in place of the services."""
        channels, models = root / "channels.yaml", root / "models.yaml"
        bot = "token: ${TELEGRAM_BOT_TOKEN}"
        assert bot in channels.read_text("utf-8")
        channels.write_text(channels.read_text("utf-8").replace(bot, f'{bot}\n    api_base: "{self.telegram.url}"'))
        there = f'\\1, base_url: "{self.model.url}", api_key: none, price: {{input: 1, output: 1}}, '
        there += "capabilities: [thinking, effort, cache_control]}"
        models.write_text(re.sub(r"(\{id: claude-[\w-]+)\}", there, models.read_text("utf-8")))

    def start(self, command: str) -> None:
        with self.log.open("wb") as log:
            process = warm.Popen(
                [sys.executable, "-m", *command.split()], cwd=self.desk.folder, env=self.desk.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.stack.callback(self.end, process)
        self.until(lambda: process.poll() is not None or self.telegram.called("getUpdates"), "the bot")

    def end(self, process: Any) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, self.log.read_text("utf-8")

    def reloads(self) -> int:
        return self.log.read_text("utf-8").count(" applied (edit")

    def talk(self, who: str, words: str, block: Block) -> None:
        if who == "bot":
            self.until(lambda: any(words in text for text in self.said() - self.seen), f"{block}: {words!r}")
            self.seen = self.said()
        elif words.startswith("["):
            message = next(one for one in self.telegram.sent(ME) if one.get("reply_markup"))
            self.telegram.press(ME, ME, message["message_id"], words.strip("[]"))
        else:
            self.telegram.say(words, by=ME)

    def said(self) -> Counter[str]:
        """What stands in the chat now, of the bot."""
        return Counter(self.telegram.texts(ME))

    def until(self, there: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + 60
        while not there():
            assert time.monotonic() < end, f"{what} did not come\n{self.log.read_text('utf-8')}\n{self.said()}"
            time.sleep(0.1)


@pytest.mark.slow
def test_the_tutorial_works_as_it_is_followed(tmp_path: Path) -> None:
    with TelegramServer() as telegram, MessagesServer(otherwise=answer) as model, ExitStack() as stack:
        reader = Reader(desk(tmp_path), telegram, model, stack)
        reader.desk.environment["OPENCLAW_HTTP_PORT"] = "0"
        for block in (block for block in blocks() if block.page == PAGE):
            reader.follow(block)
    assert model.violations == []
