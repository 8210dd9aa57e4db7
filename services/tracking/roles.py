"""The tutor's role as a code: what a client writes as text stays here, because no free text crosses the bus."""

import re
import unicodedata

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KNOWN = {
    "teacher": "teacher",
    "enseignant": "teacher",
    "enseignante": "teacher",
    "professeur": "teacher",
    "professeure": "teacher",
    "prof": "teacher",
    "cpe": "cpe",
    "conseiller principal d education": "cpe",
    "conseillere principale d education": "cpe",
    "cop": "counsellor",
    "psyen": "counsellor",
    "psy en": "counsellor",
    "conseiller d orientation psychologue": "counsellor",
    "conseillere d orientation psychologue": "counsellor",
    "mlds": "mlds",
    "coordonnateur mlds": "mlds",
    "coordonnatrice mlds": "mlds",
    "coordinateur mlds": "mlds",
    "coordinatrice mlds": "mlds",
    "referent decrochage": "dropout_referent",
    "referente decrochage": "dropout_referent",
    "referent decrochage scolaire": "dropout_referent",
    "chef d etablissement": "head",
    "proviseur": "head",
    "proviseure": "head",
    "principal": "head",
    "principale": "head",
    "tutor": "tutor",
    "tuteur": "tutor",
    "tutrice": "tutor",
}


def role_code(role: str) -> str:
    """`role` itself where it is a code already (snake case), the code of a known French title, else `other`."""
    folded = unicodedata.normalize("NFKD", role).encode("ascii", "ignore").decode().lower()
    words = " ".join(re.findall(r"[a-z0-9]+", folded))
    if words in _KNOWN:
        return _KNOWN[words]
    return role if _CODE.fullmatch(role) else "other"
