"""Verbs of the command line `python -m capacity`. Each verb has its own file."""
