"""What every channel is doing, and when it last received: a channel is healthy while it receives, not while it runs.

Shared by whoever runs the channels and whoever tells of them. Knows no channel kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from openclaw.clock import Clock
from openclaw.ports import Pulse, Renewable
from openclaw.words import time_json

TRYING = 9  # times its patience that a channel may go on trying by itself beyond it

Condition = Literal["receiving", "connecting", "silent", "serving", "starting", "off", "failed", "ended"]


@dataclass(slots=True)
class Roll:
    """By channel key. `states` are in words: starting, running, ended, `off: why`, `failed: why`."""

    clock: Clock
    states: dict[str, str] = field(default_factory=dict)
    pulses: dict[str, Pulse] = field(default_factory=dict)
    addresses: dict[str, Renewable] = field(default_factory=dict)  # those that say where they listen
    since: dict[str, float] = field(default_factory=dict)  # monotonic: when it began to run
    restarts: dict[str, int] = field(default_factory=dict)  # how often it had to be started anew

    def begin(self, key: str, pulse: Pulse | None) -> None:
        self.states[key] = "running"
        self.since[key] = self.clock.monotonic()
        if pulse is not None:
            self.pulses[key] = pulse

    def forget(self, key: str) -> None:
        self.states.pop(key, None)
        self.pulses.pop(key, None)
        self.since.pop(key, None)
        self.addresses.pop(key, None)

    def delivering(self) -> list[str]:
        """Channels whose replies may still go out."""
        return [key for key, state in self.states.items() if state in ("running", "ended")]

    def excuse(self) -> None:
        """What keeps all of them from receiving is nothing that a new start would help: silence counts from now on."""
        self.since.update(dict.fromkeys(self.since, self.clock.monotonic()))

    def silent(self) -> list[str]:
        """Channels that run and have not received for longer than they should."""
        return [key for key in self.states if self.condition(key) == "silent"]

    def stuck(self) -> list[str]:
        """Those of them that need help. One that says what troubles it is trying by itself, and is given longer."""
        now = self.clock.monotonic()
        pulses = {key: self.pulses[key] for key in self.silent()}
        return [
            key
            for key, pulse in pulses.items()
            if not pulse.trouble or pulse.silent(now - TRYING * pulse.patience, self.since[key])
        ]

    def condition(self, key: str) -> Condition:
        state, pulse = self.states[key], self.pulses.get(key)
        if state != "running":
            word = state.partition(":")[0]
            return word if word in ("off", "failed", "ended") else "starting"  # type: ignore[return-value]
        if pulse is None:
            return "serving"
        if pulse.silent(self.clock.monotonic(), self.since[key]):
            return "silent"
        return "connecting" if pulse.last is None or pulse.trouble else "receiving"

    def told(self) -> Mapping[str, Mapping[str, Any]]:
        """As JSON: each channel's condition and why it is so, and of those that have a pulse when it last received."""
        return {key: self._told(key) for key in self.states}

    def _told(self, key: str) -> Mapping[str, Any]:
        found: dict[str, Any] = {"condition": self.condition(key), "restarts": self.restarts.get(key, 0)}
        if why := self.states[key].partition(": ")[2]:
            found["why"] = why
        if key in self.addresses:
            found["address"] = self.addresses[key].address
        pulse = self.pulses.get(key)
        if pulse is None:
            return found
        if pulse.last is not None:
            ago = max(self.clock.monotonic() - pulse.last, 0.0)
            last = (self.clock.now() - timedelta(seconds=ago)).replace(microsecond=0)  # else it is another each time
            found |= {"last_received": time_json(last), "seconds_ago": round(ago, 1)}
        found |= {"received": pulse.received, "reconnects": pulse.reconnects}
        return {**found, "trouble": pulse.trouble} if pulse.trouble else found
