"""Who and what makes a storm: people who talk, hands that edit, questions, heartbeats, and the kills.

Its law: a message is said again, under its key, until it was acknowledged, as a program would; whatever else goes on is
drawn by chance from the seed, by each thread from its own.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crash.harness import Gone, Life, Site, until
from crash.oracle import rows
from crash.storm_project import AGENT, LEFT, MODES, PHONES, TOKEN, TOLD, TOOLS, channels
from doubles.telegram_server import TelegramServer

KINDS = ("say", "note", "bump", "both", "steps", "hold", "hold", "stamp")
TEXTED = tuple(kind for kind in KINDS if kind != "stamp")  # nobody is there to press a button


# ── those who talk ───────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Person:
    """Says one thing after another on a port; each again and again until it is acknowledged."""

    name: str
    mode: str
    port: int
    chance: random.Random
    taken: list[str] = field(default_factory=list)  # ids, in the order in which they were said
    again: int = 0

    def talk(self, storm: Storm) -> None:
        number = 0
        while not storm.over.is_set():
            for _ in range(self.chance.choice((1, 1, 2, 3))):
                number += 1
                self._insist(storm, self._thought(number), f"{self.name}-{number}")
            if self.chance.random() < 0.1:
                self._try(storm, "POST", f"/api/sessions/agent:main:{self.mode}:operator%2F{self.name}/stop", {})
            storm.over.wait(self.chance.uniform(0.05, 1.0))

    def _thought(self, number: int) -> str:
        if self.chance.random() < 0.03:
            return "/new"
        return f"{self.chance.choice(KINDS)} {self.name}-{number}"

    def _insist(self, storm: Storm, text: str, key: str) -> None:
        while not storm.ended.is_set():
            body = {"text": text, "sender": self.name}
            answer = self._try(storm, "POST", "/api/messages", body, Prefer="respond-async", Idempotency_Key=key)
            if answer is not None and "id" in answer:
                self.taken.append(str(answer["id"]))
                return
            self.again += 1
            storm.ended.wait(0.1)

    def _try(self, storm: Storm, method: str, path: str, body: Any, **headers: str) -> Any:
        """What was answered; None where the runtime did not, or refused for now."""
        try:
            status, answer = asked(self.port, method, path, body, **headers)
        except Gone:
            return None
        if status in (429, 503, 404, 409):  # 404 and 409: nothing to stop
            storm.busy += status == 429
            return None
        assert status in (200, 202, 502), (status, answer)  # 502: it has ended, and not well
        return answer


def asked(port: int, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        content = None if body is None else json.dumps(body)
        whole = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}", **named}
        connection.request(method, path, content, whole)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Gone(str(error)) from error
    finally:
        connection.close()


@dataclass(slots=True)
class Phone:
    """Writes to the bot, whether it is there or not; the service keeps what was not taken."""

    id: int
    chance: random.Random
    said: int = 0

    def talk(self, storm: Storm) -> None:
        while not storm.over.is_set():
            for _ in range(self.chance.choice((1, 1, 2))):
                if storm.waits(f"agent:main:telegram:{self.id}") + len(storm.telegram.waiting) < LEFT:
                    self.said += 1
                    storm.telegram.say(f"{self.chance.choice(TEXTED)} p{self.id}-{self.said}", by=self.id)
            storm.over.wait(self.chance.uniform(0.2, 1.5))


# ── what else goes on ────────────────────────────────────────────────────────────────────────────


def edits(storm: Storm, chance: random.Random) -> None:
    """People's hands in the project: descriptions, souls, tools, a mode, an agent more or less, a mistake."""
    project = storm.site.project
    while not storm.over.is_set():
        storm.edited += 1
        number = storm.edited
        match chance.randrange(6):
            case 0:
                (project / "agents/main.yaml").write_text(AGENT.format(description=f"Leaves traces, {number}"))
            case 1:
                (project / "agents/main.md").write_text(f"You leave traces, {number}.\n")
            case 2:
                (project / "tools.yaml").write_text(TOOLS.format(description=f"Takes its time, {number}"))
            case 3:
                text = channels(storm.telegram.url, storm.ports, chance.choice(MODES))
                (project / "channels.yaml").write_text(text)
            case 4:
                other = project / "agents/other.yaml"
                if other.exists():
                    other.unlink()
                else:
                    other.write_text(AGENT.format(description="Does nothing").replace("true", "false"))
            case 5:
                (project / "models.yaml.new").write_text("models: [a, mistake\n")
                kept = (project / "models.yaml").read_text()
                (project / "models.yaml.new").replace(project / "models.yaml")
                storm.over.wait(chance.uniform(0.1, 0.6))
                (project / "models.yaml").write_text(kept)
        storm.over.wait(chance.uniform(0.3, 2.0))


def approves(storm: Storm, chance: random.Random) -> None:
    """Answers every question that is open, most with yes."""
    while not storm.ended.wait(0.2):
        try:
            open_now = asked(storm.ports[0], "GET", "/api/approvals", None)[1]
            for one in open_now.get("pending", ()):
                if one.get("status", "pending") == "pending":
                    answer = {"decision": "allow-once" if chance.random() < 0.8 else "deny"}
                    status, _ = asked(storm.ports[0], "POST", f"/api/approvals/{one['id']}", answer)
                    storm.answered += status == 200
        except Gone:
            continue


