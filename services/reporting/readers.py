"""Who reads: the one place that says for whose eyes an answer is.

Until there is a sign-in, a service answers one kind of reader, by its setting `FOQUALE_READER`.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["national", "academie", "public"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes an answer is for: national staff, the staff of one académie (its code), or everybody."""

    kind: Kind
    academie: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether the reader works for a FOQUALE network, a rectorat or the ministry."""
        return self.kind != "public"

    def sees_all_of(self, academie: str) -> bool:
        """Whether small counts of this académie and of its units are shown, and the youths behind its figures."""
        return self.kind == "national" or (self.kind == "academie" and self.academie == academie)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing at all is hidden."""
        return self.kind == "national"


NATIONAL: Final = Reader("national")
PUBLIC: Final = Reader("public")


def reader(written: str) -> Reader:
    """The reader that a setting names: `national`, `public`, or `academie:` and a code; ValueError for another."""
    if written == "national":
        return NATIONAL
    if written == "public":
        return PUBLIC
    kind, _, code = written.partition(":")
    if kind == "academie" and code:
        return Reader("academie", code)
    raise ValueError(f"{written!r} is no reader: `national`, `public` or `academie:` and the code of one")
