"""A model that follows a script: for trying everything without a key, for scenarios, and for tests.

A script is YAML: rules, the first whose `say` is found in the person's last message wins. A rule's `calls` are
made step by step through the real tools, permissions and memory; then `reply` is said. What it says next
depends on the transcript alone, so it is deterministic and goes on after a restart where it was.
How one is written stands in openclaw/script.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from openclaw.clock import Clock
from openclaw.errors import OpenClawError, ProviderError
from openclaw.messages import Block, TextDelta, Usage
from openclaw.ports import Completed, ProviderEvent, Request
from openclaw.script import Problem, Rule, Script, read

_FIELD = re.compile(r"\{(\w+)(:you)?\}")
_NOTHING = re.compile(r"no |\(no output\)$|\[.* is empty\]$", re.IGNORECASE)
_YOU = {"i": "you", "my": "your", "me": "you", "mine": "yours", "am": "are", "myself": "yourself"}


class Provider:
    def __init__(self, options: Mapping[str, Any], clock: Clock) -> None:
        """`script` is the path of a script; without it, the demo that the package carries."""
        self._path = Path(options.get("script") or Path(__file__).with_name("demo.yaml"))
        self._clock = clock
        self._script = Script((), "", 0.0)

    async def open(self) -> None:
        """Raises OpenClawError, naming the file and the rule, where the script cannot be followed."""
        try:
            script = read(self._path.read_bytes())
        except OSError as error:
            raise OpenClawError(f"the script {self._path} cannot be read: {error.strerror}") from error
        if isinstance(script, Problem):
            raise OpenClawError(f"the script {self._path} cannot be followed: {script.reason}")
        self._script = script

    async def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        said, results = _since_the_person(request.messages)
        tools = {spec.name for spec in request.tools}
        rule, found = self._rule(said, request.system, tools)
        if rule is not None:
            await self._clock.sleep(rule.delay)
            if rule.fault:
                raise ProviderError(rule.fault, f"the script says: {rule.fault}")
        step = len(results)
        if rule is not None and step < len(rule.steps):
            content, stop = self._calls(rule.steps[step], found, results, request), "tool_use"
        else:
            hints = " · ".join(text for name, text in self._script.hints.items() if name in tools)
            known = {**found, "hints": hints}
            text = _words(rule, known, results) if rule else _filled(self._script.otherwise, known)
            content, stop = [{"type": "text", "text": text}], rule.stop if rule else "end_turn"
        for block in content:
            async for event in self._spoken(block):
                yield event
        yield Completed(tuple(content), _stop(content, stop), _usage(request, content), request.model)

    async def close(self) -> None:
        pass

    def _rule(self, said: str, system: str, tools: Collection[str]) -> tuple[Rule | None, Mapping[str, str]]:
        """The first that fits, if possible of those whose tools the agent has."""
        fitting = [
            (rule, {name: value or "" for name, value in found.groupdict().items()})
            for rule in self._script.rules
            if (found := rule.say.search(said)) and (rule.system is None or rule.system.search(system))
        ]
        able = (each for each in fitting if all(name in tools for step in each[0].steps for name, _ in step))
        return next(able, fitting[0] if fitting else (None, {}))

    def _calls(
        self,
        step: Sequence[tuple[str, Mapping[str, Any]]],
        found: Mapping[str, str],
        results: Sequence[Sequence[Block]],
        request: Request,
    ) -> list[Block]:
        missing = [name for name, _ in step if name not in {spec.name for spec in request.tools}]
        if missing:
            text = f"I have no tool `{missing[0]}` here. Another agent may: /agents lists them."
            return [{"type": "text", "text": text}]
        fields = {**found, "result": _result(results)}
        return [
            {"type": "tool_use", "id": _id(request, name, at), "name": name, "input": _filled(input, fields)}
            for at, (name, input) in enumerate(step)
        ]

    async def _spoken(self, block: Block) -> AsyncIterator[ProviderEvent]:
        for piece in re.findall(r"\S+\s*|\s+", block.get("text", "")):
            if self._script.pace:
                await self._clock.sleep(self._script.pace)
            yield TextDelta(piece)


# ── what was said ────────────────────────────────────────────────────────────────────────────────


def _since_the_person(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[Sequence[Block]]]:
    """The person's last words, and the results of each step that was taken since."""
    results: list[Sequence[Block]] = []
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        content = message["content"]
        if any(block.get("type") == "tool_result" for block in content):
            results.insert(0, content)
        else:
            return str(content[-1].get("text", "")).strip(), results
    return "", results


def _result(results: Sequence[Sequence[Block]]) -> str:
    return "\n".join(str(block.get("content", "")) for block in results[-1]) if results else ""


def _words(rule: Rule, found: Mapping[str, str], results: Sequence[Sequence[Block]]) -> str:
    template, result = rule.reply, _result(results)
    if results and any(block.get("is_error") for block in results[-1]):
        template = rule.failed
    elif results and rule.empty is not None and _NOTHING.match(result.strip()):
        template = rule.empty
    return str(_filled(template, {**found, "result": result.strip()}))


def _filled(value: Any, fields: Mapping[str, str]) -> Any:
    """`{name}` and `{name:you}` replaced in every string, however deep."""
    if isinstance(value, str):
        return _FIELD.sub(lambda m: _field(m, fields), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, fields) for key, item in value.items()}
    return [_filled(item, fields) for item in value] if isinstance(value, list) else value


def _field(match: re.Match[str], fields: Mapping[str, str]) -> str:
    value = fields.get(match[1])
    if value is None:
        return match[0]
    return re.sub(r"\b[A-Za-z]+\b", lambda m: _YOU.get(m[0].lower(), m[0]), value) if match[2] else value


def _stop(content: Sequence[Block], stop: str) -> str:
    return stop if stop != "tool_use" or any(b["type"] == "tool_use" for b in content) else "end_turn"


def _id(request: Request, name: str, at: int) -> str:
    seed = f"{request.session}:{len(request.messages)}:{name}:{at}"
    return f"toolu_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"


def _usage(request: Request, content: Sequence[Block]) -> Usage:
    """Four characters a token, as a stand-in that grows as the real figure does."""
    asked = len(request.system) + sum(len(str(message["content"])) for message in request.messages[-2:])
    return Usage(input=asked // 4 + 1, output=len(str(content)) // 4 + 1)
