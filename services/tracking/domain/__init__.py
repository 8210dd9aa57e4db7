"""Tracking's rules, pure: no clock, no identifier made here, no store, no framework.

`placement` is what becomes of an offer, `contract` what becomes of a contract FQE, `rules` what a contract must fulfil.
A transition returns the new state, or `Refused` when the state does not allow it, or `Broken` when the request itself
breaks rules.
"""

from services.tracking.domain.contract import Contract, Review, Signatures, Terms, Tutor, sign
from services.tracking.domain.outcome import Broken, Failure, Refused
from services.tracking.domain.placement import Dismissal, EarlyExpiry, Offer, Placement, expire, hear_of
from services.tracking.domain.rules import contract_failures

__all__ = [
    "Broken",
    "Contract",
    "Dismissal",
    "EarlyExpiry",
    "Failure",
    "Offer",
    "Placement",
    "Refused",
    "Review",
    "Signatures",
    "Terms",
    "Tutor",
    "contract_failures",
    "expire",
    "hear_of",
    "sign",
]
