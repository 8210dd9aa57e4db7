"""The definitions of all indicators, as data: the one register that answers, exports and pages take texts from."""

from services.reporting.definitions.registry import (
    Break,
    Definition,
    DefinitionError,
    Lang,
    Registry,
    Text,
    Unit,
    registry,
)

__all__ = ["Break", "Definition", "DefinitionError", "Lang", "Registry", "Text", "Unit", "registry"]
