"""Was a message lost? Compares the videos in the database with the messages in the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """Messages that SQS counts: now in the queue, and new in the dead-letter queue since the run started."""

    in_queue: int
    dead_lettered: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """Check of a run: each video must be final once, or have a message in a queue.

    `lost_messages` is the number of videos that are neither, or None if it is unknown. `repeated` and `lost` count
    executions whose work another execution had to do again.
    """

    requested: int
    injected: int
    lost_messages: int | None
    repeated: int
    lost: int

    @property
    def holds(self) -> bool | None:
        """Return True if no video is missing and no work was done twice. None means unknown."""
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return how many unfinished videos have a message neither in the queue nor in the dead-letter queue.

    `dead_lettered_videos` are final, so their messages are not counted for unfinished videos. None means unknown: there
    are unfinished videos, but messages were not counted.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
