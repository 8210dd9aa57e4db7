"""`foquale init`: topics, collections and indexes; what a deployment needs before its services start."""

import asyncio

import typer

from deploy.cli.failures import Failure
from services.catalogue.app import app as catalogue
from services.referral.app import app as referral
from services.reporting.app import app as reporting
from services.tracking.app import app as tracking
from shared.bus import BusError, ensure_topics
from shared.events import TOPICS
from shared.mongo import StoreError
from shared.observability import describe
from shared.replica_set import form_replica_set
from shared.service import Service
from shared.settings import ServiceSettings


async def run(*, replica_set: bool = False) -> None:
    """Create what is missing; nothing that is there is touched. `replica_set`: MongoDB's replica set as well."""
    settings = ServiceSettings(service="init", port=0)
    if replica_set:
        await _form_replica_set(settings.mongo_url)
    names = [settings.topic(topic) for topic in TOPICS]
    try:
        await ensure_topics(settings, names)
    except (BusError, OSError) as error:
        raise Failure(
            f"Kafka does not answer at {settings.kafka_bootstrap} ({error}); FOQUALE_KAFKA_BOOTSTRAP says where it is."
        ) from error
    typer.echo(f"topics: {', '.join(names)}")
    for build in (referral, catalogue, tracking, reporting):
        service: Service = build().state.service
        try:
            await service.prepare_store()
        except StoreError as error:
            raise _no_mongo(error) from error
        finally:
            await service.mongo.close()
        typer.echo(f"database: {service.settings.database}")


async def _form_replica_set(url: str) -> None:
    try:
        formed = await asyncio.to_thread(form_replica_set, url)
    except ValueError as error:
        raise Failure(f"FOQUALE_MONGO_URL: {error}") from error
    except StoreError as error:
        raise _no_mongo(error) from error
    typer.echo(f"replica set: {'formed' if formed else 'there already'}")


def _no_mongo(error: StoreError) -> Failure:
    return Failure(f"MongoDB does not answer as it should ({describe(error)}); FOQUALE_MONGO_URL says where it is.")
