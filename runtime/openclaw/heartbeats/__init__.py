"""What runs by the clock: schedules, their checks, their failures, and the history of all of it."""

from openclaw.heartbeats.beats import Heartbeats as Heartbeats
