"""Injects a burst or a fixed rate of real videos."""
