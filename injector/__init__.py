"""Injector: sends a burst of real videos, or real videos at a fixed rate."""
