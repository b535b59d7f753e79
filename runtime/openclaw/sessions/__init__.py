"""From an accepted message to its settled reply: who waits, who is answered together, and in which transcript."""

from openclaw.sessions.room import Sessions as Sessions
