"""Sizing: workers for a demand, and the limits of the parts that all workers share."""
