"""Sizing: how many workers a demand needs, and which shared part, such as SQS, it would overload."""
