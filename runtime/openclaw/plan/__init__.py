"""What a reload would change, compared and put into words. `whole.py` is the way in."""
