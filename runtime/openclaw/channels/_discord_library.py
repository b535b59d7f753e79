"""discord.py, imported once and quietly. Every other file here takes the library from this one."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # It imports `audioop` for voice, which Python deprecates; nothing here speaks.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord
    from discord.gateway import DiscordWebSocket
    from discord.http import HTTPClient, MultipartParameters, Route
    from discord.webhook.async_ import AsyncWebhookAdapter

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no notice at every start about that either

__all__ = ["AsyncWebhookAdapter", "DiscordWebSocket", "HTTPClient", "MultipartParameters", "Route", "discord"]