def beats(storm: Storm, chance: random.Random) -> None:
    """Runs the heartbeat by hand, beside its schedule."""
    while not storm.over.wait(chance.uniform(1.0, 4.0)):
        try:
            asked(storm.ports[0], "POST", "/api/heartbeats/beat/run", {})
        except Gone:
            continue


def hesitates(storm: Storm, chance: random.Random) -> None:
    """The phones' service takes its time now and then, so that a kill finds replies on their way."""
    while not storm.over.wait(chance.uniform(0.2, 1.0)):
        storm.telegram.hold("sendMessage")
        storm.over.wait(chance.uniform(0.1, 0.6))
        storm.telegram.release("sendMessage")


# ── the storm ────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Storm:
    site: Site
    seed: int
    telegram: TelegramServer
    ports: Sequence[int]
    people: list[Person] = field(default_factory=list)
    phones: list[Phone] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)  # nobody says anything new
    ended: threading.Event = field(default_factory=threading.Event)  # and nobody insists any more
    kills: int = 0
    unready: int = 0  # kills of a runtime that did not serve yet
    edited: int = 0
    answered: int = 0  # questions
    busy: int = 0  # refusals
    starts: list[float] = field(default_factory=list)  # seconds from each start to being ready
    drained: float = 0.0  # seconds from the last start until nothing was left to do
    failed: list[BaseException] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        with Life(self.site) as life:  # a project that never was valid could not be started
            until(lambda: self._ready(life), "the first start", 60)
            assert life.stop(60) == 0
        threads = [self._thread(act) for act in self._acts()]
        chance, end = random.Random(self.seed), time.monotonic() + seconds
        while time.monotonic() < end and not self.failed:
            self._life(chance)
        try:
            self._calm(threads)
        finally:
            self.over.set()
            self.ended.set()
        assert not self.failed, self.failed[0]

    def _acts(self) -> list[Callable[[], None]]:
        def chance(name: str) -> random.Random:
            return random.Random(f"{self.seed}:{name}")

        self.people = [
            Person(f"{mode}-{one}", mode, port, chance(f"{mode}-{one}"))
            for mode, port in zip(MODES, self.ports, strict=True)
            for one in "ab"
        ]
        self.phones = [Phone(id, chance(f"phone-{id}")) for id in PHONES]
        self.telegram.chat(TOLD)
        talk = [lambda one=one: one.talk(self) for one in (*self.people, *self.phones)]
        beside = [lambda act=act: act(self, chance(act.__name__)) for act in (edits, beats, hesitates, approves)]
        return [*talk, *beside]

    def _thread(self, act: Callable[[], None]) -> threading.Thread:
        def whole() -> None:
            try:
                act()
            except BaseException as error:
                self.failed.append(error)
                self.over.set()

        thread = threading.Thread(target=whole, daemon=True)
        thread.start()
        return thread

    def _life(self, chance: random.Random) -> None:
        """A kill 0.5 to 2.5 s after it serves, or while it starts."""
        with Life(self.site) as life:
            early = chance.uniform(0.1, 1.0) if chance.random() < 0.15 else None
            moment, after = life.began + (early or 30.0), chance.uniform(0.5, 2.5)
            while time.monotonic() < moment and not self._ready(life):
                time.sleep(0.005)
            served = time.monotonic() < moment
            time.sleep(after if early is None else max(0.0, moment - time.monotonic()))
            life.kill()
            self.kills += 1
            self.unready += not served

    def _ready(self, life: Life) -> bool:
        if life._serves():
            self.starts.append(time.monotonic() - life.began)
            return True
        return False

    def _calm(self, threads: Sequence[threading.Thread]) -> None:
        """One more life, in which all that was begun comes to its end."""
        self.over.set()
        with Life(self.site) as life:
            until(lambda: self._ready(life), "the last start", 60)
            until(lambda: self.failed or self._nothing_left(threads), "the end of all that was accepted", 240)
            self.drained = time.monotonic() - life.began
            self.ended.set()
            assert life.stop(60) == 0

    def _nothing_left(self, threads: Sequence[threading.Thread]) -> bool:
        if any(thread.is_alive() for thread in threads[:-1]) or self.telegram.waiting:
            return False  # the last one answers questions until the end
        unsettled = rows(self.site.state, "SELECT 1 FROM inbox WHERE settled IS NULL LIMIT 1")
        return not unsettled and not rows(self.site.state, "SELECT 1 FROM outbox WHERE state = 'due' LIMIT 1")

    def waits(self, session: str) -> int:
        """How much of a session has not come to its end."""
        if not (self.site.state / "runtime.db").exists():
            return 0
        query = f"SELECT COUNT(*) FROM inbox WHERE settled IS NULL AND session = '{session}'"
        return int(rows(self.site.state, query)[0][0])
