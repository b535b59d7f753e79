"""From the text of manifests to a snapshot, or to all their mistakes with place and cure. `build.py` is the way in."""
