"""Does the faults of a plan to the machine, each in a task of its own, so that they overlap as planned."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from deploy.local import LocalServer
from tests.chaos.faults import Fault, Planned
from tests.chaos.machine import Machine, Replica

_SLACK_S: Final = 60.0
"""How long after its time a fault may wait for its target to be done with the one before."""


class Injector:
    """`done` is how many faults were done; `counts` how many of each kind."""

    def __init__(self, machine: Machine, tell: Callable[[str], None]) -> None:
        self._machine = machine
        self._tell = tell
        self.counts: dict[str, int] = {}

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    async def run(self, plan: Sequence[Planned]) -> None:
        """Do all of it; returns when the last one is over and what it hit is started again."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                group.create_task(self._do(fault))

    async def _do(self, fault: Planned) -> None:
        async with asyncio.timeout(_SLACK_S + fault.lasts):
            match fault.what:
                case Fault.KILL_STORE | Fault.KILL_BROKER:
                    await self._kill_server(fault)
                case Fault.PAUSE_STORE | Fault.PAUSE_BROKER:
                    await self._pause_server(fault)
                case Fault.OUTAGE | Fault.CRASH_RELAY:
                    await self._outage(fault)
                case _:
                    await self._hit(fault, self._replica(fault))

    def _note(self, fault: Planned) -> None:
        self.counts[fault.what] = self.counts.get(fault.what, 0) + 1
        self._tell(f"fault {self.done}: {fault}")

    def _replica(self, fault: Planned) -> Replica:
        own = [replica for replica in self._machine.replicas if replica.service == fault.service]
        wanted = own[fault.replica]
        if wanted.busy.locked():
            return next((replica for replica in own if not replica.busy.locked()), wanted)
        return wanted

    async def _hit(self, fault: Planned, replica: Replica) -> None:
        machine = self._machine
        async with replica.busy:
            self._note(fault)
            match fault.what:
                case Fault.PAUSE:
                    replica.process.freeze()
                    await asyncio.sleep(fault.lasts)
                    replica.process.signal_group(signal.SIGCONT)
                    return
                case Fault.RESTART:
                    await machine.terminate(replica)
                case _:
                    machine.kill(replica)
            await asyncio.sleep(fault.lasts)
            machine.begin(replica, fault.point)

    async def _outage(self, fault: Planned) -> None:
        own = [replica for replica in self._machine.replicas if replica.service == fault.service]
        for replica in own:
            await replica.busy.acquire()
        try:
            self._note(fault)
            for replica in own:
                self._machine.kill(replica)
            await asyncio.sleep(fault.lasts)
            for replica in own:
                self._machine.begin(replica, fault.point)
        finally:
            for replica in own:
                replica.busy.release()

    def _server(self, fault: Planned) -> tuple[asyncio.Lock, LocalServer]:
        if fault.what in (Fault.KILL_STORE, Fault.PAUSE_STORE):
            return self._machine.server_busy["store"], self._machine.store
        return self._machine.server_busy["broker"], self._machine.broker

    async def _kill_server(self, fault: Planned) -> None:
        busy, server = self._server(fault)
        async with busy:
            self._note(fault)
            server.kill()
            await asyncio.sleep(fault.lasts)
            await self._machine.start_again(server)

    async def _pause_server(self, fault: Planned) -> None:
        busy, server = self._server(fault)
        async with busy:
            self._note(fault)
            server.pause()
            try:
                await asyncio.sleep(fault.lasts)
            finally:
                server.resume()
