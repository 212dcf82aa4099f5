"""Was a message lost? Compares the videos in the database with the messages in the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """Numbers of messages in the queue and in the dead-letter queue, as SQS counts them.

    `in_queue` counts visible, in-flight and delayed messages. `dead_lettered` counts the messages that came into the
    dead-letter queue since the run started.
    """

    in_queue: int
    dead_lettered: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """Counts that show whether a video of a run was lost or processed in vain.

    - `requested`, `injected`: videos that the run has to send, and videos that it has sent.
    - `lost_messages`: unfinished videos without a message, or None if unknown.
    - `repeated`: executions in vain, because another execution finished or claimed the video first.
    - `lost`: executions whose process died before it recorded their outcome.
    """

    requested: int
    injected: int
    lost_messages: int | None
    repeated: int
    lost: int

    @property
    def holds(self) -> bool | None:
        """Return True if every video was sent, and `lost_messages`, `repeated` and `lost` are all 0.

        Return False if a video was not sent, or if one of the three counts is over 0. Return None if neither is the
        case and `lost_messages` is unknown.
        """
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return how many unfinished videos have no message in the queue or in the dead-letter queue.

    If there are no unfinished videos, the result is 0. Otherwise, if `messages` is None, the result is None. In all
    other cases it is

        max(0, open_videos - messages.in_queue - unhandled)
        unhandled = max(0, messages.dead_lettered - dead_lettered_videos)

    where `unhandled` is the number of dead-lettered messages whose videos are still unfinished. `open_videos` is the
    number of unfinished videos. `dead_lettered_videos` is the number of videos that are recorded as failed because
    their message is in the dead-letter queue.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
