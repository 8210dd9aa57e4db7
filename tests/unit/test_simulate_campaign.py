"""What is simulated is realistic, consistent, reproducible, and adds up to what is expected of it."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.run import SHIPPED
from deploy.simulate import simulate
from services.referral.eligibility import Rejected, judge
from services.tracking.domain.contract import Signatures, Terms, Tutor
from services.tracking.domain.rules import contract_failures
from shared.identifiers import age_on, ine_form, uai_problem
from shared.reference import Reference, load
from shared.siei_csv import COLUMNS, BrokenRow, RawRow, SieiReader

YOUTHS = 4_000
LISTS = ("siei-2013-03.csv", "siei-2013-10.csv")
DIPLOMAS = frozenset({"CAP", "BEP", "BP", "MC", "BAC_PRO", "BAC_TECHNO", "BAC_GENERAL"})


@dataclass(frozen=True)
class Simulation:
    folder: Path
    expected: dict[str, Any]
    work: list[dict[str, Any]]

    def rows(self, name: str) -> list[RawRow | BrokenRow]:
        reader = SieiReader()
        return [*reader.feed((self.folder / name).read_bytes()), *reader.close()]

    def good_rows(self) -> Iterator[dict[str, str]]:
        for name in LISTS:
            for row in self.rows(name):
                if isinstance(row, RawRow):
                    yield row.values


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load()


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory, reference: Reference) -> Simulation:
    folder = tmp_path_factory.mktemp("simulation")
    simulate(YOUTHS, 42, folder, reference)
    work = [json.loads(line) for line in (folder / "work.jsonl").read_text(encoding="utf-8").splitlines()]
    return Simulation(folder, json.loads((folder / "expected.json").read_text(encoding="utf-8")), work)


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _simulate_elsewhere(folder: Path, seed: int, hash_seed: str) -> dict[str, str]:
    """In another process, whose sets and dictionaries of text are in another order."""
    script = (
        "import sys; from pathlib import Path; from deploy.simulate import simulate; "
        "from shared.reference import load; simulate(600, int(sys.argv[1]), Path(sys.argv[2]), load())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", script, str(seed), str(folder)], check=True, env=environment)
    return _hashes(folder)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one = _simulate_elsewhere(tmp_path / "one", 5, "1")
    assert sorted(one) == ["expected.json", "siei-2013-03.csv", "siei-2013-10.csv", "work.jsonl"]
    assert _simulate_elsewhere(tmp_path / "two", 5, "2") == one
    other = _simulate_elsewhere(tmp_path / "three", 6, "1")
    assert not set(one.values()) & set(other.values())


def test_the_shipped_campaign_is_what_the_simulator_makes(tmp_path: Path, reference: Reference) -> None:
    shipped = json.loads((SHIPPED / "expected.json").read_text(encoding="utf-8"))
    simulate(shipped["youths"], shipped["seed"], tmp_path, reference)
    made = _hashes(tmp_path)
    assert made == {name: digest for name, digest in _hashes(SHIPPED).items() if name in made}
    command = f"foquale simulate --youths {shipped['youths']} --seed {shipped['seed']} --out"
    assert command in (SHIPPED / "ORIGIN.md").read_text(encoding="utf-8")


def test_few_youths_are_simulated_as_well(tmp_path: Path, reference: Reference) -> None:
    for youths in (0, 1, 7):
        simulate(youths, 1, tmp_path / str(youths), reference)
        expected = json.loads((tmp_path / str(youths) / "expected.json").read_text())
        listed = sum(figures["rows"] for figures in expected["lists"].values())
        assert listed >= youths
        assert (tmp_path / str(youths) / LISTS[0]).read_text().startswith("campaign;source;")


def test_memory_grows_by_little_per_youth(tmp_path: Path) -> None:
    script = (
        "import sys, resource; from pathlib import Path; from deploy.simulate import simulate; "
        "from shared.reference import load; simulate(int(sys.argv[1]), 1, Path(sys.argv[2]), load()); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak(youths: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", script, str(youths), str(tmp_path / str(youths))],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(done.stdout) * 1024

    assert peak(16_000) - peak(4_000) < 12_000 * 1_500


def test_the_lists_have_the_columns_of_the_interface(simulation: Simulation) -> None:
    for name in LISTS:
        header = (simulation.folder / name).read_text(encoding="utf-8").split("\n", 1)[0]
        assert header == ";".join(COLUMNS)


class _Matcher:
    """The rules of identity, once more and as plainly as can be, to count a list with."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._seen: set[str] = set()
        self._youths: list[dict[str, Any]] = []
        self._by_ine: dict[str, dict[str, Any]] = {}
        self._by_identity: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def knows_departement(self, code: str) -> bool:
        return self._reference.knows_departement(code)

    def knows_commune(self, code: str) -> bool:
        return self._reference.commune(code) is not None

    def knows_school(self, uai: str) -> bool:
        return self._reference.school(uai) is not None

    def outcome(self, values: dict[str, str], warnings: Counter[str]) -> str:
        row = judge(values, self, excluding=DIPLOMAS, today=date(2013, 12, 31))
        if isinstance(row, Rejected):
            return row.code
        if row.key in self._seen:
            return "repeated"
        self._seen.add(row.key)
        warnings.update(row.warnings)
        known = self._by_ine.get(row.ine or "")
        if known is not None:
            return "matched" if known["born"] == row.birth_date else "disputed"
        alike = self._by_identity[row.identity]
        if not alike:
            youth = {"born": row.birth_date, "ine": row.ine, "form": row.ine_form}
            alike.append(youth)
            if row.ine:
                self._by_ine[row.ine] = youth
            return "accepted"
        if len(alike) > 1 or (row.ine and alike[0]["ine"] and alike[0]["form"] == row.ine_form):
            return "disputed"
        if row.ine and not alike[0]["ine"]:
            alike[0] |= {"ine": row.ine, "form": row.ine_form}
            self._by_ine[row.ine] = alike[0]
        return "matched"


