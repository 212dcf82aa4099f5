"""Sizing: how many workers a demand needs, and what it would overload, such as SQS or the database."""
