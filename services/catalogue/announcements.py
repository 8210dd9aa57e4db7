"""The events that say how a network, a platform or a solution is now."""

from typing import TypeVar

from services.catalogue.domain import Network, Platform, Solution
from shared.events import NetworkRegistered, PlatformRegistered
from shared.events.catalogue import SolutionDescribed, SolutionSession

Described = TypeVar("Described", bound=SolutionDescribed)


def network_registered(network: Network) -> NetworkRegistered:
    """Without its head: no name leaves this service."""
    return NetworkRegistered(
        network_id=network.network_id,
        name=network.name,
        academie=network.academie,
        platform_ids=network.platform_ids,
        version=network.version,
    )


def platform_registered(platform: Platform) -> PlatformRegistered:
    """Whole: referral assigns youths by it."""
    return PlatformRegistered(
        platform_id=platform.platform_id,
        name=platform.name,
        departement=platform.departement,
        academie=platform.academie,
        communes=platform.communes,
        default_network_id=platform.default_network_id,
        registered_at=platform.registered_at,
        version=platform.version,
    )


def solution_described(event: type[Described], solution: Solution, academie: str) -> Described:
    """Published or updated; `academie` is that of the solution's network."""
    return event(
        solution_id=solution.solution_id,
        title=solution.title,
        kind=solution.kind,
        track=solution.track,
        network_id=solution.network_id,
        academie=academie,
        uai=solution.uai,
        commune=solution.commune,
        sector=solution.sector,
        lon=solution.lon,
        lat=solution.lat,
        sessions=tuple(
            SolutionSession(session_id=s.session_id, starts_on=s.starts_on, ends_on=s.ends_on, places=s.places)
            for s in solution.sessions
        ),
        version=solution.version,
    )
