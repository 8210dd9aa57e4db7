"""The register of indicators, definition version 1: what each counts, in words, and the codes used everywhere else.

A definition holds from a day on; another way to count is another version beside it, never an edit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from shared.events.base import Kind

DEFINITION_VERSION: Final = 1
VALID_FROM: Final = date(2013, 1, 1)

Step = Literal[
    "detected",
    "attempted",
    "reached",
    "interviewed",
    "offered",
    "contracted",
    "returned",
    "civic_service",
    "broken",
]
DelayName = Literal[
    "detected_to_attempted", "detected_to_interviewed", "interviewed_to_offered", "offered_to_contracted"
]
View = Literal["activity", "cohort"]

STEPS: Final[tuple[Step, ...]] = get_args(Step)
DISMISSED: Final = "dismissed"
NOT_KNOWN: Final = "not_known"
ACTIVITY_CODES: Final[tuple[str, ...]] = (*STEPS, DISMISSED)
COHORT_STEPS: Final[tuple[Step, ...]] = STEPS[1:]

RETURN_KINDS: Final[frozenset[Kind]] = frozenset({"school", "innovative_structure", "apprenticeship", "trainee"})
BREAK_REASONS: Final = frozenset({"dropped_out", "lost"})
REACHED_OUTCOMES: Final = frozenset({"reached", "declined"})

DELAYS: Final[Mapping[DelayName, tuple[Step, Step]]] = {
    "detected_to_attempted": ("detected", "attempted"),
    "detected_to_interviewed": ("detected", "interviewed"),
    "interviewed_to_offered": ("interviewed", "offered"),
    "offered_to_contracted": ("offered", "contracted"),
}


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator: its names, its formula in words, where it comes from, since when it is counted this way.

    `views`: activity counts by the day of the event within the period, cohort by the day of detection.
    """

    code: str
    name_fr: str
    name_en: str
    formula_fr: str
    formula_en: str
    source: str
    views: tuple[View, ...] = ("activity", "cohort")
    unit: Literal["youths", "days"] = "youths"
    version: int = DEFINITION_VERSION
    valid_from: date = VALID_FROM


_CIRCULAR = "circulaire n° 2013-035 du 29-3-2013"
_DELAY_FR = (
    "Médiane (moyenne des deux valeurs centrales) et 90e centile (rang le plus proche), en jours entiers, un écart "
    "négatif compté 0, sur les jeunes de la cohorte qui ont les deux jours : "
)
_DELAY_EN = (
    "Median (mean of the middle two) and 90th percentile (nearest rank), in whole days, negative as 0, over the "
    "cohort's youths who have both days: "
)


def _delay(code: DelayName, fr: tuple[str, str], en: tuple[str, str], source: str) -> Indicator:
    return Indicator(
        code=code,
        name_fr=fr[0],
        name_en=en[0],
        formula_fr=_DELAY_FR + fr[1],
        formula_en=_DELAY_EN + en[1],
        source=source,
        views=("cohort",),
        unit="days",
    )


