"""Reporting: what it hears and what it says of its youth, what it answers."""

from fastapi import FastAPI

from services.reporting import api, projection, store
from services.reporting.answers import Answers
from services.reporting.handlers import Facts, FactsConsumer, Folding, LostLogs, Registrations
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
from shared.reference import load
from shared.service import Service

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
    service.attach(TOPICS, FactsConsumer(service.unit_of_work, FACTS, REGISTRATIONS, service.metrics))
    service.in_background(Folding(service.unit_of_work, settings.fold_every_s).run)
    lost_logs = LostLogs(service.mongo, service.bus, list(topics), settings.lost_logs_every_s)
    service.before_start(lost_logs.look)
    service.in_background(lost_logs.run)
    answers = Answers(service.mongo, service.bus, Units(load()), topics, clock)
    return service.app("reporting", [api.router(answers)])
