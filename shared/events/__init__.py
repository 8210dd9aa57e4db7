"""Every event on the bus: what it is, who emits it, on which topic. The first hop of an event's path.

The second is the table in `services/<service>/app.py`, the third the handler it names.
"""

from shared.events.base import Event, YouthEvent
from shared.events.catalogue import (
    NetworkRegistered,
    PlacementExpired,
    PlacementOffered,
    PlatformRegistered,
    SolutionPublished,
    SolutionUpdated,
    SolutionWithdrawn,
)
from shared.events.referral import (
    ContactAttempted,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    YouthTransferred,
)
from shared.events.siei import SieiDropout
from shared.events.tracking import (
    ContractEnded,
    ContractSigned,
    PlacementAccepted,
    PlacementDeclined,
    ReviewDone,
    TrainingStarted,
)

EVENTS: tuple[type[Event], ...] = (
    SieiDropout,
    DropoutDetected,
    DropoutDismissed,
    ContactAttempted,
    InterviewDone,
    YouthTransferred,
    NetworkRegistered,
    PlatformRegistered,
    SolutionPublished,
    SolutionUpdated,
    SolutionWithdrawn,
    PlacementOffered,
    PlacementExpired,
    PlacementAccepted,
    PlacementDeclined,
    ContractSigned,
    TrainingStarted,
    ReviewDone,
    ContractEnded,
)

TOPICS: tuple[str, ...] = (
    "siei.dropouts",
    "referral.events",
    "catalogue.events",
    "tracking.events",
    "reporting.events",
)

__all__ = [
    "EVENTS",
    "TOPICS",
    "ContactAttempted",
    "ContractEnded",
    "ContractSigned",
    "DropoutDetected",
    "DropoutDismissed",
    "Event",
    "InterviewDone",
    "NetworkRegistered",
    "PlacementAccepted",
    "PlacementDeclined",
    "PlacementExpired",
    "PlacementOffered",
    "PlatformRegistered",
    "ReviewDone",
    "SieiDropout",
    "SolutionPublished",
    "SolutionUpdated",
    "SolutionWithdrawn",
    "TrainingStarted",
    "YouthEvent",
    "YouthTransferred",
]
