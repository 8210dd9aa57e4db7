"""Puts the pages together: one site, its routers, what is kept, and who follows the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from fastapi import APIRouter

from services.reporting.answers import Answers
from services.reporting.bilans.bilans import Bilans
from services.reporting.history.questions import Questions
from services.reporting.objectives.objectives import Objectives
from services.reporting.objectives.store import OBJECTIVES
from services.reporting.pages import bilan_pages, follow, lineage_page, objective_pages, quality_page, router
from services.reporting.pages.figures import FiguresPages
from services.reporting.pages.follow import Followers
from services.reporting.pages.kept import Pages, State
from services.reporting.pages.site import Site
from services.reporting.quality.quality import Quality
from shared.clock import Clock
from shared.mongo import Mongo
from shared.reference import Reference
from shared.service import Service

_OBJECTIVES_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Assembled:
    """What the application takes in: routers, and the kept pages for the middleware in front."""

    routers: Sequence[APIRouter]
    kept: Pages


def assemble(
    service: Service,
    answers: Answers,
    objectives: Objectives,
    bilans: Bilans,
    quality: Quality,
    *,
    questions: Questions,
    reference: Reference,
    clock: Clock,
    age_s: float,
) -> Assembled:
    """All pages. `age_s`: as long as an answer's edition is given again."""
    site = Site(answers.reader)
    state = _States(answers, service.mongo, 0 if age_s == 0 else _OBJECTIVES_EVERY_S)
    kept = Pages(site, state, age_s=age_s)
    followers = Followers(answers, service.ending)
    service.in_background(followers.run)
    routers = [
        router.router(site, kept, FiguresPages(site, answers, objectives, reference, share_s=0.5 if age_s else 0)),
        router.static(site),
        follow.router(followers),
        objective_pages.router(site, objectives, objectives.latest_year),
        bilan_pages.router(site, bilans, reference, objectives.latest_year, clock=clock),
        quality_page.router(site, quality),
        lineage_page.router(site, answers, questions),
    ]
    return Assembled(routers, kept)


class _States:
    """What the kept pages are of: figures, positions and day of the edition, and how many versions objectives have."""

    def __init__(self, answers: Answers, mongo: Mongo, every_s: float) -> None:
        self._answers = answers
        self._mongo = mongo
        self._every_s = every_s
        self._versions = 0
        self._counted_at = float("-inf")

    async def __call__(self) -> State:
        if monotonic() >= self._counted_at + self._every_s:
            self._counted_at = monotonic()
            self._versions = await self._mongo[OBJECTIVES].estimated_document_count()
        edition = await self._answers.edition()
        return edition.moves, edition.sources, edition.as_of.date(), self._versions
