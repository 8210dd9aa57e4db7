"""Referral: identity, lists, matching, assignment, contacts, interviews. The composition root.

The table event -> handler is the second hop of an event's path; the third is the handler.
"""

import hashlib

from fastapi import FastAPI

from services.referral import api, siei_api, store
from services.referral.directory import Directory
from services.referral.handlers import Handlers
from services.referral.imports import Imports
from services.referral.intake import Intake
from services.referral.privacy import may_keep
from services.referral.settings import ReferralSettings
from shared.clock import Clock, random_id, utc_now
from shared.consumer import Received, Table, each, mark_of
from shared.events import ContractEnded, ContractSigned, NetworkRegistered, PlatformRegistered, SieiDropout
from shared.reference import Reference, load
from shared.service import Service


class ReferenceTables:
    """What eligibility asks of the reference data."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def knows_departement(self, code: str) -> bool:
        """Whether a département has, or had, this code."""
        return self._reference.knows_departement(code)

    def knows_commune(self, code: str) -> bool:
        """Whether the commune is in our list."""
        return self._reference.knows_commune(code)

    def knows_school(self, uai: str) -> bool:
        """Whether the school is in our list."""
        return self._reference.knows_school(uai)


def siei_table(handlers: Handlers) -> Table:
    """Events of `siei.dropouts` -> handler."""
    return {SieiDropout: handlers.on_siei_dropout}


def table(handlers: Handlers) -> Table:
    """Events of the other services -> handler."""
    return {
        NetworkRegistered: handlers.on_network_registered,
        PlatformRegistered: handlers.on_platform_registered,
        ContractSigned: each(handlers.on_contract_signed),
        ContractEnded: each(handlers.on_contract_ended),
    }


def row_mark(event: Received[SieiDropout]) -> str:
    """Upstream bases may use an identifier again for another row: the data are part of what makes an event the same."""
    return f"{mark_of(event)}|{hashlib.sha256(event.envelope.data).hexdigest()[:32]}"


def app(settings: ReferralSettings | None = None, clock: Clock = utc_now) -> FastAPI:
    """The ASGI application; its lifespan starts and stops everything."""
    settings = settings or ReferralSettings()
    service = Service(settings, collections=store.COLLECTIONS, indexes=store.INDEXES, clock=clock)
    reference = load()
    directory = Directory(reference, require_coverage=settings.require_coverage)
    handlers = Handlers(settings, ReferenceTables(reference), directory, Intake(directory, random_id))
    service.consume(["catalogue.events", "tracking.events"], table(handlers))
    service.consume(
        ["siei.dropouts"], siei_table(handlers), mark=row_mark, may_keep=may_keep(clock), group_suffix=".siei"
    )
    service.add_check("directory", lambda: directory.missing(service.mongo))
    lists = Imports(service.unit_of_work, handlers)
    return service.app(
        "referral",
        [
            siei_api.events_router(handlers),
            siei_api.lists_router(service.unit_of_work, lists),
            api.router(service.mongo, handlers),
        ],
    )
