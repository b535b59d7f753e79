"""Scenarios: what is expected of a project, written beside it and judged without a model, a network or a clock."""
