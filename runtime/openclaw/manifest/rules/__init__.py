"""Every rule that looks across manifests: one function, one line.

A rule takes the Project and yields diagnostics; it tells one kind of mistake and trusts the others to
tell theirs. What has had a diagnostic at the same place already gets no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.project import Project
from openclaw.manifest.rules import agents as agents
from openclaw.manifest.rules import channels as channels
from openclaw.manifest.rules import checks as checks
from openclaw.manifest.rules import conditions as conditions
from openclaw.manifest.rules import doubled as doubled
from openclaw.manifest.rules import heartbeats as heartbeats
from openclaw.manifest.rules import idle as idle
from openclaw.manifest.rules import models as models
from openclaw.manifest.rules import places as places
from openclaw.manifest.rules import policies as policies
from openclaw.manifest.rules import reach as reach
from openclaw.manifest.rules import runners as runners
from openclaw.manifest.rules import secrets as secrets
from openclaw.manifest.rules import tools as tools
from openclaw.manifest.rules import trials as trials
from openclaw.manifest.rules import typed as typed

RULES: Final[tuple[Callable[[Project], Iterator[Diagnostic]], ...]] = (
    agents.there_are_agents,
    agents.ids_are_names,
    agents.one_is_the_default,
    agents.prefixes_are_free,
    agents.souls_can_be_read,
    agents.souls_are_no_books,
    agents.tools_exist,
    agents.policies_exist,
    agents.models_exist,
    agents.workspaces_are_outside,
    agents.compaction_keeps_less,
    agents.services_make_summaries,
    agents.session_time_zones_exist,
    agents.tools_are_not_all_denied,
    agents.tools_are_decided,
    tools.names_are_free,
    tools.python_tools_are_described,
    tools.inputs_are_consistent,
    tools.templates_split,
    tools.placeholders_are_inputs,
    tools.inputs_are_used,
    tools.functions_load,
    tools.signatures_fit,
    typed.inputs_have_the_types_of_their_parameters,
    typed.fixed_arguments_have_the_types_of_their_parameters,
    typed.defaults_have_the_types_of_their_parameters,
    policies.includes_exist,
    policies.includes_end,
    policies.includes_are_bounded,
    policies.floor_only_restricts,
    policies.approvers_exist,
    policies.repositories_are_whole_paths,
    policies.network_is_for_commands,
    policies.what_writes_may_write,
    policies.rules_name_tools,
    policies.allows_are_narrow,
    policies.allows_have_a_point,
    trials.tests_hold,
    idle.rules_decide,
    doubled.entries_add_something,
    idle.conditions_can_be_met,
    idle.conditions_fit_the_tools,
    places.places_agree,
    places.exceptions_leave_something,
    runners.launchers_are_held,
    runners.programs_are_found,
    runners.templates_run_what_they_name,
    conditions.one_what,
    conditions.patterns_are_sound,
    conditions.hosts_are_names,
    conditions.inputs_exist,
    conditions.people_exist,
    conditions.places_exist,
    conditions.until_is_a_time,
    channels.agents_exist,
    channels.tokens_name_people_and_agents,
    channels.tokens_have_names_of_their_own,
    channels.senders_are_numbers,
    channels.ports_are_free,
    channels.one_terminal,
    channels.open_hosts_have_tokens,
    channels.hooks_name_agents,
    channels.bots_are_not_shared,
    channels.webhooks_have_a_server,
    channels.messages_can_be_read,
    channels.ids_are_addresses,
    channels.ids_are_one_persons,
    channels.time_zones_exist,
    heartbeats.agents_exist,
    heartbeats.schedules_fire,
    heartbeats.schedules_are_meant,
    heartbeats.schedules_are_seldom,
    heartbeats.time_zones_exist,
    heartbeats.deliveries_arrive,
    heartbeats.models_exist,
    heartbeats.costs_can_be_known,
    models.budgets_can_be_kept,
    models.searches_are_held_to_limits,
    heartbeats.active_hours_are_reached,
    heartbeats.jitter_stays_within_gaps,
    checks.tools_exist,
    checks.wakes_are_meant,
    checks.inputs_fit,
    checks.calls_are_allowed,
    models.default_exists,
    models.fallbacks_exist,
    models.fallbacks_end,
    models.ids_are_known,
    models.scripts_can_be_followed,
    reach.deliveries_have_a_way,
    reach.approvers_can_be_asked,
    secrets.tools_hold_no_secrets,
    secrets.short_secrets_are_secrets_too,
    secrets.comments_hold_no_secrets,
    secrets.souls_hold_no_secrets,
)
