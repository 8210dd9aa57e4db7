"""Referral running in a test, with a small directory of platforms."""

from datetime import UTC, date, datetime
from typing import Any

import httpx

from services.referral.eligibility import Row
from services.referral.settings import ReferralSettings
from shared.bus import ensure_topics
from shared.envelope import Envelope
from shared.events import EVENTS, TOPICS, Event, PlatformRegistered, YouthEvent
from shared.mongo import Mongo
from shared.reference import load
from tests.backends import Kafka
from tests.support.probe import eventually, produce
from tests.support.siei import as_csv


def platform(departement: str, platform_id: str, *communes: str, at: int = 1) -> Envelope:
    """A platform, registered on that day of January 2013."""
    academie = load().academie_of(departement, date(2013, 3, 31))
    assert academie is not None
    data = PlatformRegistered(
        platform_id=platform_id,
        name=platform_id,
        departement=departement,
        academie=academie,
        communes=communes,
        default_network_id=f"FOQ-{departement}",
        registered_at=datetime(2013, 1, at, tzinfo=UTC),
        version=at,
    )
    return event(data, f"{platform_id}-{at}", source="/foquale/catalogue")


def event(data: Event, event_id: str, *, source: str) -> Envelope:
    """An event as another service would send it."""
    return Envelope(
        id=event_id,
        type=data.TYPE,
        source=source,
        subject=data.subject(),
        time=datetime(2013, 1, 1, tzinfo=UTC),
        data=data.model_dump_json().encode(),
    )


OF_YOUTHS = frozenset(model.TYPE for model in EVENTS if issubclass(model, YouthEvent))


def is_about_a_youth(event: Envelope) -> bool:
    """Whether it tells of a youth; the others count rows, disputes and dead letters."""
    return event.type in OF_YOUTHS


PLATFORMS = (
    platform("01", "PSAD-01"),
    platform("01", "PSAD-AMBERIEU", "01004"),
    platform("2A", "PSAD-2A"),
    platform("13", "PSAD-13"),
)


async def prepare(mongo_url: str, kafka: Kafka, db_name: str, topic_prefix: str, **changes: Any) -> ReferralSettings:
    """Settings of a referral of this test's own, its topics, and the directory on the bus."""
    settings = ReferralSettings(
        port=0,
        mongo_url=mongo_url,
        mongo_prefix=f"{db_name}_",
        kafka_bootstrap=kafka.bootstrap,
        kafka_idempotence=kafka.supports_idempotence,
        kafka_session_ms=2_000,
        kafka_partitions=3,
        topic_prefix=topic_prefix,
        require_coverage=False,
        rows_per_transaction=50,
        **changes,
    )
    await ensure_topics(settings, [settings.topic(topic) for topic in TOPICS])
    await produce(settings.kafka_bootstrap, settings.topic("catalogue.events"), *PLATFORMS)
    return settings


async def know_platforms(settings: ReferralSettings) -> None:
    """Wait until referral has heard of the directory."""
    mongo = Mongo(settings.mongo_url, settings.database)

    async def known() -> bool:
        return await mongo["platforms"].count_documents({}) == len(PLATFORMS)

    await eventually(known, what="the directory")
    await mongo.close()


async def send(client: httpx.AsyncClient, *rows: dict[str, str]) -> dict[str, Any]:
    """Send a list; its counts."""
    answer = await client.post("/v1/siei/imports", content=as_csv(rows), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 202, answer.text
    return dict((await client.get(f"/v1/siei/imports/{answer.json()['import_id']}")).json())


async def youths(client: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    """All youths of the worklist that the filters leave."""
    found: list[dict[str, Any]] = []
    following: dict[str, str] = {}
    while True:
        page = (await client.get("/v1/youths", params={"limit": "40", **filters, **following})).json()
        found += page["items"]
        if page["next"] is None:
            return found
        following = {"cursor": page["next"]}


def row_of(youth: str, on: date) -> Row:
    """A row that names the youth on that day."""
    return Row(
        campaign=f"{on:%Y-%m}",
        on=on,
        source="SCOLARITE",
        source_row="1",
        family_name="MARTIN",
        given_names=youth,
        birth_date=date(1996, 1, 1),
        identity=f"martin {youth} 1996-01-01",
        sex="F",
        commune="01004",
        departement="01",
        last_school=None,
        left_on=None,
    )
