"""Who may be chosen with /agent, what it answers, and the way out of a choice that is not admitted any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from doubles.house import AGENT, TOKEN, Program, lived, project

SCOUT = AGENT.replace("Main", "Scout").replace("default: true\n", "prefix: /research\n")
OPS = AGENT.replace("Main", "Ops").replace("default: true\n", "")
AGENTS = {"agents/scout.yaml": SCOUT, "agents/ops.yaml": OPS}


def channels(options: str, people: str = "") -> str:
    return f"channels:\n  http: {{kind: http, port: 0, token: {TOKEN}{options}}}\n{people}"


async def said(program: Program, text: str) -> str:
    answer = (await program.say(text)).json()
    return str(answer.get("reply", answer.get("detail")))


def test_an_agent_that_does_not_answer_here_cannot_be_chosen_and_the_usual_one_is_named(tmp_path: Path) -> None:
    here = channels(", agent: scout, agents: [scout, ops]")
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={**AGENTS, "channels.yaml": here})

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            refused = "Agent main does not answer here; there are: ops, scout"
            assert await said(operator, "/agent main") == refused
            assert await said(operator, "/agent sc") == "Agent sc is not there; there are: ops, scout"
            assert (await said(operator, "/agent ops")).startswith("Ops answers from now on")
            assert (await said(operator, "/agents")).startswith("* ops (Ops)")
            assert await said(operator, "/agent") == "Scout answers again."
            assert [line[:7] for line in (await said(operator, "/agents")).splitlines()] == ["  ops (", "* scout"]
            assert (await operator.say("hello")).json()["agent"] == "scout"

    asyncio.run(scene())


def test_only_who_answers_there_is_listed_wherever_agents_are_listed(tmp_path: Path) -> None:
    here = channels(
        ", agent: ops, agents: [ops, scout], tokens: {shop: {secret: shop-secret, agents: [ops, main], scopes: [chat]}}"
    )
    there = f"{here}  repl: {{kind: repl, agents: [main]}}\n"
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={**AGENTS, "channels.yaml": there})

    async def listed(program: Program) -> tuple[set[str], list[str], set[str]]:
        own, models, commands = [
            (await program.http.get(path)).json() for path in ("/api/me", "/v1/models", "/api/commands")
        ]
        return set(own["agents"]), [m["id"] for m in models["data"]], {c["name"] for c in commands["commands"]}

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (app, operator):
            agents, models, commands = await listed(operator)
            assert agents == {"ops", "scout"} and "/research" in commands
            assert models == ["openclaw", "openclaw/ops", "openclaw/scout"]
            assert "/research" in await said(operator, "/help")
            assert (await operator.http.get("/v1/models/openclaw/main")).status_code == 404
            nobody = (await operator.say("hello", agent="nobody")).json()["detail"]
            assert nobody == "there is no agent `nobody`; there are: ops, scout"
            operator.http.headers["Authorization"] = "Bearer shop-secret"
            agents, models, commands = await listed(operator)
            assert agents == {"ops"} and models == ["openclaw", "openclaw/ops"] and "/research" not in commands
            assert "/research" not in await said(operator, "/help")
            for name in ("openclaw/scout", "scout", "openclaw/main"):
                assert (await operator.http.get(f"/v1/models/{name}")).status_code == 404
            assert [agent["id"] for agent in app.desk.agents("repl")] == ["main"]
            assert "/research" not in dict(app.desk.commands("repl"))
            assert "/research" in dict(app.desk.commands())
            assert [agent["id"] for agent in app.desk.agents()] == ["main", "ops", "scout"]

    asyncio.run(scene())


def test_the_model_without_a_name_serves_whom_it_is_said_for_also_where_the_usual_agent_does_not_answer(
    tmp_path: Path,
) -> None:
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={**AGENTS, "channels.yaml": channels(", agents: [ops]")})

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            own = (await operator.http.get("/api/me")).json()
            assert (own["agents"], own["agent"]) == (["ops"], None)
            asked = {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}]}
            alone = await operator.http.post("/v1/chat/completions", json=asked)
            assert alone.status_code == 404
            for_ana = {**asked, "user": "ana"}
            assert (await operator.http.post("/v1/chat/completions", json=for_ana)).status_code == 403
            await operator.say("/agent ops", sender="ana")
            assert (await operator.http.post("/v1/chat/completions", json=for_ana)).status_code == 200

    asyncio.run(scene())


def test_where_nobody_answers_that_is_said(tmp_path: Path) -> None:
    nobody = channels(", agents: [ops], tokens: {shop: {secret: shop-secret, agents: [main], scopes: [chat]}}")
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={**AGENTS, "channels.yaml": nobody})

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            operator.http.headers["Authorization"] = "Bearer shop-secret"
            told = await operator.http.get("/v1/models/openclaw")
            assert told.json()["error"]["message"] == "there is no model `openclaw` here; no agent answers here"
            assert await said(operator, "/agents") == "Nobody answers here."
            assert await said(operator, "/agent x") == "Agent x is not there; nobody answers here"

    asyncio.run(scene())


def test_whoever_chose_an_agent_that_an_edit_takes_away_is_let_out(tmp_path: Path) -> None:
    root = project(tmp_path / "p", "http://127.0.0.1:9", files=AGENTS)

    async def chosen() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            await said(operator, "/agent ops")

    async def later() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            answer = await operator.say("hello")
            assert (answer.status_code, answer.json()["code"]) == (403, "agent")
            assert answer.json()["detail"] == "agent `ops` does not answer here; /agents tells who does"
            assert (await operator.say("/memory")).status_code == 403  # of no agent that is not to answer here
            assert await said(operator, "/stop") == "Nothing is running."
            assert "channels: " in await said(operator, "/status")
            assert (await said(operator, "/agents")).splitlines() == ["  scout (Scout): Talks, ask with /research"]
            assert await said(operator, "/agent") == "Nobody answers here until one of them is chosen: scout."
            assert (await operator.say("/agent", agent="main")).status_code == 403
            assert (await said(operator, "/agent scout")).startswith("Scout answers from now on")
            assert (await operator.say("hello")).json()["agent"] == "scout"

    asyncio.run(chosen())
    (root / "channels.yaml").write_text(channels(", agents: [scout]"), "utf-8")
    asyncio.run(later())
