"""Let in strangers who wrote to a bot in private, by the code that they were shown.

Being let in admits them in private chats on that channel: to no group, and to no approval. Who should stay belongs
into channels.yaml, under `people` or `allow`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from openclaw.cli import _listing
from openclaw.cli._client import Runtime, running
from openclaw.cli._state import with_store
from openclaw.clock import SystemClock
from openclaw.control.words import pairing_json
from openclaw.errors import UsageError
from openclaw.messages import Address
from openclaw.pairing import Pairings
from openclaw.stores.files import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="who waits, and who was let in")
    approve = actions.add_parser("approve", help="let in the holder of a code")
    approve.add_argument("code", metavar="CODE")
    revoke = actions.add_parser("revoke", help="shut out again somebody who was let in")
    revoke.add_argument("address", metavar="ADDRESS", help="for example telegram:12345")
    for one in (listed, approve, revoke):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        match args.action:
            case "list":
                _print(runtime.get("pairings") if runtime else _offline(args.state), args.json)
            case "approve":
                admitted = runtime.post("pairings", args.code) if runtime else _approved(args.code, args.state)
                name = _listing.quote_line(admitted["name"])
                words = f"{admitted['sender']} ({name}) may write from now on"
                _listing.done(admitted, words, json=args.json)
            case "revoke":
                _revoke(args.address, args.state, runtime)
                told = {"sender": args.address, "admitted": False}
                _listing.done(told, f"{_listing.quote_line(args.address)} may not write any more", json=args.json)
    return 0


def _offline(state: Path) -> dict[str, Any]:
    async def ask(store: Store) -> dict[str, Any]:
        pairings = await _opened(store)
        return {
            "waiting": [pairing_json(one) for one in pairings.waiting()],
            "admitted": [pairing_json(one) for one in pairings.admitted()],
        }

    return with_store(state, ask, nothing={"waiting": [], "admitted": []})


def _approved(code: str, state: Path) -> dict[str, Any]:
    async def ask(store: Store) -> dict[str, Any]:
        return pairing_json(await (await _opened(store)).pair(code))

    found = with_store(state, ask, nothing=None)
    if found is None:
        raise UsageError(f"nobody waits with the code {code}: no runtime has used this state folder")
    return found


def _revoke(address: str, state: Path, runtime: Runtime | None) -> None:
    try:
        sender = Address.parse(address)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if runtime is not None:
        runtime.delete("pairings", address)
        return

    async def ask(store: Store) -> bool:
        await (await _opened(store)).unpair(sender)
        return True

    if not with_store(state, ask, nothing=False):
        raise UsageError(f"{address} was not let in: no runtime has used this state folder")


async def _opened(store: Store) -> Pairings:
    pairings = Pairings(store.marks, SystemClock())
    await pairings.open()
    return pairings


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _listing.as_json(found)
        return
    if found["waiting"]:
        print("Waiting:")
        rows = [(one["code"], one["sender"], one["name"], one["expires"][:19]) for one in found["waiting"]]
        _listing.table(("CODE", "ADDRESS", "CALLS THEMSELVES", "EXPIRES (UTC)"), rows)
    if found["admitted"]:
        print("Let in:")
        let_in = [(one["sender"], one["name"], one["at"][:19]) for one in found["admitted"]]
        _listing.table(("ADDRESS", "CALLS THEMSELVES", "SINCE (UTC)"), let_in)
    if not (found["waiting"] or found["admitted"]):
        print("Nobody waits and nobody was let in by a code.")
