"""Calls of tools with nothing around them: real decisions, approvals, audit and transcript, over a store in memory.

The tools are an adapter that notes what ran. Time stands still until it is moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openclaw.approvals import Approvals
from openclaw.calls import Bench, Calls, Scene
from openclaw.clock import ManualClock, settle
from openclaw.errors import ToolError
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.people import Sender
from openclaw.manifest.snapshot import Agent, Person, Snapshot
from openclaw.messages import Address, Call, Message, Progress, Result, Text, ToolCall, ToolResult, ToolSpec
from openclaw.names import fresh
from openclaw.permissions.decide import Policy, Rule
from openclaw.permissions.facts import Disk
from openclaw.ports import Audit
from openclaw.stores.volatile import Store
from openclaw.transcript import Transcript

NADER = Address("telegram", "1")
ANA = Address("discord", "2")
PEOPLE = {"nader": Person("nader", (NADER,), owner=True), "ana": Person("ana", (ANA,), owner=True)}
PAY = ToolSpec(
    "pay", "Pays", {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}, "python"
)  # fmt: skip


class Counter:
    """Tools of every kind at once: `says` is what a tool returns, an error is raised."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Mapping[str, Any], Call]] = []
        self.says: dict[str, ToolResult | ToolError] = {}

    async def open(self) -> None: ...

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        self.ran.append((name, input, call))
        said = self.says.get(name, ToolResult(f"{name} ran"))
        if isinstance(said, ToolError):
            raise said
        return said

    async def close(self) -> None: ...


class Counting:
    """One agent `main`, whose policy has these rules; it is asked by nader, an owner, as ana is another."""

    def __init__(
        self, workspace: Path, rules: Sequence[Rule] = (), *specs: ToolSpec, sender: Address = NADER
    ) -> None:
        self.clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
        self.store = Store("", self.clock)
        self.approvals = Approvals(self.store.marks, self.clock)
        self.tools = Counter()
        self.told: list[Progress] = []
        self.transcript = Transcript()
        self.snapshot = _snapshot(Policy("works", tuple(rules)), specs)
        self.current = self.snapshot
        self.workspace = workspace
        self.sender = sender
        self.reachable = True

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of the audit."""
        return self.store.audit.records

    def calls(self, session: str = "s", others: tuple[Sender, ...] = ()) -> Calls:
        message = Message("m", self.sender, (Text("please"),), self.clock.now())
        who = Sender(self.sender, "nader" if self.sender == NADER else None, owner=self.sender == NADER)
        agent = self.snapshot.agents["main"]
        scene = Scene(
            agent, session, message, who, None, self.workspace, "", (Path("/project"),), transcript=self.transcript,
            others=lambda: others,
        )  # fmt: skip
        audit: Audit = self.store.audit
        bench = Bench(
            self.snapshot, lambda spec: self.tools, lambda: self.current, self.approvals, Disk(), self.clock,
            lambda approvers: self.reachable, audit,
        )  # fmt: skip
        return Calls(scene, bench, tuple(self.snapshot.tools.values()), self.told.append)

    async def call(self, tool: str, session: str = "s", **input: Any) -> ToolResult:
        """One call, and its result in the transcript, as a turn has it."""
        call = ToolCall(fresh("toolu_"), tool, input)
        result = await self.calls(session).perform(call, _nothing)
        self.transcript.add(Result(fresh(), self.clock.now(), call.id, result.text, result.is_error, result.untrusted))
        return result

    async def asked(self, tool: str, **input: Any) -> asyncio.Task[ToolResult]:
        """The call, once its question is open and its time runs."""
        before = len(self.approvals.pending())
        task = asyncio.ensure_future(self.call(tool, **input))
        async with asyncio.timeout(60):
            while not task.done() and len(self.approvals.pending()) == before:  # noqa: ASYNC110  # there is no event
                await asyncio.sleep(0.001)
        await settle(8)
        return task

    def edit(self, *rules: Rule) -> None:
        """The policy in force from now on."""
        self.current = replace(self.current, policies={"works": Policy("works", rules)})


async def _nothing() -> None: ...


def _snapshot(policy: Policy, specs: Sequence[ToolSpec]) -> Snapshot:
    tools = {**BUILTINS, PAY.name: PAY, **{spec.name: spec for spec in specs}}
    agent = Agent("main", "Main", "", "", "", "smart", tuple(tools), policy.name, default=True)
    return Snapshot("", "/project", {"main": agent}, tools, {policy.name: policy}, {}, PEOPLE, {}, {}, {})
