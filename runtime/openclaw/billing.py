"""What the entries of a turn took of which model, and what that cost. Pure.

Law: every call of a model counts, what was thrown away too, and each at its own model's price. What an answer without
figures took is not known, and so is its cost, unless the model is free; nor is that of one whose service searched the
web at a price that nobody knows. Knows no limit and keeps no account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from openclaw.fallback import Models
from openclaw.manifest.snapshot import FREE, Model, Price
from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Usage

Asked: TypeAlias = tuple[str, Usage, Price | None]
"""Of a call the model's id, what it took, and its price where that is known."""

NOBODY = "unknown"  # the model of what was asked before another start, when the agent may have had another one


def asked(entries: Iterable[Entry], models: Models, *, before: bool = False) -> list[Asked]:
    """Of each call of a model its id, what it took and its price, where that is known: an answer's model is known by
    the setup it answered with. `before`: the entries may be of an earlier start; then of what has no setup, or that of
    another model, a free model knows nothing: what a paid one took would be called free."""
    found: list[Asked] = []
    own = (models.own.model, models.own.price)
    others = own if models.own.price != FREE else (NOBODY, None)
    for entry in entries:
        match entry:
            case AssistantEntry(model=model, setup=setup, usage=usage):
                voice = models.voice(setup) or next((one for one in models.voices if one.model == model), None)
                found.append((voice.model, usage, voice.price) if voice else (model, usage, None))
            case Draft(setup=setup, usage=usage):
                voice = models.voice(setup)
                model, price = (voice.model, voice.price) if voice else others if before else own
                found.append((model, usage, price))
            case Compaction(usage=usage) if usage != Usage():  # one may be made without a call, of drafts or of none
                model, price = others if before else own
                found.append((model, usage, price))
    return found


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """US dollars of one call; None where that is not known."""
    return price.of(usage) if price is not None and price.covers(usage) else None


def least(usage: Usage, price: Price | None) -> float:
    """What is known of it."""
    return price.of(usage) if price is not None else 0.0


def cost(asked: Sequence[Asked], own: Model, models: Iterable[Model]) -> float | None:
    """US dollars; each answer at the price of the model that gave it, or else of the one that was to give it, unless
    that is free."""
    prices = {model.id: model.costs for model in (*models, own) if model.costs is not None}
    other = own.costs if own.costs != FREE else None
    found = [cost_of(usage, price or prices.get(model, other)) for model, usage, price in asked]
    known = [each for each in found if each is not None]
    return sum(known, 0.0) if len(known) == len(found) else None
