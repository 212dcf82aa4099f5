"""Sizing: how many workers a demand needs, and which shared parts would be overloaded."""
