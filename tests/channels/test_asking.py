"""Where a question is put: where the asker wrote if they may answer, else to every approver in private."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openclaw.asking import Place, places
from openclaw.messages import Approval

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def approval(sender: str, *approvers: str, there: bool = True, **where: str) -> Approval:
    return Approval(
        "id", "s", "main", "run_command", sender, ("ls",), "/", "why", (), approvers, ("deny",), "d", NOW, NOW,
        there=there, **where,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (approval("telegram:1", "telegram:1", "discord:2"), [Place("1")]),
        (approval("telegram:1", "telegram:1", chat="-5", topic="9"), [Place("1", "-5", "9")]),
        (approval("telegram:7", "telegram:1", "telegram:2", chat="-5"), [Place("1"), Place("2")]),
        (approval("discord:2", "telegram:1", "discord:2"), []),
        (approval("cron:morning", "telegram:1", "discord:2"), [Place("1")]),
        (approval("http:hook/x", "discord:2", "repl:local"), []),
        (approval("repl:local", "repl:local", "telegram:1", there=False), [Place("1")]),
        (approval("telegram:1", "telegram:1", "telegram:2", there=False), [Place("2")]),
    ],
    ids=[
        "asker", "asker in a group", "a stranger to approvals", "asked elsewhere", "a heartbeat", "nobody here",
        "a pipe", "where nobody reads",
    ],
)
def test_who_is_asked_on_telegram(question: Approval, expected: list[Place]) -> None:
    assert list(places(question, "telegram")) == expected
