"""Tracking, put together: what it reads from the bus and who deals with it, and its HTTP side."""

from fastapi import FastAPI

from services.tracking import handlers, store
from services.tracking.api import routers
from services.tracking.settings import TrackingSettings
from shared.clock import Clock, utc_now
from shared.consumer import Table
from shared.events import DropoutDetected, DropoutDismissed, PlacementExpired, PlacementOffered
from shared.service import Service

TOPICS = ("referral.events", "catalogue.events")
TABLE: Table = {
    DropoutDetected: handlers.on_dropout_detected,
    DropoutDismissed: handlers.on_dropout_dismissed,
    PlacementOffered: handlers.on_placement_offered,
    PlacementExpired: handlers.on_placement_expired,
}


def build(settings: TrackingSettings, *, clock: Clock = utc_now) -> Service:
    """The service with its subscriptions, not started."""
    service = Service(settings, collections=store.COLLECTIONS, indexes=store.INDEXES, clock=clock)
    service.consume(TOPICS, TABLE)
    return service


def app(settings: TrackingSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """The ASGI application; its lifespan starts and stops everything."""
    service = build(settings or TrackingSettings(), clock=clock)
    return service.app("tracking", routers(store.Reader(service.mongo)))
