"""Reporting: what it hears and what it says of its youth, what it answers."""

from fastapi import FastAPI

from services.reporting import api, generations, projection, projection_api, store
from services.reporting.answers import Answers
from services.reporting.batches import Registrations
from services.reporting.bilans import api as bilans_api
from services.reporting.bilans import store as bilans_store
from services.reporting.bilans.bilans import Bilans
from services.reporting.board import Board
from services.reporting.builds import Builds
from services.reporting.definitions import registry
from services.reporting.front import Front, at_hand
from services.reporting.generations import Entry, Generation
from services.reporting.handlers import Facts, FactsConsumer, live
from services.reporting.history import api as history_api
from services.reporting.history import store as history_store
from services.reporting.history.history import History
from services.reporting.history.questions import Questions
from services.reporting.objectives import api as objectives_api
from services.reporting.objectives import store as objectives_store
from services.reporting.objectives import targets
from services.reporting.objectives.objectives import Objectives
from services.reporting.objectives.store import Versions
from services.reporting.open_data import api as open_data_api
from services.reporting.open_data import publications
from services.reporting.open_data.publications import Publications
from services.reporting.pages.assemble import assemble
from services.reporting.pages.kept import KeptPages
from services.reporting.quality import api as quality_api
from services.reporting.quality import notes
from services.reporting.quality.notes import Notes
from services.reporting.quality.quality import Quality
from services.reporting.quality.silence import Silences
from services.reporting.readers import reader
from services.reporting.rebuild import BuildConsumer
from services.reporting.settings import ReportingSettings
from services.reporting.units import Units
from services.reporting.upkeep import Folding, LostLogs
from shared.clock import Clock, utc_now
from shared.events import (
    CatalogueDeadLetterKept,
    CatalogueDeadLetterSettled,
    ContactAttempted,
    ContractEnded,
    ContractSigned,
    DisputeOpened,
    DisputeSettled,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    ListTakenIn,
    NetworkRegistered,
    PlacementAccepted,
    PlacementDeclined,
    PlacementOffered,
    PlatformRegistered,
    ReferralDeadLetterKept,
    ReferralDeadLetterSettled,
    ReviewDone,
    TrackingDeadLetterKept,
    TrackingDeadLetterSettled,
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
    PlacementAccepted: projection.verified,
    PlacementDeclined: projection.verified,
    ReviewDone: projection.verified,
}

_YOUTHS_OF_A_BUILD = 100_000

REGISTRATIONS: Registrations = {NetworkRegistered: "networks", PlatformRegistered: "platforms"}

NOTES: Notes = {
    ListTakenIn: notes.list_taken_in,
    DisputeOpened: notes.dispute_opened,
    DisputeSettled: notes.dispute_settled,
    ReferralDeadLetterKept: notes.dead_letter_kept,
    ReferralDeadLetterSettled: notes.dead_letter_settled,
    CatalogueDeadLetterKept: notes.dead_letter_kept,
    CatalogueDeadLetterSettled: notes.dead_letter_settled,
    TrackingDeadLetterKept: notes.dead_letter_kept,
    TrackingDeadLetterSettled: notes.dead_letter_settled,
}


def app(settings: ReportingSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """Reporting's ASGI application."""
    settings = settings or ReportingSettings()
    collections = (
        *store.COLLECTIONS,
        *objectives_store.COLLECTIONS,
        *publications.COLLECTIONS,
        *bilans_store.COLLECTIONS,
        *history_store.COLLECTIONS,
    )
    indexes = (*store.INDEXES, *objectives_store.INDEXES, *bilans_store.INDEXES, *history_store.INDEXES)
    service = Service(settings, collections=collections, indexes=indexes, clock=clock)
    topics = {settings.topic(name): name for name in TOPICS}

    async def prepare_generations() -> None:
        await generations.prepare(service.mongo)
        await store.refuse_older(service.mongo)

    service.before_start(prepare_generations)
    consumer = FactsConsumer(
        service.unit_of_work,
        FACTS,
        REGISTRATIONS,
        service.metrics,
        live(),
        youths=settings.facts_in_memory,
        notes=NOTES,
    )
    service.attach(TOPICS, consumer, ahead=settings.batches_ahead)

    async def keep_settled() -> None:
        await consumer.keep_settled(settings.settle_every_s)

    service.in_background(keep_settled)
    service.in_background(Folding(service.unit_of_work, settings.fold_every_s).run)
    lost_logs = LostLogs(service.unit_of_work, service.bus.log, list(topics), settings.lost_logs_every_s)
    service.before_start(lost_logs.look)
    service.in_background(lost_logs.run)
    builds = Builds(service.unit_of_work, service.bus.log, list(topics), lambda number: _consumer_of(service, number))
    service.in_background(builds.run)
    board = Board(service.mongo)
    service.before_start(board.load)
    service.in_background(board.run)
    answers = Answers(
        board,
        service.bus.log,
        Units(load()),
        topics,
        definitions=registry(),
        clock=clock,
        answer_age_s=settings.answer_age_s,
        lapse_days=settings.lapse_days,
        small_cells_age_s=settings.small_cells_age_s,
        reader=reader(settings.reader),
    )
    quality = Quality(
        service.mongo,
        answers,
        settings.service,
        clock=clock,
        silent_after_days=settings.source_silence_days,
        age_s=10 * settings.answer_age_s,
    )
    service.in_background(Silences(quality, service.metrics.registry).run)
    objectives = Objectives(Versions(service.mongo, settings.answer_age_s), answers, load(), targets.read())
    published = Publications(service.mongo, answers, clock=clock, age_s=settings.open_data_age_s)
    history = History(service.mongo, answers, service.bus.log, settings, topics, clock=clock)
    bilans = Bilans(service.mongo, answers, load(), objectives, history, clock=clock)
    questions = Questions(history, answers, service.mongo, clock=clock)
    pages = assemble(
        service,
        answers,
        objectives,
        bilans,
        quality,
        questions=questions,
        reference=load(),
        clock=clock,
        age_s=settings.answer_age_s,
    )
    answers.past = history.edition
    service.in_background(history.run)
    application = service.app(
        "reporting",
        [
            api.router(answers),
            quality_api.router(quality),
            projection_api.router(builds),
            objectives_api.router(objectives),
            open_data_api.router(published),
            bilans_api.router(bilans),
            history_api.router(questions),
            *pages.routers,
        ],
    )
    service.answer_at_once(at_hand(answers))
    service.answer_at_once(pages.kept.at_hand)
    application.add_middleware(Front, answers=answers)
    application.add_middleware(KeptPages, pages=pages.kept)
    return application


def _consumer_of(service: Service, generation: Generation) -> BuildConsumer:
    """A consumer that builds a generation; what it counts is not the live one's."""

    async def into(_tx: Tx) -> Entry:
        return Entry(generation, slot=-1, number=0)  # of no slot: nobody follows it while it is being built

    return BuildConsumer(
        service.unit_of_work, FACTS, REGISTRATIONS, Metrics("build"), into, youths=_YOUTHS_OF_A_BUILD, notes=NOTES
    )
