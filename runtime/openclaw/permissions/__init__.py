"""What a command line says, and what a policy decides about a call. `decide.py` is the way in."""
