"""Where messages come from and replies go to: a file for each kind of channel."""
