"""Who answers for which place: the platforms, held in memory and read again when one was registered."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from services.referral import store
from services.referral.domain import Owner, Platform, assign, directory_of
from shared.consumer import NotYet
from shared.mongo import Mongo
from shared.reference import Reference
from shared.unit_of_work import Tx


class Directory:
    """The platforms by place. What it answers is as of the transaction that asks."""

    def __init__(self, reference: Reference, *, require_coverage: bool) -> None:
        self._reference = reference
        self._require_coverage = require_coverage
        self._version = -1
        self._by_id: Mapping[str, Platform] = {}
        self._by_place: Mapping[str, list[Platform]] = {}
        self._remembered = lru_cache(50_000)(self._owner)

    async def read(self, tx: Tx) -> None:
        """Read the directory again if it has changed; raises `NotYet` while it does not cover the country."""
        version = await store.directory_version(tx)
        if version != self._version:
            platforms = [platform async for platform in store.platforms(tx.mongo, tx)]
            self._by_id = {platform.platform_id: platform for platform in platforms}
            self._by_place = directory_of(platforms)
            self._version = version
            self._remembered.cache_clear()
        missing = self._uncovered({platform.departement for platform in self._by_id.values()})
        if missing:
            raise NotYet("directory_incomplete", f"no platform is known yet for département {missing[0]}")

    def owner(self, commune: str, departement: str, on: date) -> Owner:
        """The one platform and network that answer for a youth who lives there."""
        return self._remembered(commune, departement, on)

    def _owner(self, commune: str, departement: str, on: date) -> Owner:
        platform = assign(commune, departement, self._by_place)
        if platform is None:
            academie = self._reference.academie_of(departement, on)
            same = [each for each in self._by_id.values() if self._academie(each, on) == academie]
            platform = min(same or self._by_id.values(), key=lambda each: each.platform_id)
        return self.owner_of(platform, on)

    def owner_of(self, platform: Platform, on: date) -> Owner:
        """The ownership that a platform stands for on a day: its académie may have another code by then."""
        return Owner(platform.platform_id, platform.network_id, platform.departement, self._academie(platform, on))

    def platform(self, platform_id: str) -> Platform | None:
        """A platform by its identifier."""
        return self._by_id.get(platform_id)

    def _academie(self, platform: Platform, on: date) -> str:
        return self._reference.academie_of(platform.departement, on) or platform.academie

    async def missing(self, mongo: Mongo) -> str | None:
        """What readiness asks: which département nobody answers for."""
        uncovered = self._uncovered(set(await mongo["platforms"].distinct("departement")))
        return f"{len(uncovered)} départements have no platform yet, {uncovered[0]} among them" if uncovered else None

    def _uncovered(self, covered: set[str]) -> list[str]:
        if not covered:
            return sorted(self._reference.departements())
        return sorted(set(self._reference.departements()) - covered) if self._require_coverage else []
