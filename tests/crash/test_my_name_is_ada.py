"""What is said on one channel is known on another, also where the process is killed in between."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, Process, Program, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer

OPERATOR = CHANNELS.rstrip().removesuffix("}")
ADA = """\
{http}, tokens: {{ada: {{secret: adas-own-secret, as: ada, scopes: [chat]}}}}}}
  telegram: {{kind: telegram, token: "{bot}", api_base: "{url}"}}
people:
  ada: {{ids: ["telegram:7"], owner: true}}
"""
TOOLS = """\
tools: {}
policies:
  works:
    default: deny
    rules: [{allow: [save_memory, memory_search]}]
"""
MAIN = AGENT.replace("[list_files, add]", "[save_memory, memory_search]")


def attentive(body: dict[str, Any]) -> Reply:
    """Saves a name it is told. Asked for one, it says that of this conversation, else what its memory finds."""
    last = body["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        found = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
        return text(f"I looked it up: {found}" if "Ada" in found else "Noted.")
    if told := re.fullmatch(r"My name is (\w+)", last["text"]):
        return Reply(tool("save_memory", name="name", text=f"The person's name is {told[1]}."))
    said = [block.get("text", "") for one in body["messages"] for block in one["content"] if isinstance(block, dict)]
    if known := next((found for one in said if (found := re.fullmatch(r"My name is (\w+)", one))), None):
        return text(f"You told me: {known[1]}")
    return Reply(tool("memory_search", query="name"))


@pytest.mark.slow
def test_a_name_told_on_telegram_is_known_over_http_after_the_process_was_killed(tmp_path: Path) -> None:
    async def scene(model: MessagesServer, telegram: TelegramServer) -> None:
        channels = ADA.format(http=OPERATOR, bot=BOT, url=telegram.url)
        files = {"channels.yaml": channels, "tools.yaml": TOOLS, "agents/main.yaml": MAIN}
        root, state = project(tmp_path / "project", model.url, files=files), tmp_path / "state"
        with Process(root, state) as first:
            await first.address()
            telegram.say("My name is Ada", by=7)
            assert await until(lambda: telegram.texts(7), "the answer on Telegram", 40) == ["Noted."]
            first.process.kill()
            first.process.wait(10)
        with Process(root, state) as second:
            address = await second.address()
            async with Program(address, "adas-own-secret") as ada, Program(address) as operator:
                own = (await ada.say("What is my name?")).json()
                assert (own["session"], own["reply"]) == ("agent:main:person:ada", "You told me: Ada")
                other = (await operator.say("What is my name?", sender="somebody")).json()
                assert "I looked it up" in other["reply"] and "Ada" in other["reply"]
            first_said, *again = telegram.texts(7)  # said again only where nobody knew that it had arrived
            assert first_said == "Noted." and all("(repeated after a restart)" in one for one in again)

    with MessagesServer(otherwise=attentive) as model, TelegramServer() as telegram:
        asyncio.run(asyncio.wait_for(scene(model, telegram), 120))
    assert model.violations == []
