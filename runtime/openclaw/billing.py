"""What the entries of a turn took of which model, and what that cost. Pure.

Law: every call of a model counts, what was thrown away too, and each at its own model's price. Knows no limit and keeps
no account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openclaw.fallback import Models
from openclaw.manifest.snapshot import Model, Price
from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Usage


def asked(entries: Iterable[Entry], models: Models) -> list[tuple[str, Usage, Price | None]]:
    """Of each call of a model its id, what it took and its price, where that is known: an answer's model is known by
    the setup it answered with."""
    found: list[tuple[str, Usage, Price | None]] = []
    for entry in entries:
        match entry:
            case AssistantEntry(model=model, setup=setup, usage=usage) if usage != Usage():
                voice = models.voice(setup)
                found.append((voice.model, usage, voice.price) if voice else (model, usage, None))
            case Draft(setup=setup, usage=usage) if usage != Usage():
                voice = models.voice(setup) or models.own
                found.append((voice.model, usage, voice.price))
            case Compaction(usage=usage) if usage != Usage():
                found.append((models.own.model, usage, models.own.price))
    return found


def cost(asked: Sequence[tuple[str, Usage, Price | None]], own: Model, models: Iterable[Model]) -> float | None:
    """US dollars; each answer at the price of the model that gave it, or else of the one that was to give it."""
    prices = {model.id: model.costs for model in (*models, own) if model.costs is not None}
    known = [(price or prices.get(model, own.costs), usage) for model, usage, price in asked]
    costs = [price.of(usage) for price, usage in known if price is not None]
    return sum(costs, 0.0) if len(costs) == len(asked) else None
