"""Tells a cancellation that was asked for from one that only looks like it."""

import asyncio


def asked_to_end() -> bool:
    """Whether the running task was told to end.

    A client whose connection broke cancels the futures that waited for it, and their waiter sees a `CancelledError`
    that nobody sent to it. Who goes on for as long as the service does must outlive that.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
