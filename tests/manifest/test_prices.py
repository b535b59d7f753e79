"""What models cost: one list of prices, that of genai-prices; what is built in agrees with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.manifest.build import compile
from openclaw.manifest.builtins import MODELS
from openclaw.manifest.codes import sound
from openclaw.manifest.folder import Folder
from openclaw.manifest.prices import built_in, listed
from openclaw.manifest.snapshot import Model, Price
from openclaw.messages import Usage

ANTHROPIC = "https://api.anthropic.com"


@pytest.mark.parametrize("id", MODELS)
def test_what_is_built_in_is_what_the_list_has(id: str) -> None:
    found = built_in(id)
    assert found is not None and found == listed(id, ANTHROPIC)


@pytest.mark.parametrize("usage", [Usage(1000, 100, 5000, 2000), Usage(90_000, 7, 20_000), Usage(100_000, 1, 0, 0, 3)])
@pytest.mark.parametrize("id", MODELS)
def test_a_call_costs_what_the_list_itself_makes_of_it(id: str, usage: Usage) -> None:
    from genai_prices import Usage as Theirs
    from genai_prices import calc_price

    read = usage.input + usage.cache_read + usage.cache_write
    theirs = Theirs(
        input_tokens=read,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        web_searches=usage.searches,
    )
    found = built_in(id)
    assert found is not None
    assert found.of(usage) == pytest.approx(float(calc_price(theirs, id, provider_id="anthropic").total_price))


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1.7e308"])
def test_a_price_and_a_limit_are_numbers_that_can_be_reckoned_with(number: str) -> None:
    files = sound.over(
        {
            "models.yaml": f"models:\n  one: {{id: claude-opus-5-5, price: {{input: {number}, output: 1}}}}\n",
            **sound.agent(f"model: one\nlimits: {{usd_per_day: {number}}}\n"),
        }
    )
    folder = Folder.of({name: text.encode() for name, text in files.items()})
    found = compile(folder, environment={}, importer=None, today=sound.TODAY)
    assert found.snapshot is None
    assert {(each.file, each.code) for each in found.diagnostics} == {
        ("models.yaml", "wrong-value"),
        ("agents/main.yaml", "wrong-value"),
    }


def test_another_service_has_the_price_of_the_list_and_a_server_of_ones_own_none() -> None:
    there = Model("there", "deepseek-chat", options={"base_url": "https://api.deepseek.com/anthropic"})
    assert there.costs is not None and 0 < there.costs.cache_read < there.costs.input < there.costs.output
    stated = Model("mine", "deepseek-chat", options=there.options, price=Price(1, 2, 3, 4))
    assert stated.costs == Price(1, 2, 3, 4)
    for url in ("http://127.0.0.1:8080", "http://localhost:11434", "https://nobody.example.org/v1", ""):
        assert Model("home", "deepseek-chat", options={"base_url": url}).costs is None
    assert listed("no-such-model", ANTHROPIC) is None


def test_what_a_stated_price_leaves_out_of_searches_is_what_the_list_has_for_that_service() -> None:
    stated, there = Price(1, 2, 3, 4), {"base_url": ANTHROPIC, "capabilities": ("web_search",)}
    left_out = Model("mine", "claude-sonnet-5-5", options=there, price=stated)
    assert left_out.foreign and left_out.costs == replace(stated, web_search=10)
    said = Model("mine", "claude-sonnet-5-5", options=there, price=replace(stated, web_search=0))
    assert not said.foreign and said.costs == replace(stated, web_search=0)
    home = Model("home", "claude-sonnet-5-5", options={**there, "base_url": "http://localhost:11434"}, price=stated)
    assert not home.foreign and home.costs == stated
    unable = Model("mine", "claude-sonnet-5-5", options={"base_url": ANTHROPIC}, price=stated)
    assert not unable.foreign and unable.costs == stated  # it makes none, and the list takes a while to read


def test_a_price_that_changes_with_the_hour_is_that_of_the_hour() -> None:
    hours = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (12, 18)]
    day, night = (listed("deepseek-chat", "https://api.deepseek.com", hour) for hour in hours)
    assert day is not None and night is not None and 0 < night.input < day.input


def test_a_project_is_validated_without_the_list_unless_a_price_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    agent = "name: A\ndescription: b\ntools: []\npolicy: careful\nmodel: there\n"
    (tmp_path / "agents/a.yaml").write_text(agent)
    (tmp_path / "tools.yaml").write_text("policies: {careful: {default: ask}}\n")
    service = "https://api.deepseek.com/anthropic"
    models = f"models:\n  there: {{id: ID, base_url: '{service}', api_key: '${{KEY:-none}}'}}\n"
    (tmp_path / "models.yaml").write_text(models.replace("ID", "deepseek-chat"))
    assert validated(tmp_path) == ["False"]
    (tmp_path / "agents/a.yaml").write_text(agent + "limits: {usd_per_day: 2}\n")
    assert validated(tmp_path) == ["True"]
    (tmp_path / "models.yaml").write_text(models.replace("ID", "unheard-of"))
    [problem, looked] = validated(tmp_path)
    assert looked == "True" and "`usd_per_day` cannot be kept: nobody has said what model `there` costs" in problem


def validated(project: Path) -> list[str]:
    """Its diagnostics, and whether the list of prices was read."""
    code = (
        "import sys; from openclaw.cli import main\n"
        f"code = main(['validate', {str(project)!r}, '--format', 'github'])\n"
        "print('genai_prices' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout.splitlines()


def test_a_list_that_cannot_be_read_is_said_and_makes_no_price_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert listed("a-model-that-is-asked-for-first-here", "https://api.deepseek.com/anthropic") is None
    assert "what a model costs there is not known" in caplog.text
