"""Reporting: what it hears and what it says of its youth, what it answers."""

from fastapi import FastAPI

from services.reporting import api, generations, projection, projection_api, store
from services.reporting.answers import Answers
from services.reporting.builds import Builds
from services.reporting.generations import Generation
from services.reporting.handlers import Facts, FactsConsumer, Folding, LostLogs, Registrations, live
from services.reporting.rebuild import BuildConsumer
from services.reporting.settings import ReportingSettings
from services.reporting.units import Units
from shared.clock import Clock, utc_now
from shared.events import (
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    NetworkRegistered,
    PlacementOffered,
    PlatformRegistered,
    TrainingStarted,
    YouthTransferred,
)
from shared.observability import Metrics
from shared.reference import load
from shared.service import Service
from shared.unit_of_work import Tx

TOPICS = ("referral.events", "catalogue.events", "tracking.events")

FACTS: Facts = {
    DropoutDetected: projection.detected,
    DropoutDismissed: projection.dismissed,
    YouthTransferred: projection.transferred,
    ContactAttempted: projection.attempted,
    InterviewDone: projection.interviewed,
    PlacementOffered: projection.offered,
    ContractSigned: projection.contracted,
    TrainingStarted: projection.started,
    ContractEnded: projection.ended,
}

REGISTRATIONS: Registrations = {NetworkRegistered: "networks", PlatformRegistered: "platforms"}


def app(settings: ReportingSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """Reporting's ASGI application."""
    settings = settings or ReportingSettings()
    service = Service(settings, collections=store.COLLECTIONS, indexes=store.INDEXES, clock=clock)
    topics = {settings.topic(name): name for name in TOPICS}

    async def prepare_generations() -> None:
        await generations.prepare(service.mongo)

    service.before_start(prepare_generations)
    service.attach(TOPICS, FactsConsumer(service.unit_of_work, FACTS, REGISTRATIONS, service.metrics, live()))
    service.in_background(Folding(service.unit_of_work, settings.fold_every_s).run)
    lost_logs = LostLogs(service.mongo, service.bus.log, list(topics), settings.lost_logs_every_s)
    service.before_start(lost_logs.look)
    service.in_background(lost_logs.run)
    builds = Builds(service.unit_of_work, service.bus.log, list(topics), lambda number: _consumer_of(service, number))
    service.in_background(builds.run)
    answers = Answers(service.mongo, service.bus.log, Units(load()), topics, clock)
    return service.app("reporting", [api.router(answers), projection_api.router(builds)])


def _consumer_of(service: Service, generation: Generation) -> BuildConsumer:
    """A consumer that builds a generation; what it counts is not the live one's."""

    async def into(_tx: Tx) -> Generation:
        return generation

    return BuildConsumer(service.unit_of_work, FACTS, REGISTRATIONS, Metrics("build"), into)
