"""Bilans as a service: reading them, and what may be done to them. Every figure is `Answers.rows`'s."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import structlog

from services.reporting.answers import Answers
from services.reporting.bilans import domain, store
from services.reporting.bilans.content import (
    Bilan,
    Prepared,
    about,
    contents,
    frozen_bilan,
    naming,
    opened,
    position_of,
    seal,
    told,
    version_line,
)
from services.reporting.bilans.domain import ACADEMIE, PERIODS, Key, NotAllowed, Text, Version, written
from services.reporting.bilans.figures import Figures, figures, networks_of
from services.reporting.bilans.store import Kept
from services.reporting.bilans.tables import difference
from services.reporting.bilans.texts import clean, faults
from services.reporting.figures import Period, Unit
from services.reporting.history.cuts import Cut
from services.reporting.history.explanations import Explanation
from services.reporting.history.history import History
from services.reporting.objectives.objectives import Objectives
from services.reporting.readers import NATIONAL, PUBLIC, Reader
from services.reporting.units import suggestions
from shared.clock import Clock
from shared.events import BilanPublished
from shared.mongo import Mongo
from shared.problems import Problem
from shared.reference import Reference
from shared.unit_of_work import Tx

log = structlog.get_logger(__name__)

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_NAME: Final = 200


class Bilans:
    """The bilans of all académies, for whom `answers` reads. Every method may raise `Problem`."""

    def __init__(
        self,
        mongo: Mongo,
        answers: Answers,
        reference: Reference,
        objectives: Objectives,
        history: History,
        *,
        clock: Clock,
    ) -> None:
        self._mongo = mongo
        self._answers = answers
        self._reference = reference
        self._objectives = objectives
        self._history = history
        self._clock = clock

    def key(self, year: int, period: int, academie: str) -> Key:
        """The bilan meant: 404 for a year, a period or an académie that there is not, or that has not begun."""
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            raise Problem(404, "unknown_period", f"there is no bilan of {year}: give a year from 2000 to 2100")
        if not 1 <= period <= PERIODS:
            raise Problem(
                404,
                "unknown_period",
                f"there is no period {period}: a year has 1 (January, February) to {PERIODS} (November, December)",
            )
        key = Key(year, period, academie)
        there = {a.code: a.name for a in self._reference.academies_between(key.first, key.last)}
        if academie not in there:
            close = suggestions(academie, [there])
            hint = f"did you mean {', '.join(close)}?" if close else "GET /v1/indicators?by=academie lists all"
            raise Problem(404, "unknown_academie", f"{academie!r} is no code of an académie then: {hint}")
        if self._clock().date() < key.first:
            raise Problem(404, "period_not_begun", f"the period begins on {key.first}; there is nothing to report yet")
        return key

    async def read(self, key: Key, number: int | None = None, reader: Reader | None = None) -> Bilan:
        """A version, or the latest that the reader may see: staff of the académie all, others the frozen ones."""
        reader = reader or self._answers.reader
        insider = reader.sees_all_of(key.academie)
        there = await store.versions(self._mongo, key) or [Kept(Version(key))]
        seen = [kept for kept in there if insider or kept.version.state == "frozen"]
        if not seen:
            raise Problem(
                404, "not_published", f"no bilan of {key.first:%Y-%m} to {key.last:%Y-%m} is frozen yet; ask later"
            )
        kept = next((each for each in seen if number in (None, each.version.number)), None)
        if number is None:
            kept = seen[-1]
        if kept is None:
            known = ", ".join(str(each.version.number) for each in seen)
            raise Problem(404, "unknown_version", f"there is no version {number} of it; there is {known}")
        if kept.version.state == "frozen":
            bilan = frozen_bilan(kept, insider=insider)
        else:
            bilan = await self._draft(kept, there)
        bilan["label"] = bilan["figures"][0]["label"]
        academie = self._reference.academie(key.academie, key.last)
        bilan["kind"] = academie.kind if academie else "academie"
        bilan["versions"] = [version_line(each, insider=insider) for each in seen]
        bilan["editable"] = insider
        return bilan

    async def page(
        self,
        *,
        year: int | None = None,
        academie: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[list[Bilan], str | None]:
        """The versions that anything was done to and that the reader may see, without what is in them."""
        asked = {"year": year, "academie": academie, "state": state}
        query: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        reader = self._answers.reader
        if not reader.sees_everything:
            query["$or"] = [{"state": "frozen"}, *([{"academie": reader.academie}] if reader.academie else [])]
        found, following = await store.page(self._mongo, query, cursor, limit)
        return [
            {**naming(kept.version), **version_line(kept, insider=reader.sees_all_of(kept.version.key.academie))}
            for kept in found
        ], following

    async def write_text(self, tx: Tx, key: Key, unit: str, text: Text) -> Bilan:
        """Write the text of a network, or of the académie (`ACADEMIE`); a validated bilan becomes a draft again."""
        self._only_staff(key)
        fields = {"worked": clean(text.worked), "needs": clean(text.needs), "obstacles": clean(text.obstacles)}
        _refuse_faulty(fields)
        by = _name("by", text.by)
        await self._refuse_unknown_network(key, unit)
        kept = await self._latest(tx, key)
        before = kept.version.state
        version = _allowed(
            lambda: domain.write_text(
                kept.version, unit, Text(fields["worked"], fields["needs"], fields["obstacles"], by), tx.now
            )
        )
        await store.put(tx, replace(kept, version=version))
        return _done(version) | {"back_to_draft": before == "validated"}

    async def validate(self, tx: Tx, key: Key, by: str, role: str) -> Bilan:
        """Put a visa on the draft as it is."""
        self._only_staff(key)
        by, role = _name("by", by), _name("role", role)
        kept = await self._latest(tx, key)
        version = _allowed(lambda: domain.validate(kept.version, by, role, tx.now))
        await store.put(tx, replace(kept, version=version))
        return _done(version)

    async def prepare(self, key: Key) -> Prepared:
        """The figures to freeze a bilan with: read before the transaction, as they may take a while."""
        self._only_staff(key)
        there = await store.versions(self._mongo, key)
        staff, public, objective = await self._figures(key)
        previous = next((kept for kept in reversed(there) if kept.version.state == "frozen"), None)
        explanation = None
        if previous is not None and there[-1].version.state != "frozen":
            explanation = await self._explained(previous, staff)
        return Prepared(staff, public, objective, self._definitions(key), explanation)

    async def freeze(self, tx: Tx, key: Key, by: str, prepared: Prepared) -> Bilan:
        """Seal it with these figures, for good, and publish that it is."""
        self._only_staff(key)
        by = _name("by", by)
        kept = await self._latest(tx, key)
        version = _allowed(lambda: domain.freeze(kept.version, by, tx.now))
        staff = seal(version, prepared, prepared.staff, "staff")
        public = seal(version, prepared, prepared.public, "public")
        frozen = {"by": by, "at": tx.now, "as_of": prepared.staff.as_of}
        supersedes = kept.correction["of"] if kept.correction else None
        kept = replace(kept, version=version, staff=staff, public=public, frozen=frozen)
        if supersedes is not None:
            old = next(
                each for each in await store.versions(self._mongo, key, tx.session) if each.version.number == supersedes
            )
            changes = difference(opened(old.staff, key)["figures"], prepared.staff.units)
            public_changes = difference(opened(old.public, key)["figures"], prepared.public.units)
            kept = replace(
                kept,
                explanation={"changes": changes, **(prepared.explanation or {})},
                public_changes=public_changes,
            )
        await store.put(tx, kept)
        tx.emit(
            BilanPublished(
                academie=key.academie,
                year=key.year,
                period=key.period,
                version=version.number,
                hash=staff.hash,
                public_hash=public.hash,
                frozen_on=tx.now.date(),
                supersedes=supersedes,
            )
        )
        return _done(version) | {"hash": staff.hash, "public_hash": public.hash}

    async def correct(self, tx: Tx, key: Key, by: str, reason: str) -> Bilan:
        """Open the version that corrects the frozen one, as a draft beside it."""
        self._only_staff(key)
        by, reason = _name("by", by), clean(reason)
        _refuse_faulty({"reason": reason})
        kept = await self._latest(tx, key)
        version = _allowed(lambda: domain.correct(kept.version, by, reason, tx.now))
        correction = {"of": kept.version.number, "by": by, "reason": reason, "at": tx.now}
        await store.put(tx, Kept(version, correction=correction))
        return _done(version) | {"corrects": kept.version.number}

    def _only_staff(self, key: Key) -> None:
        if not self._answers.reader.sees_all_of(key.academie):
            detail = f"the staff of académie {key.academie} and national staff may do this"
            raise Problem(403, "not_your_academie", detail)

    async def _latest(self, tx: Tx, key: Key) -> Kept:
        there = await store.versions(self._mongo, key, tx.session)
        return there[-1] if there else Kept(Version(key))

    async def _refuse_unknown_network(self, key: Key, unit: str) -> None:
        if unit == ACADEMIE:
            return
        registered = await store.networks(self._mongo, key.academie)
        edition = await self._answers.edition()
        known = networks_of(edition, key.academie, registered)
        if unit not in known:
            close = suggestions(unit, [{code: registered.get(code, code) for code in known}])
            hint = (
                f"did you mean {', '.join(close)}?"
                if close
                else f"it has {', '.join(sorted(known)[:20]) or 'none yet'}"
            )
            raise Problem(404, "unknown_network", f"académie {key.academie} has no network {unit!r}: {hint}")

    async def _figures(self, key: Key) -> tuple[Figures, Figures, Mapping[str, Any] | None]:
        """As staff see them, as everybody does, and the académie's objective of the year; all of one moment."""
        registered = await store.networks(self._mongo, key.academie)
        objective = await self._objective(key)
        edition = await self._answers.edition()
        staff = figures(self._answers, edition, key, registered, NATIONAL)
        public = figures(self._answers, edition, key, registered, PUBLIC)
        return staff, public, objective

    async def _objective(self, key: Key) -> Mapping[str, Any] | None:
        try:
            line = await self._objectives.of(key.year, key.academie)
        except Problem:
            return None  # no objectives are set for a vice-rectorat
        if line["objective"] is None:
            return None
        return {"objective": line["objective"], "version": line["version"]}

    def _definitions(self, key: Key) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = msgspec.to_builtins(self._answers.definitions.at(key.last))
        return items

    async def _draft(self, kept: Kept, there: Sequence[Kept]) -> Bilan:
        """A version with the figures of now."""
        key = kept.version.key
        staff, _, objective = await self._figures(key)
        prepared = Prepared(staff, staff, objective, self._definitions(key), None)
        bilan = {
            **contents(kept.version, prepared, staff, "staff"),
            **about(kept, insider=True),
            "as_of": written(staff.as_of),
        }
        if kept.correction is not None:
            old = next(each for each in there if each.version.number == kept.correction["of"])
            bilan["correction"] |= {
                "changes": difference(opened(old.staff, key)["figures"], staff.units),
                **await self._explained_or_why_not(old, staff),
            }
        return bilan

    async def _explained_or_why_not(self, kept: Kept, now: Figures) -> Mapping[str, Any]:
        try:
            return await self._explained(kept, now)
        except Problem as problem:
            return {"events": None, "events_missing": {"code": problem.code, "detail": problem.detail}}

    async def _explained(self, old: Kept, now: Figures) -> Mapping[str, Any]:
        """Which events made the difference to a frozen version: by the positions in the log, or by the time when they
        were recorded, where the log was made anew since.
        """
        key = old.version.key
        frozen_as_of = old.frozen["as_of"] if old.frozen else None
        before = Cut(position_of(opened(old.staff, key)["position"]), had_at=frozen_as_of)
        after = Cut(now.position)
        units: list[Unit] = [("academie", key.academie)]
        units += [("network", unit["code"]) for unit in now.units if unit["unit"] != ACADEMIE]
        try:
            return told(await self._explain(before, after, units, key), "positions")
        except Problem as problem:
            if problem.code != "log_made_anew":
                raise
        before, after = Cut(recorded_until=frozen_as_of), Cut(recorded_until=now.as_of)
        return told(await self._explain(before, after, units, key), "time")

    async def _explain(self, before: Cut, after: Cut, units: Sequence[Unit], key: Key) -> Explanation:
        period = Period(key.year_first, key.last)
        return await self._history.explain(before, after, units, period, ("activity", "cohort"), late_until=key.last)


def _done(version: Version) -> Bilan:
    return {**naming(version), "state": version.state}


def _allowed(do: Callable[[], Version]) -> Version:
    try:
        return do()
    except NotAllowed as refused:
        raise Problem(409, refused.code, refused.detail) from None


def _refuse_faulty(fields: Mapping[str, str]) -> None:
    errors = list(faults(fields))
    if errors:
        places = ", ".join(f"{error['field']} ({error['message']})" for error in errors)
        looks = any(error["code"].startswith("looks_like") for error in errors)
        detail = f"mend these texts and send again: {places}"
        raise Problem(422, "identity_in_text" if looks else "bad_text", detail, errors=errors)


def _name(field: str, text: str) -> str:
    """Who did it, or as what: one line, never empty."""
    name = " ".join(text.split())
    if not name or len(name) > _NAME:
        raise Problem(
            422,
            "bad_text",
            f"`{field}` must be 1 to {_NAME} characters",
            errors=[{"in": "body", "field": field, "code": "bad_text"}],
        )
    _refuse_faulty({field: name})
    return name