def test_the_rules_give_what_was_meant_for_every_row(simulation: Simulation, reference: Reference) -> None:
    matcher = _Matcher(reference)
    for name in LISTS:
        outcomes: Counter[str] = Counter()
        warnings: Counter[str] = Counter()
        rows = simulation.rows(name)
        for row in rows:
            outcomes["malformed" if isinstance(row, BrokenRow) else matcher.outcome(row.values, warnings)] += 1
        expected = simulation.expected["lists"][name[5:12]]
        rejected = {
            code: n for code, n in outcomes.items() if code not in ("accepted", "matched", "disputed", "repeated")
        }
        assert expected["rows"] == len(rows)
        assert {name: outcomes[name] for name in ("accepted", "matched", "disputed", "repeated")} == {
            name: expected[name] for name in ("accepted", "matched", "disputed", "repeated")
        }
        assert rejected == expected["rejected"]
        assert dict(warnings) == expected["warnings"]


def test_every_reason_to_reject_and_every_kind_of_row_occurs(simulation: Simulation) -> None:
    lists = simulation.expected["lists"].values()
    reasons: Counter[str] = Counter()
    for figures in lists:
        reasons.update(figures["rejected"])
    assert set(reasons) == {
        "under_16",
        "malformed",
        "over_25",
        "has_diploma",
        "re_enrolled",
        "unknown_school",
        "unknown_commune",
        "bad_dates",
    }
    for outcome in ("accepted", "matched", "disputed", "repeated"):
        assert sum(figures[outcome] for figures in lists) >= 2, outcome
    assert simulation.expected["work"]["register"] >= 2


