"""What each of the four services is given to do, and what its store must hold afterwards."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from services.reporting.compact import NEVER, Fact
from services.reporting.generations import FIRST
from services.reporting.store import facts
from shared.clock import random_id
from shared.envelope import Envelope
from shared.events import (
    DropoutDetected,
    ListTakenIn,
    NetworkRegistered,
    PlacementAccepted,
    PlacementOffered,
    SieiDropout,
    SolutionPublished,
)
from shared.mongo import Document, Mongo
from tests.crash.affairs import GOOD, Affairs, Order, differences
from tests.crash.world import World
from tests.support import catalogue, lives, oracle, tracking
from tests.support.oracle import Happened
from tests.support.probe import eventually
from tests.support.referral import PLATFORMS
from tests.support.reporting import ask
from tests.support.siei import row

MOST_ROUNDS: Final = 30
A_BATCH: Final = "a batch"


class Referral(Affairs):
    """Youths come by themselves, and rows of a list come by the bus."""

    service = "referral"
    topic = "siei.dropouts"

    async def prepare(self) -> None:
        await self.world.produce("catalogue.events", *PLATFORMS)
        self.heard += len(PLATFORMS)

        async def known() -> bool:
            async with self.world.store() as store:
                return await store["platforms"].count_documents({}) == len(PLATFORMS)

        await eventually(known, what="the directory")

    def order(self, n: int) -> Order:
        name = self._came(n)
        body = {"on": "2013-04-08", "family_name": name, "given_names": "Camille", "birth_date": "1996-05-14"}
        return Order("/v1/youths", {**body, "sex": "F", "commune": "01004"}, f"came-{n}", DropoutDetected, name)

    async def events(self, n: int) -> Sequence[Envelope]:
        return [self._row(number) for number in self._rows(n)]

    async def command_effects(self, store: Mongo, n: int) -> int:
        return await self._youths(store, [self._came(n)])

    async def batch_effects(self, store: Mongo, n: int) -> int:
        return await self._youths(store, [row(number)["family_name"] for number in self._rows(n)])

    async def faults(self, store: Mongo) -> list[str]:
        found = Counter([youth["family_name"] async for youth in store["youths"].find()])
        claimed = [claim async for claim in store["claims"].find({"youths.1": {"$exists": True}})]
        return differences("youths", found, Counter(self._names())) + [f"claimed twice: {claim}" for claim in claimed]

    def meanings(self) -> Counter[str]:
        lists = Counter({f"{ListTakenIn.TYPE} {A_BATCH}": len(self.batches)})
        return Counter(f"{DropoutDetected.TYPE} {name}" for name in self._names()) + lists + self.told_dead_letters()

    async def subject_as_known(self, store: Mongo, subject: str) -> str:
        if await store["outbox"].find_one({"subject": subject, "type": ListTakenIn.TYPE}):
            return A_BATCH
        if "." in subject:
            return await super().subject_as_known(store, subject)
        youth = await store["youths"].find_one({"_id": subject})
        return str(youth["family_name"]) if youth else f"nobody ({subject})"

    def _names(self) -> list[str]:
        listed = [row(number)["family_name"] for n in self.batches for number in self._rows(n)]
        return [self._came(n) for n in self.commands] + listed

    @staticmethod
    def _came(n: int) -> str:
        return row(n)["family_name"].replace("MARTIN", "PETIT")

    @staticmethod
    def _rows(n: int) -> tuple[int, int]:
        return 10 * n, 10 * n + 1

    @staticmethod
    def _row(number: int) -> Envelope:
        data = SieiDropout.model_validate(row(number))
        return Envelope(
            id=f"row-{number}",
            type=data.TYPE,
            source="/scolarite",
            subject=data.subject(),
            time=datetime(2013, 4, 2, tzinfo=UTC),
            data=data.model_dump_json().encode(),
        )

    @staticmethod
    async def _youths(store: Mongo, names: Sequence[str]) -> int:
        return await store["youths"].count_documents({"family_name": {"$in": list(names)}})


class Catalogue(Affairs):
    """Places are offered; the place of the round before is accepted and a contract signed on it."""

    service = "catalogue"
    topic = "tracking.events"
    _SESSION: Final = "sol/autumn"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._offers: dict[int, Document] = {}

    async def prepare(self) -> None:
        async with self.world.client() as client:
            for path, body in (
                ("networks/net", catalogue.network()),
                ("solutions/sol", catalogue.solution("net", catalogue.session(places=MOST_ROUNDS))),
            ):
                answer = await client.put(f"/v1/{path}", json=body)
                assert answer.status_code == 200, answer.text
        interviews = [catalogue.envelope(catalogue.interview(f"youth-{n}"), f"i{n}") for n in range(MOST_ROUNDS)]
        await self.world.produce("referral.events", *interviews)
        self.heard += len(interviews)

        async def heard() -> bool:
            async with self.world.store() as store:
                return await store["youths"].count_documents({}) == MOST_ROUNDS

        await eventually(heard, what="the interviews")
        first = self.order(0)
        offered = await self.world.post(first.path, key=first.key, json=first.body)
        assert offered is not None
        assert offered.status == 201
        self.commands.append(0)

    def order(self, n: int) -> Order:
        body = {"youth_id": f"youth-{n}", "solution_id": "sol", "session_id": "autumn", "on": "2013-05-02"}
        return Order("/v1/placements", body, f"offer-{n}", PlacementOffered, f"youth-{n}")

    async def events(self, n: int) -> Sequence[Envelope]:
        async with self.world.store() as store:
            before = await store["placements"].find_one({"youth_id": f"youth-{n - 1}"})
        assert before, f"no offer was made in round {n - 1}"
        offer = {**before, "placement_id": before["_id"]}
        accepted, signed = catalogue.accepted(offer), catalogue.signed(offer, f"contract-{n}")
        return [catalogue.envelope(accepted, f"a{n}"), catalogue.envelope(signed, f"s{n}")]

    async def command_effects(self, store: Mongo, n: int) -> int:
        return await store["placements"].count_documents({"youth_id": f"youth-{n}"})

    async def batch_effects(self, store: Mongo, n: int) -> int:
        """The place is occupied by its contract: what both events come to."""
        signed = {"youth_id": f"youth-{n - 1}", "state": "occupied", "contract_id": f"contract-{n}"}
        return GOOD * await store["placements"].count_documents(signed)

    async def faults(self, store: Mongo) -> list[str]:
        placed = Counter([placement["youth_id"] async for placement in store["placements"].find()])
        session = await store["sessions"].find_one({"_id": self._SESSION})
        assert session is not None
        seats = {"held": session["held"], "occupied": session["occupied"]}
        wanted = {"held": len(self.commands) - len(self.batches), "occupied": len(self.batches)}
        asked = {youth["_id"]: youth["offers"] async for youth in store["youths"].find({"offers": {"$exists": True}})}
        each = {f"youth-{n}": 1 for n in self.commands}
        return [
            *differences("placements", placed, Counter(each)),
            *differences("seats", seats, wanted),
            *differences("offers of youths", asked, each),
        ]

    def meanings(self) -> Counter[str]:
        offers = [f"{PlacementOffered.TYPE} youth-{n}" for n in self.commands]
        registered = [f"{NetworkRegistered.TYPE} net", f"{SolutionPublished.TYPE} sol"]
        return Counter([*registered, *offers]) + self.told_dead_letters()


class Tracking(Affairs):
    """Offers come by the bus, two a round; one of the round before is accepted."""

    service = "tracking"
    topic = "catalogue.events"

    async def prepare(self) -> None:
        await self.world.produce(self.topic, *await self.events(0))
        self.batches.append(0)
        self.heard += GOOD

        async def heard() -> bool:
            async with self.world.store() as store:
                return await self.batch_effects(store, 0) == GOOD

        await eventually(heard, what="the first offers")

    def order(self, n: int) -> Order:
        path = f"/v1/placements/placement-{n - 1}-a/acceptance"
        return Order(path, dict(tracking.ON), f"accept-{n}", PlacementAccepted, f"youth-{n - 1}-a")

    async def events(self, n: int) -> Sequence[Envelope]:
        offers = {name: tracking.offered(f"youth-{name}", f"placement-{name}") for name in self._names(n)}
        return [tracking.envelope(offer, f"o-{name}", at=datetime.now(UTC)) for name, offer in offers.items()]

    async def command_effects(self, store: Mongo, n: int) -> int:
        return await store["placements"].count_documents({"_id": f"placement-{n - 1}-a", "state": "accepted"})

    async def batch_effects(self, store: Mongo, n: int) -> int:
        return await store["placements"].count_documents({"_id": {"$in": [f"placement-{x}" for x in self._names(n)]}})

    async def faults(self, store: Mongo) -> list[str]:
        found = {placement["_id"]: placement["state"] async for placement in store["placements"].find()}
        accepted = {f"placement-{n - 1}-a" for n in self.commands}
        names = [name for n in self.batches for name in self._names(n)]
        wanted = {f"placement-{x}": "accepted" if f"placement-{x}" in accepted else "offered" for x in names}
        # Raised by each offer that is applied: an offer applied twice shows here.
        offers = {youth["_id"]: youth["offers"] async for youth in store["youths"].find()}
        each = {f"youth-{name}": 1 for name in names}
        return [*differences("placements", found, wanted), *differences("offers of youths", offers, each)]

    def meanings(self) -> Counter[str]:
        accepted = Counter(f"{PlacementAccepted.TYPE} youth-{n - 1}-a" for n in self.commands)
        return accepted + self.told_dead_letters()

    @staticmethod
    def _names(n: int) -> tuple[str, str]:
        return f"{n}-a", f"{n}-b"


class Reporting(Affairs):
    """Each round a youth is found and reached. Nobody commands reporting, and it publishes nothing."""

    service = "reporting"
    topic = "referral.events"
    marks = False

    def order(self, n: int) -> None:  # noqa: ARG002  as the base has it
        return None

    async def events(self, n: int) -> Sequence[Envelope]:
        return [happened.envelope() for happened in self._happened(n)]

    async def command_effects(self, store: Mongo, n: int) -> int:
        raise NotImplementedError

    async def batch_effects(self, store: Mongo, n: int) -> int:
        """A youth's fact holds what both events say."""
        known = {youth: fact async for youth, fact in facts(store, FIRST)}.get(f"youth-{n}", Fact())
        return GOOD * (NEVER not in (known.detected, known.reached))

    async def faults(self, store: Mongo) -> list[str]:
        known = Counter([youth async for youth, _ in facts(store, FIRST)])
        faults = differences("facts", known, Counter(f"youth-{n}" for n in self.batches))
        events = [happened for n in self.batches for happened in self._happened(n)]
        levels = "national,academie,departement,network"
        async with self.world.client() as client:
            rows = (await ask(client, by=levels))["rows"]
        shown = {(r["by"], r["code"]): r["activity"] | {"size": r["cohort"]["size"]} for r in rows}
        wanted = {unit: r["activity"] | {"size": r["cohort"]["size"]} for unit, r in oracle.indicators(events).items()}
        counted = {unit: figures for unit, figures in shown.items() if any(figures.values())}
        return faults + differences("figures", counted, wanted)

    def meanings(self) -> Counter[str]:
        return Counter()

    async def hold(self, store: Mongo) -> None:
        """As if another replica folded the figures."""
        until = datetime.now(UTC) + timedelta(hours=1)
        await store["leases"].replace_one({"_id": "fold"}, {"owner": random_id(), "until": until}, upsert=True)

    async def let_go(self, store: Mongo) -> None:
        await store["leases"].delete_one({"_id": "fold"})

    @staticmethod
    def _happened(n: int) -> list[Happened]:
        found = lives.detected(f"youth-{n}", date(2013, 4, 2), n)
        reached = lives.contacted(f"youth-{n}", date(2013, 4, 3))
        at = datetime(2013, 4, 3, tzinfo=UTC)
        return [Happened(f"d{n}", at, found), Happened(f"c{n}", at, reached)]


ALL: Final[tuple[type[Affairs], ...]] = (Referral, Catalogue, Tracking, Reporting)