INDICATORS: Final[tuple[Indicator, ...]] = (
    Indicator(
        "detected",
        "Repérés",
        "Detected",
        "Jeunes dont le premier repérage (liste SIEI ou venue spontanée) est ce jour-là ; leur nombre dans la période "
        "est aussi la taille (`size`) de la cohorte.",
        "Youths whose first detection (SIEI list or own coming) is on that day; their number in the period is also the "
        "cohort's `size`.",
        f"{_CIRCULAR}, § 1 (listes du SIEI) ; code de l'éducation, L. 313-7 et D. 313-59",
    ),
    Indicator(
        "attempted",
        "Contact tenté",
        "Contact attempted",
        "Jeunes dont la première tentative de contact, quelle qu'en soit l'issue, est ce jour-là.",
        "Youths whose first contact attempt, whatever its outcome, is on that day.",
        f"{_CIRCULAR}, § 3 (contact personnalisé dans le cadre de la plateforme)",
    ),
    Indicator(
        "reached",
        "Joints",
        "Reached",
        "Jeunes joints pour la première fois ce jour-là : première tentative aboutie (joint, ou joint et refuse) ou "
        "premier entretien, selon ce qui vient d'abord.",
        "Youths reached for the first time on that day: first attempt with outcome reached or declined, or first "
        "interview, whichever came first.",
        f"{_CIRCULAR}, § 3 (contact personnalisé dans le cadre de la plateforme)",
    ),
    Indicator(
        "interviewed",
        "Entretien réalisé",
        "Interviewed",
        "Jeunes dont le premier entretien de positionnement (bilan) est ce jour-là.",
        "Youths whose first positioning interview is on that day.",
        f"{_CIRCULAR}, § 3 (bilan par les conseillers d'orientation-psychologues et la MLDS)",
    ),
    Indicator(
        "offered",
        "Solution proposée",
        "Offered a solution",
        "Jeunes à qui une première place dans une solution est proposée ce jour-là.",
        "Youths to whom a first place in a solution is offered on that day.",
        f"{_CIRCULAR}, § 3 (une solution de retour en formation lui est proposée)",
    ),
    Indicator(
        "contracted",
        "Pris en charge",
        "Taken in charge (contract signed)",
        "Jeunes dont le premier contrat « Formation Qualification Emploi » est signé ce jour-là.",
        "Youths whose first contract FQE is signed on that day.",
        f"{_CIRCULAR}, § 3 (contrat signé entre le tuteur, le jeune et sa famille)",
    ),
    Indicator(
        "returned",
        "Retour en formation",
        "Returned to training",
        "Jeunes dont la première entrée effective en formation (établissement scolaire, structure innovante, "
        "apprentissage, stagiaire de la formation professionnelle) est ce jour-là.",
        "Youths whose first effective start in training (school, innovative structure, apprenticeship, regional "
        "trainee) is on that day.",
        f"{_CIRCULAR}, introduction (20 000 retours en formation) et § 3 (solutions)",
    ),
    Indicator(
        "civic_service",
        "Service civique",
        "Civic service",
        "Jeunes dont la première mission de service civique commence ce jour-là ; comptés à part des retours en "
        "formation.",
        "Youths whose first civic service mission starts on that day; counted apart from returns to training.",
        f"{_CIRCULAR}, § 3 (partenariat avec l'Agence du service civique) et annexe 4",
    ),
    Indicator(
        "broken",
        "Rupture",
        "Broken off",
        "Jeunes dont un contrat est pour la première fois rompu (abandon, perdu de vue) ce jour-là.",
        "Youths a contract of whom ends for the first time by dropping out or being lost on that day.",
        f"{_CIRCULAR}, § 3 (bilans de situation réguliers) et annexe 2",
    ),
    Indicator(
        DISMISSED,
        "Écartés (faux positifs)",
        "Dismissed (false positives)",
        "Jeunes dont le dernier classement sans suite est ce jour-là et n'est pas suivi d'un nouveau repérage ; aussi "
        "par base d'origine. Ils ne comptent dans aucun autre indicateur. Dans la cohorte : ceux repérés dans la "
        "période, en plus de sa taille.",
        "Youths whose last dismissal is on that day and is followed by no later detection; also by upstream base. They "
        "count in no other indicator. In the cohort: those detected in the period, beside its size.",
        "Code de l'éducation, L. 313-7 ; circulaire n° 2011-028 du 9-2-2011 (vérification des listes)",
    ),
    Indicator(
        NOT_KNOWN,
        "Situation inconnue",
        "Not known",
        "Jeunes repérés dans la période et jamais joints à ce jour : taille de la cohorte moins `reached`.",
        "Youths detected in the period and never reached so far: the cohort's size less `reached`.",
        f"{_CIRCULAR}, § 3 (suivi régulier) ; règle du projet",
        views=("cohort",),
    ),
    _delay(
        "detected_to_attempted",
        ("Délai repérage – contact tenté", "du premier repérage à la première tentative de contact."),
        ("Delay from detection to attempt", "from first detection to first contact attempt."),
        f"Code de l'éducation, L. 313-7 (solutions « sans délai ») ; {_CIRCULAR}, § 3",
    ),
    _delay(
        "detected_to_interviewed",
        ("Délai repérage – entretien", "du premier repérage au premier entretien."),
        ("Delay from detection to interview", "from first detection to first interview."),
        f"{_CIRCULAR}, § 3 (bilan après un contact personnalisé)",
    ),
    _delay(
        "interviewed_to_offered",
        ("Délai entretien – proposition", "du premier entretien à la première proposition."),
        ("Delay from interview to offer", "from first interview to first offer."),
        f"{_CIRCULAR}, § 3 (une solution à l'issue du positionnement)",
    ),
    _delay(
        "offered_to_contracted",
        ("Délai proposition – prise en charge", "de la première proposition à la première signature de contrat."),
        ("Delay from offer to contract", "from first offer to first contract signed."),
        f"{_CIRCULAR}, § 3 (contrat)",
    ),
)
