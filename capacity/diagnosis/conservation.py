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
    """Check that no video of a run is lost: each must be done or failed, or have a message in a queue.

    `lost_messages` counts the unfinished videos without a message. It is None if unknown. `repeated` counts executions
    whose work another execution did too. `lost` counts executions whose process died before it recorded an outcome.
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

    `open_videos` is the number of unfinished videos. `dead_lettered_videos` is the number of videos that have already
    failed because SQS dead-lettered their messages. Their messages belong to no unfinished video, so they are
    subtracted from the messages in the dead-letter queue. Return None if there are unfinished videos but `messages` is
    None.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
