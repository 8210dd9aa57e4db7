"""`python -m services.reporting.history.worker`: reads the log for another process, so that its answers do not wait.

Talks over its pipes: each message is its length (4 bytes, big-endian) and MessagePack. The first that comes in are the
settings, as JSON; then job after job, and a result after each. Ends when its input does, as when the other has ended.
"""

import asyncio
import gc
import os
import signal
import sys
from typing import BinaryIO, Final

from services.reporting.app import FACTS
from services.reporting.history.jobs import LENGTH, Failed, Result, decode_job, do, encode
from services.reporting.settings import ReportingSettings
from shared.bus import Log

_NICENESS: Final = 10


def receive(stream: BinaryIO) -> bytes | None:
    """The next message; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


async def _run(settings: ReportingSettings, job: bytes) -> Result:
    log = Log(settings)
    try:
        return await do(decode_job(job), log, FACTS)
    except Exception as error:  # noqa: BLE001  told to the one who asked
        return Failed(type(error).__name__)
    finally:
        await log.close()


def main() -> None:
    """Serve one process until it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other, who then closes the pipe
    os.nice(_NICENESS)
    gc.disable()  # a pass makes hundreds of thousands of objects that live until the end of their group
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no result
    written = receive(incoming)
    if written is None:
        return
    settings = ReportingSettings.model_validate_json(written)
    while (job := receive(incoming)) is not None:
        result = encode(asyncio.run(_run(settings, job)))
        outgoing.write(LENGTH.pack(len(result)) + result)
        outgoing.flush()
        gc.collect()


if __name__ == "__main__":
    main()
