"""From an accepted message to its settled reply: who waits, who is answered together, and in which transcript."""

from openclaw.sessions.door import LONGEST as LONGEST
from openclaw.sessions.line import ATTEMPTS as ATTEMPTS
from openclaw.sessions.room import Sessions as Sessions
