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

    `requested` is the number of videos that the run should send, `injected` the number that it sent. `lost_messages` is
    the number of unfinished videos without a message. It is None if unknown. `repeated` counts executions that worked
    on a video which another execution finished or claimed first. `lost` counts executions whose process died before it
    recorded how the execution ended.
    """

    requested: int
    injected: int
    lost_messages: int | None
    repeated: int
    lost: int

    @property
    def holds(self) -> bool | None:
        """Return True if all videos were sent, no message or execution was lost, and no work was done twice.

        None means unknown.
        """
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return how many unfinished videos have no message in the queue or in the dead-letter queue.

    The result is `open_videos`, the number of unfinished videos, minus the messages of such videos. A message in the
    dead-letter queue may be that of a video that has already failed for this reason. `dead_lettered_videos` is the
    number of these videos. Their messages are not counted. Without unfinished videos, the result is 0. Otherwise it is
    None if `messages` is None.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
