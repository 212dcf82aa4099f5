"""One click command per verb of `python -m capacity`."""
