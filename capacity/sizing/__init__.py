"""Sizing: workers for a demand, and the shared parts that set a limit to it."""
