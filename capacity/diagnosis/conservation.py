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

    `requested` is the number of videos that the run should send. `injected` is the number that it sent. `lost_messages`
    is the number of unfinished videos without a message, or None if unknown. `repeated` is the number of executions
    that worked in vain: another execution finished or claimed the same video first. `lost` is the number of executions
    whose process died before it recorded how they ended.
    """

    requested: int
    injected: int
    lost_messages: int | None
    repeated: int
    lost: int

    @property
    def holds(self) -> bool | None:
        """Return True if every video was sent, and `lost_messages`, `repeated` and `lost` are all 0.

        Return None if only `lost_messages` is unknown. Return False in all other cases.
        """
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return how many unfinished videos have no message in the queue or in the dead-letter queue.

    `open_videos` is the number of unfinished videos. The messages of such videos are subtracted from it. These are all
    messages in the queue, and the messages in the dead-letter queue except those of failed videos.
    `dead_lettered_videos` is the number of videos that were already recorded as failed because their message is in the
    dead-letter queue. Return 0 if no video is unfinished. Otherwise return None if `messages` is None.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
