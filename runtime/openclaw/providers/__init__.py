"""Who answers: a file for each kind of model's service."""
