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
from shared.events.dead_letters import (
    CatalogueDeadLetterKept,
    CatalogueDeadLetterSettled,
    ReferralDeadLetterKept,
    ReferralDeadLetterSettled,
    TrackingDeadLetterKept,
    TrackingDeadLetterSettled,
)
from shared.events.referral import (
    ContactAttempted,
    DisputeOpened,
    DisputeSettled,
    DropoutDetected,
    DropoutDismissed,
    InterviewDone,
    ListTakenIn,
    YouthTransferred,
)
from shared.events.reporting import BilanPublished
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
    ListTakenIn,
    DisputeOpened,
    DisputeSettled,
    ReferralDeadLetterKept,
    ReferralDeadLetterSettled,
    NetworkRegistered,
    PlatformRegistered,
    SolutionPublished,
    SolutionUpdated,
    SolutionWithdrawn,
    PlacementOffered,
    PlacementExpired,
    CatalogueDeadLetterKept,
    CatalogueDeadLetterSettled,
    PlacementAccepted,
    PlacementDeclined,
    ContractSigned,
    TrainingStarted,
    ReviewDone,
    ContractEnded,
    TrackingDeadLetterKept,
    TrackingDeadLetterSettled,
    BilanPublished,
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
    "BilanPublished",
    "CatalogueDeadLetterKept",
    "CatalogueDeadLetterSettled",
    "ContactAttempted",
    "ContractEnded",
    "ContractSigned",
    "DisputeOpened",
    "DisputeSettled",
    "DropoutDetected",
    "DropoutDismissed",
    "Event",
    "InterviewDone",
    "ListTakenIn",
    "NetworkRegistered",
    "PlacementAccepted",
    "PlacementDeclined",
    "PlacementExpired",
    "PlacementOffered",
    "PlatformRegistered",
    "ReferralDeadLetterKept",
    "ReferralDeadLetterSettled",
    "ReviewDone",
    "SieiDropout",
    "SolutionPublished",
    "SolutionUpdated",
    "SolutionWithdrawn",
    "TrackingDeadLetterKept",
    "TrackingDeadLetterSettled",
    "TrainingStarted",
    "YouthEvent",
    "YouthTransferred",
]
