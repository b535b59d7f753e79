"""What a person at the terminal sees above the prompt while a turn goes on."""

from __future__ import annotations

from datetime import UTC, datetime

from openclaw.channels._turn import TurnView
from openclaw.clock import ManualClock
from openclaw.messages import Reply, TextDelta, ThinkingDelta, Waiting


class Paper:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def speak(self, agent: str) -> None:
        pass

    def has_shown(self, reply: Reply) -> bool:
        return False

    def ended(self, reply: Reply) -> None:
        pass


def test_how_long_the_model_has_said_nothing_is_shown_until_it_says_something() -> None:
    view = TurnView(Paper(), ManualClock(datetime(2026, 11, 23, tzinfo=UTC)))
    view.show(Waiting(10.0, "smart"))
    assert "smart has said nothing for 10 s" in view.live(0)[-1]
    view.show(ThinkingDelta("let me see"))
    assert "let me see" in view.live(0)[-1] and "nothing" not in view.live(0)[-1]
    view.show(Waiting(30.0, "smart"))
    assert "for 30 s" in view.live(0)[-1]
    view.show(TextDelta("Well"))
    assert "nothing" not in " ".join(view.live(0))
