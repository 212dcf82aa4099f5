"""Estimates with their intervals. A missing estimate has a reason: a code with its numbers."""