def test_the_people_are_as_the_published_figures_say(simulation: Simulation) -> None:
    rows = list(simulation.good_rows())
    ages = Counter(
        age_on(date.fromisoformat(row["birth_date"]), date(2013, 3 if row["campaign"] == "2013-03" else 10, 30))
        for row in rows
        if len(row["birth_date"]) == 10 and row["birth_date"][4] == "-" and row["birth_date"][5:] != "02-30"
    )

    def share(count: int) -> float:
        return count / len(rows)

    assert share(sum(ages[age] for age in (16, 17, 18))) == pytest.approx(0.57, abs=0.04)
    assert share(sum(row["sex"] == "F" for row in rows)) == pytest.approx(0.47, abs=0.03)
    assert 0.03 <= share(sum(not row["ine"] for row in rows)) <= 0.07
    assert share(sum(row["followed_by_mission_locale"] == "true" for row in rows)) == pytest.approx(0.24, abs=0.04)
    assert share(sum(row["left_on"][5:7] in ("06", "07", "08", "09") for row in rows)) == pytest.approx(0.60, abs=0.05)
    assert share(sum(uai_problem(row["last_school"]) == "wrong_key" for row in rows)) == pytest.approx(0.003, abs=0.002)
    assert {row["source"] for row in rows} == {
        "SCOLARITE",
        "AGRICULTURE",
        "APPRENTISSAGE",
        "MISSION_LOCALE",
        "ETABLISSEMENT",
    }
    forms = Counter(ine_form(row["ine"], row["campaign"]) for row in rows if row["ine"])
    assert forms["bea"] > forms["apprenticeship"] > 0
    assert forms[None] < len(rows) * 0.01


def test_every_academie_of_2013_has_youths(simulation: Simulation, reference: Reference) -> None:
    figures = simulation.expected["indicators"]
    academies = {academie.code for academie in reference.academies(date(2013, 10, 31), "academie")}
    assert len(academies) == 30
    assert academies <= set(figures["academie"])
    for view in ("activity", "cohort"):
        names = [name for name, value in figures["national"]["FR"][view].items() if isinstance(value, int)]
        for name in names:
            total = sum(unit[view][name] for unit in figures["academie"].values())
            assert total == figures["national"]["FR"][view][name], (view, name)


def test_the_funnel_is_that_of_2013(simulation: Simulation) -> None:
    cohort = simulation.expected["indicators"]["national"]["FR"]["cohort"]
    back = cohort["returned"] + cohort["civic_service"]
    assert cohort["interviewed"] / cohort["reached"] == pytest.approx(0.58, abs=0.05)
    assert cohort["contracted"] / cohort["interviewed"] == pytest.approx(0.34, abs=0.05)
    assert back / cohort["contracted"] == pytest.approx(0.68, abs=0.08)
    assert back / cohort["reached"] == pytest.approx(0.13, abs=0.03)
    assert cohort["civic_service"] / back == pytest.approx(0.13, abs=0.06)
    assert 0 < cohort["broken"] < cohort["contracted"] * 0.3
    listed = sum(figures["accepted"] for figures in simulation.expected["lists"].values())
    assert simulation.expected["work"]["dismissal"] / listed == pytest.approx(0.36, abs=0.04)


def _by_youth(simulation: Simulation) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in simulation.work:
        found[json.dumps(line["youth"])].append(line)
    return found


def test_work_is_in_order_of_day_and_about_rows_of_the_lists(simulation: Simulation) -> None:
    days = [line["on"] for line in simulation.work]
    assert days == sorted(days)
    rows = {(row["campaign"], row["source"], row["source_row"]) for row in simulation.good_rows()}
    for line in simulation.work:
        youth = line["youth"]
        assert "spontaneous" in youth or (youth["campaign"], youth["source"], youth["source_row"]) in rows
    counted = Counter(line["do"] for line in simulation.work)
    assert counted == simulation.expected["work"]


