"""A reminder from the request to the person, through a whole runtime on the default project."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Program, lived, until
from openclaw import bundle
from openclaw.app import App

OPERATOR = "operator-token-0123456789"
CHANNELS = f"""\
channels:
  http: {{kind: http, port: 0, token: {OPERATOR}}}
people:
  nader: {{ids: ["http:operator"], owner: true, timezone: Europe/London}}
"""
SESSION = "agent:main:person:nader"


def project(root: Path) -> Path:
    """The default project, with somebody in it."""
    files = bundle.project_files()
    for folder in ("agents", "schemas"):
        shutil.copytree(files / folder, root / folder)
    for name in ("desk_tools.py", "tools.yaml", "heartbeats.yaml", "models.yaml"):
        shutil.copy(files / name, root / name)
    (root / "channels.yaml").write_text(CHANNELS, "utf-8")
    return root


async def agree(app: App, operator: Program) -> None:
    """Says yes to the one question that comes."""
    await until(app.desk.approvals, "the question")
    [approval] = app.desk.approvals()
    assert any("drink water" in line for line in approval.lines)
    answered = await operator.http.post(f"/api/approvals/{approval.id}", json={"decision": "allow-once"})
    assert answered.is_success


async def reply(operator: Program, message: str) -> str:
    while True:
        found = (await operator.http.get(f"/api/messages/{message}")).json()
        if "reply" in found:
            return str(found["reply"])
        await asyncio.sleep(0.05)


async def told(operator: Program) -> dict[str, Any]:
    while True:
        entries = await operator.entries(SESSION)
        for entry in entries:
            if entry["type"] == "told":
                return entry
        await asyncio.sleep(0.05)


@pytest.mark.slow
def test_what_was_asked_for_is_agreed_to_told_and_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with lived(project(tmp_path / "p"), tmp_path / "s", demo=True) as (app, operator), asyncio.timeout(50):
            asked = (await operator.say("remind me in 1 second to drink water")).json()
            assert "id" in asked, asked
            await agree(app, operator)
            said = await reply(operator, asked["id"])
            assert "reminder.1 is set for" in said and "(Europe/London)" in said
            entry = await told(operator)
            assert (entry["by"], entry["text"]) == ("heartbeat reminder.1", "Reminder: drink water")
            listed = (await operator.say("list my reminders")).json()
            assert listed["reply"].startswith("No reminder is set.")
            [row] = (await operator.http.get("/api/heartbeats/history")).json()["runs"]
            assert (row["heartbeat"], row["outcome"], row["model"]) == ("reminder.1", "answered", None)
            assert [(place["to"], place["state"]) for place in row["deliveries"]] == [("http:operator", "sent")]

    asyncio.run(run())
