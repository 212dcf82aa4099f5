"""Check that no message was lost: compare the videos in the database with the messages in the queue."""

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
        """Return True if every video was sent, and the fields `lost_messages`, `repeated` and `lost` are 0.

        Return None if `lost_messages` is unknown and all other counts are right.
        """
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return the number of unfinished videos without a message in the queue or in the dead-letter queue.

    `open_videos` is the number of unfinished videos. `dead_lettered_videos` is the number of videos that failed because
    their message was dead-lettered. If `messages` is None, the result is None, or 0 without unfinished videos.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    # dead-lettered messages whose videos are not yet recorded as failed
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