@pytest.mark.parametrize("seed", [2024, 2030])
def test_no_youth_ever_has_two_contracts_at_once(tmp_path: Path, reference: Reference, seed: int) -> None:
    simulate(1_500, seed, tmp_path, reference)
    running: Counter[str] = Counter()
    for text in (tmp_path / "work.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        youth = json.dumps(line["youth"])
        running[youth] += (line["do"] == "contract") - (line["do"] == "end")
        assert running[youth] in (0, 1), line


def test_each_youths_work_follows_from_what_was_done_before(simulation: Simulation) -> None:
    needed = {
        "offer": "interview",
        "acceptance": "offer",
        "refusal": "offer",
        "contract": "acceptance",
        "start": "contract",
        "review": "start",
        "end": "contract",
    }
    for lines in _by_youth(simulation).values():
        done: set[tuple[str, int]] = set()
        running = 0
        for line in lines:
            offer = line.get("offer", 0)
            before = needed.get(line["do"])
            if before is not None:
                assert (before, 0 if before == "interview" else offer) in done, line
            if line["do"] not in ("contact", "interview", "review", "dismissal"):
                assert (line["do"], offer) not in done, line
            assert line["do"] not in ("start", "review") or ("end", offer) not in done
            done.add((line["do"], offer))
            running += (line["do"] == "contract") - (line["do"] == "end")
            assert running in (0, 1), lines


def test_no_session_is_offered_more_often_than_it_has_places(simulation: Simulation, reference: Reference) -> None:
    places = {session.session_id: session.places for s in reference.solutions() for session in s.sessions}
    offered = Counter(line["body"]["session_id"] for line in simulation.work if line["do"] == "offer")
    assert offered
    assert all(number <= places[session_id] for session_id, number in offered.items())


def test_every_contract_fulfils_the_rules(simulation: Simulation, reference: Reference) -> None:
    kinds = {solution.solution_id: solution.kind for solution in reference.solutions()}
    born: dict[tuple[str, ...], str] = {
        (row["campaign"], row["source"], row["source_row"]): row["birth_date"] for row in simulation.good_rows()
    }
    seen: Counter[str] = Counter()
    for lines in _by_youth(simulation).values():
        offers = {line["offer"]: line["body"]["solution_id"] for line in lines if line["do"] == "offer"}
        registered = next((line["body"]["birth_date"] for line in lines if line["do"] == "register"), None)
        for line in (line for line in lines if line["do"] == "contract"):
            kind = kinds[offers[line["offer"]]]
            birth = registered or born[tuple(line["youth"].values())]
            assert contract_failures(_terms(line), kind, birth[:7]) == (), line
            seen[kind] += 1
            seen["minor"] += "guardian" in line["body"]["signatures"]
            seen["month of majority"] += "adult" in line["body"]
    assert all(seen[kind] for kind in ("school", "civic_service", "social_clause", "minor", "month of majority")), seen


def _terms(line: dict[str, Any]) -> Terms:
    body = line["body"]
    return Terms(
        on=date.fromisoformat(line["on"]),
        starts_on=date.fromisoformat(body["starts_on"]),
        ends_on=date.fromisoformat(body["ends_on"]),
        tutor=Tutor(**body["tutor"]),
        signatures=Signatures(**{who: date.fromisoformat(day) for who, day in body["signatures"].items()}),
        hours_per_week=body.get("hours_per_week"),
        hours=body.get("hours"),
        adult=body.get("adult"),
        formula=body.get("formula"),
    )


def test_some_youths_of_the_first_list_come_again_in_the_second(simulation: Simulation) -> None:
    second = simulation.expected["lists"]["2013-10"]
    assert second["matched"] > second["accepted"] * 0.03
    dismissed_before = {
        json.dumps(line["youth"]) for line in simulation.work if line["do"] == "dismissal" and line["on"] < "2013-10-31"
    }
    worked_on_later = {json.dumps(line["youth"]) for line in simulation.work if line["on"] > "2013-10-31"}
    assert dismissed_before & worked_on_later, "nobody was opened again"
