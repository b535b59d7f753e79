"""List and answer approvals, and revoke those that were given for good.

A question is pending only while its runtime runs. What was answered with allow-always is remembered in the
state folder until it is revoked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from openclaw.cli import _listing
from openclaw.cli._client import Runtime, running
from openclaw.cli._state import with_store
from openclaw.errors import UsageError

_DECISIONS = ("allow-once", "allow-always", "deny")


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="pending and remembered approvals")
    answer = actions.add_parser("answer", help="answer a pending one")
    answer.add_argument("id", metavar="ID")
    answer.add_argument("decision", choices=_DECISIONS)
    revoke = actions.add_parser("revoke", help="forget a remembered one: it is asked about again")
    revoke.add_argument("id", metavar="ID")
    for one in (listed, answer, revoke):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        match args.action:
            case "list":
                _print(runtime.get("approvals") if runtime else _offline(args.state), args.json)
            case "answer":
                _answer(args.id, args.decision, runtime)
                told = {"id": args.id, "decision": args.decision}
                _listing.done(told, f"{args.id}: {args.decision}", json=args.json)
            case "revoke":
                _revoke(args.id, args.state, runtime)
                _listing.done({"id": args.id, "revoked": True}, f"{args.id} is revoked", json=args.json)
    return 0


def _answer(id: str, decision: str, runtime: Runtime | None) -> None:
    if runtime is None:
        raise UsageError("nothing is pending: no runtime is running here")
    runtime.post("approvals", id, body={"decision": decision})


def _revoke(id: str, state: Path, runtime: Runtime | None) -> None:
    if runtime is not None:
        runtime.delete("approvals", id)
    elif not _revoked(id, state):
        raise UsageError(f"no remembered approval {id}")


# What asks the state folder needs the approvals' own reading of it, which knows profiles and programs: 50 ms.


def _offline(state: Path) -> dict[str, Any]:
    from openclaw.approvals import Approvals
    from openclaw.clock import SystemClock
    from openclaw.stores.files import Store

    async def ask(store: Store) -> list[dict[str, Any]]:
        approvals = Approvals(store.marks, SystemClock())
        await approvals.open()
        return await approvals.remembered()

    nothing: list[dict[str, Any]] = []
    return {"pending": [], "remembered": with_store(state, ask, nothing=nothing)}


def _revoked(id: str, state: Path) -> bool:
    from openclaw.approvals import Approvals
    from openclaw.clock import SystemClock
    from openclaw.stores.files import Store

    async def ask(store: Store) -> bool:
        approvals = Approvals(store.marks, SystemClock())
        await approvals.open()
        await approvals.revoke(id)
        return True

    return with_store(state, ask, nothing=False)


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _listing.as_json(found)
        return
    pending = [(one["id"], one["agent"], one["tool"], one["expires"][:19], _call(one)) for one in found["pending"]]
    remembered = [(one["id"], one.get("agent", ""), one.get("tool", ""), _call(one)) for one in found["remembered"]]
    if pending:
        print("Pending:")
        _listing.table(("ID", "AGENT", "TOOL", "EXPIRES (UTC)", "CALL"), pending)
    if remembered:
        print("Remembered:")
        _listing.table(("ID", "AGENT", "TOOL", "CALL"), remembered)
    if not (pending or remembered):
        print("Nothing is pending and nothing is remembered.")


def _call(approval: dict[str, Any]) -> str:
    return " ".join(str(line).strip() for line in approval.get("lines", ()))
