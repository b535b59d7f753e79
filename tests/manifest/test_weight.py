"""What an agent weighs is what its model is told, but for the lines that every agent has."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from openclaw import prompt
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.manifest.weight import Weight, weigh

TOOLS = """\
tools:
  listing:
    description: Lists the folder
    shell: ls
policies:
  careful:
    rules:
      - allow: [read_file, listing]
      - deny: web_fetch
"""


def snapshot(**agents: str) -> Snapshot:
    files = {f"agents/{name}.yaml": text.encode() for name, text in agents.items()}
    files["tools.yaml"] = TOOLS.encode()
    files["agents/main.md"] = "Be brief, Ω.\n".encode()
    result = compile(Folder.of(files), environment={}, importer=None, today=datetime(2026, 11, 28, tzinfo=UTC))
    assert result.snapshot is not None
    return result.snapshot


def agent(tools: str, more: str = "") -> str:
    return f"name: A\ndescription: d\ntools: {tools}\npolicy: careful\n{more}"


def test_the_prompt_is_soul_and_instructions_in_bytes() -> None:
    (found,) = weigh(snapshot(main=agent("[]", "instructions: Answer in English.\n")))
    assert found == Weight("main", len("Be brief, Ω.\n\nAnswer in English.".encode()), 0, 0)


def test_tools_count_as_the_model_is_told_them_and_denied_ones_not_at_all() -> None:
    (found,) = weigh(snapshot(main=agent("[listing, web_fetch]")))
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    told = {"name": "listing", "description": "Lists the folder", "input_schema": schema}
    assert (found.tools, found.tool_bytes) == (1, len(json.dumps(told, separators=(",", ":"))))


def test_a_memory_that_is_off_weighs_nothing() -> None:
    first, second = weigh(
        snapshot(a=agent("[memory_list]", "memory: off\ndefault: true\n"), b=agent("[memory_list]", "memory: shared\n"))
    )
    assert (first.agent, first.tools, second.agent, second.tools) == ("a", 0, "b", 1)


def test_the_runtime_adds_the_same_to_every_prompt() -> None:
    whole = snapshot(
        a=agent("[read_file]", "default: true\ninstructions: " + "Think. " * 50 + "\n"),
        main=agent("[read_file, listing]"),
    )
    added = set()
    for weight in weigh(whole):
        each = whole.agents[weight.agent]
        specs = prompt.tools(each, whole)
        assert len(specs) == weight.tools
        added.add(len(prompt.system(each, specs).encode()) - weight.prompt_bytes)
    assert len(added) == 1


def test_the_default_project_can_be_weighed() -> None:
    root = Path(__file__).parent.parent.parent
    read = compile(Folder.read(root), environment=None, importer=None, today=datetime(2026, 11, 28, tzinfo=UTC))
    assert read.snapshot is not None
    weights = weigh(read.snapshot)
    assert [each.agent for each in weights] == ["main", "researcher"]
    assert all(each.tokens == (each.prompt_bytes + each.tool_bytes) // 4 > 100 for each in weights)
