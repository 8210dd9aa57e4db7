"""`foquale init`: topics, collections and indexes; what a deployment needs before its services start."""

import typer

from deploy.cli.failures import Failure
from services.catalogue.app import app as catalogue
from services.referral.app import app as referral
from services.reporting.app import app as reporting
from services.tracking.app import app as tracking
from shared.bus import BusError, ensure_topics
from shared.events import TOPICS
from shared.mongo import StoreError
from shared.service import Service
from shared.settings import ServiceSettings


async def run() -> None:
    """Create what is missing; nothing that is there is touched."""
    settings = ServiceSettings(service="init", port=0)
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
            raise Failure("MongoDB does not answer; FOQUALE_MONGO_URL says where it is.") from error
        finally:
            await service.mongo.close()
        typer.echo(f"database: {service.settings.database}")
