"""Injector: create the videos of a run and send their tasks to the queue, all at once or over time."""
