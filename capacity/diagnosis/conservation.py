"""Conservation: messages of the queue against rows of the database, so that a lost message is seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """Messages as SQS counts them: in the queue now, and new in the dead-letter queue since the run started."""

    in_queue: int
    dead_lettered: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """The sum of a run: every video is final once, or has a message.

    `lost_messages` is None where the messages were not counted although videos are open. `repeated` and `lost` are
    executions whose work another execution did again.
    """

    requested: int
    injected: int
    lost_messages: int | None
    repeated: int
    lost: int

    @property
    def holds(self) -> bool | None:
        """Return True if nothing is missing or done twice; None if that is unknown."""
        if self.requested != self.injected or self.repeated or self.lost or self.lost_messages:
            return False
        return None if self.lost_messages is None else True


def lost_messages(open_videos: int, dead_lettered_videos: int, messages: MessageCounts | None) -> int | None:
    """Return how many open videos have no message, neither in the queue nor in the dead-letter queue.

    `dead_lettered_videos` have a final state, so their messages do not belong to open videos.
    """
    if not open_videos:
        return 0
    if messages is None:
        return None
    unhandled = max(0, messages.dead_lettered - dead_lettered_videos)
    return max(0, open_videos - messages.in_queue - unhandled)
