"""What agents can do: a file for each kind of tool."""
