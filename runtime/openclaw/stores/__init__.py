"""Where everything is kept: a file for each kind of store."""
