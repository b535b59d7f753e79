"""How a session's worker learns that something waits: a file for each kind of doorbell."""
