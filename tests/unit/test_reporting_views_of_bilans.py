"""What the pages of bilans and of the data's quality show, made of plain data."""

import re
from datetime import date
from typing import Any

from services.reporting.pages.bilan_views import calendar
from services.reporting.pages.quality_page import quality_view
from services.reporting.pages.site import Asked, texts
from services.reporting.pages.writing import Writing

ACADEMIES = {"10": "Lyon", "01": "Paris"}
TODAY = date(2013, 5, 20)


def line(period: int, academie: str, state: str, version: int = 1) -> dict[str, Any]:
    return {"year": 2013, "period": period, "academie": academie, "state": state, "version": version}


def shown(*, sees: frozenset[str], lines: list[dict[str, Any]]) -> dict[str, list[tuple[str, str | None]]]:
    view = calendar(lines, ACADEMIES, 2013, Asked("/bilans"), texts("fr"), today=TODAY, sees=sees)
    return {row["label"]: [(cell["shown"], cell["href"]) for cell in row["cells"]] for row in view["rows"]}


def test_staff_find_every_bilan_that_has_begun_by_its_latest_version() -> None:
    lines = [line(1, "10", "frozen"), line(1, "10", "draft", 2), line(2, "10", "validated")]
    rows = shown(sees=frozenset(ACADEMIES), lines=lines)
    assert list(rows) == ["Lyon", "Paris"]
    assert rows["Lyon"][0] == ("projet, version 2", "/bilans/2013/1/10")
    assert rows["Lyon"][1] == ("validé", "/bilans/2013/2/10")
    assert rows["Lyon"][2] == ("à écrire", "/bilans/2013/3/10")
    assert rows["Lyon"][3] == ("à venir", None)
    assert [href for _, href in rows["Paris"]] == [f"/bilans/2013/{n}/01" for n in (1, 2, 3)] + [None] * 3


def test_others_find_no_link_to_what_is_not_published() -> None:
    rows = shown(sees=frozenset(), lines=[line(1, "10", "frozen")])
    assert rows["Lyon"][:2] == [("figé", "/bilans/2013/1/10"), ("non publié", None)]
    assert {href for _, href in rows["Paris"]} == {None}


def source(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "source": name,
        "last_on": "2013-05-01",
        "last_campaign": "2013-04",
        "silence_days": 19,
        "silent": False,
        "rows": 100,
        "accepted": 60,
        "matched": 20,
        "disputed": 1,
        "repeated": 9,
        "rejected": {"under_16": 10},
        "rejected_total": 10,
        "warnings": {},
        "accepted_share": 0.6,
        "rejected_share": 0.1,
        "detected": 60,
        "dismissed": 6,
        "false_positive_rate": 0.1,
        **changes,
    }


def state(*sources: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "as_of": "2013-05-20T08:00:00+00:00",
        "from": None,
        "to": None,
        "lists_silent_after_days": 45,
        "topics": [{"topic": "referral.events", "last_event_time": None, "lag": None}],
        "sources": list(sources),
        "rejected": {"under_16": 10},
        "warnings": {},
        "disputes": {"opened": 3, "settled": 1, "open": 2, "oldest_open_on": "2013-05-01", "oldest_open_days": 19},
        "dead_letters": [],
        **changes,
    }


def view(found: dict[str, Any]) -> dict[str, Any]:
    return quality_view(found, texts("fr"), Writing("fr"))


def headlines(found: dict[str, Any]) -> list[str]:
    return [line["shown"] for line in view(found)["headlines"]]


def test_the_quality_page_counts_silent_sources_rejects_and_what_waits() -> None:
    never = source("AGRICULTURE", last_on=None, last_campaign=None, silence_days=None, silent=True, rows=0, rejected={})
    never |= {"rejected_total": 0, "rejected_share": None, "detected": 0, "false_positive_rate": None}
    letter = {"service": "referral", "code": "bad_json", "kept": 4, "settled": 1, "open": 3, "oldest_open_on": None}
    found = state(source("SCOLARITE"), never, dead_letters=[letter])
    assert headlines(found) == ["1", "10", "2", "3"]
    shown = view(found)
    rows = {row["label"]: row for row in shown["sources"]["rows"]}
    assert rows["Scolarité (second degré)"]["cells"]["last_on"] == "1er mai 2013"
    assert rows["Enseignement agricole"]["cells"]["state"] == "silencieuse"
    assert set(rows["Enseignement agricole"]["nothing"]) >= {"last_on", "rejected_share", "false_positive_rate"}
    assert shown["rejects"]["rows"][0]["label"] == "moins de 16 ans"
    assert shown["rejects"]["rows"][0]["cells"] == {"SCOLARITE": 10, "AGRICULTURE": 0, "total": 10}
    assert shown["letters"]["rows"][0]["cells"]["open"] == 3


def test_a_total_with_a_hidden_part_is_hidden() -> None:
    hidden = source("AGRICULTURE", rejected={"under_16": None}, rejected_total=None, rejected_share=None)
    found = state(source("SCOLARITE"), hidden, rejected={"under_16": None})
    assert headlines(found)[1] == "n.c."
    row = view(found)["sources"]["rows"][1]
    assert row["cells"]["rejected_share"] is None
    assert "rejected_share" not in row["nothing"]
    assert not re.search(r"\d", view(found)["headlines"][1]["note"])
