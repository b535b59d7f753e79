"""An edit of the manifests while a question is open: another policy withdraws it, anything else leaves it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool

POLICIES = """\
tools:
  add: {{python: "sums:add"}}
policies:
  works:
    default: ask
    answer_within: {within}
    rules: [{{allow: list_files}}]
"""


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


async def waiting(operator: Program) -> dict[str, Any]:
    answer = await operator.say("add two and three")
    assert answer.status_code == 202, answer.text
    [approval] = (await operator.http.get("/api/approvals")).json()["pending"]
    return {"message": answer.json()["id"], **approval}


@pytest.mark.slow
def test_an_edit_of_the_policy_withdraws_its_questions_and_another_edit_does_not(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say(Reply(tool("add", a=2, b=3)), text("It was not answered."))
    root = project(tmp_path / "project", model.url, files={"tools.yaml": POLICIES.format(within="5m")})

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            asked = await waiting(operator)
            (root / "agents/main.md").write_text("You are the second soul.\n")
            (root / "tools.yaml").write_text("# a word about all this\n\n" + POLICIES.format(within="5m"))
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert [one.id for one in app.approvals.pending()] == [asked["id"]]
            (root / "tools.yaml").write_text(POLICIES.format(within="4m"))
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert app.approvals.pending() == []
            late = await operator.http.post(f"/api/approvals/{asked['id']}", json={"decision": "allow-once"})
            assert (late.status_code, late.json()["code"]) == (404, "unknown_approval")
            await until(lambda: not app.sessions.running(), "the end of the turn")
            told = (await operator.http.get(f"/api/messages/{asked['message']}")).json()
            assert told["reply"] == "It was not answered."

    asyncio.run(asyncio.wait_for(scene(), 40))
    results = [block for block in model.requests[-1].body["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert [block["content"] for block in results] == ["refused: the question was withdrawn"]
