"""The bench's own load and count, held against the plain oracle, reporting's projection and what our relay writes."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from services.reporting.app import FACTS
from services.reporting.projection import contributions, join_all, leaf_of
from shared.envelope import Record, from_record, to_headers
from shared.events import EVENTS, YouthEvent
from tests.bench import costs, oracle, report
from tests.bench.events import TOPICS, Event, Lives
from tests.bench.million import quantile
from tests.support.oracle import Happened, indicators

_YOUTHS = 150


def _records(lives: Lives, order: str) -> list[Event]:
    return list(lives.in_order_of_lives() if order == "lives" else lives.in_order_of_time())


def _happened(events: list[Event]) -> Iterator[Happened]:
    """The events as everybody else reads them; each must be of its topic and about its key."""
    models = {model.TYPE: model for model in EVENTS}
    for number, event in enumerate(events):
        record = Record(TOPICS[event.topic], 0, number, event.key.encode(), event.value, event.headers)
        envelope = from_record(record)
        data = models[envelope.type].model_validate_json(envelope.data, strict=False)
        assert isinstance(data, YouthEvent)
        assert (data.TOPIC, data.youth_id, envelope.subject) == (record.topic, event.key, event.key)
        yield Happened(envelope.id, envelope.time, data)


@pytest.mark.parametrize("length", ["long", "short"])
@pytest.mark.parametrize("order", ["lives", "time"])
def test_the_count_made_with_the_load_is_the_plain_oracles(order: str, length: str) -> None:
    lives = Lives(_YOUTHS, seed=7, long=length == "long")
    happened = list(_happened(_records(lives, order)))
    for first, last in oracle.PERIODS:
        counted = oracle.rows(lives.truth, first, last)
        plain = {unit: oracle.common(row) for unit, row in indicators(happened, first, last).items()}
        assert {unit: row for unit, row in counted.items() if row != oracle.NOBODY} == {
            unit: row for unit, row in plain.items() if row != oracle.NOBODY
        }


def test_every_figure_is_what_the_projection_says_of_the_events() -> None:
    lives = Lives(_YOUTHS, seed=8)
    told: dict[str, list[Happened]] = {}
    for happened in _happened(_records(lives, "time")):
        told.setdefault(happened.event.youth_id, []).append(happened)
    sums: Counter[oracle.Figure] = Counter()
    for life in told.values():
        known = [h for h in life if type(h.event) in FACTS]
        fact = join_all(FACTS[type(h.event)](h.event, h.time, h.id) for h in known)
        leaf = leaf_of(fact)
        assert leaf is not None
        for day, measure in contributions(fact):
            sums[leaf.academie, leaf.departement, leaf.network_id, day.isoformat(), measure] += 1
    oracle.assert_figures(sums, lives.truth, "the projection")
    some = next(figure for figure in sums if figure[4] == "detected")
    with pytest.raises(oracle.Wrong, match="the projection: 1 of"):
        oracle.assert_figures(sums + Counter({some: 1}), lives.truth, "the projection")


def test_the_load_is_doubled_and_out_of_order_here_and_there_and_the_same_for_a_seed() -> None:
    events = _records(Lives(_YOUTHS, seed=9), "lives")
    assert events == _records(Lives(_YOUTHS, seed=9), "lives")
    ids = Counter(dict(event.headers)["ce_id"] for event in events)
    assert 0.02 < len(events) / len(ids) - 1 < 0.08
    assert set(ids.values()) == {1, 2}
    times: dict[str, list[bytes]] = {}
    for event in events:
        times.setdefault(event.key, []).append(dict(event.headers)["ce_time"])
    assert any(of_youth != sorted(of_youth) for of_youth in times.values())


def test_records_have_the_headers_that_our_relay_writes() -> None:
    for event in _records(Lives(5, seed=1), "lives"):
        record = Record(TOPICS[event.topic], 0, 0, event.key.encode(), event.value, event.headers)
        written = to_headers(from_record(record))
        assert [name for name, _ in event.headers] == [*written, "correlation_id"]
        assert {name: text for name, text in event.headers if name != "correlation_id"} == {
            name: text.encode() for name, text in written.items()
        }


def test_one_day_beyond_all_lives_counts_nobody() -> None:
    lives = Lives(20, seed=3)
    assert len(_records(lives, "lives")) > 20
    day = date(2020, 1, 1)
    assert set(map(str, oracle.rows(lives.truth, day, day).values())) == {str(oracle.NOBODY)}


def test_the_table_tells_what_is_met_what_is_missed_and_what_is_missing(tmp_path: Path) -> None:
    told = report.table({"projection_vs_naive": 251.4, "query_p99_ms": 12.34, "more": 1234567.0}, {"startup_s": "a\nb"})
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines()]
    rows = {row[0]: row[1:4] for row in cells}
    assert rows["projection_vs_naive"] == ["251", ">= 250", "yes"]
    assert rows["query_p99_ms"] == ["12.3", "<= 10.0", "no"]
    assert rows["more"] == ["1,234,567", "", ""]
    assert rows["startup_s"] == ["not measured", "<= 2", ""]
    assert "a b" in told
    assert len({len(line) for line in told.splitlines()}) == 1

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n")
    report.write_table(page, told)
    assert page.read_text() == f"before\n<!-- table: begin -->\n{told}\n<!-- table: end -->\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no place for the table"):
        report.write_table(page, told)


def test_a_cost_is_that_of_all_its_rounds_and_stands_beside_the_first() -> None:
    once = costs.mean([costs.Cost(6_000, 2.0, 0.06, 100.0), costs.Cost(6_000, 4.0, 0.12, 90.0)])
    assert once == costs.Cost(6_000, 3.0, 0.09, 100.0)
    told = costs.as_table("replicas", {1: once, 2: costs.Cost(9_000, 3.0, 0.09, 1_234.0)})
    _, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines()]
    assert rows == [
        ["1", "6,000", "2,000", "1.00", "15.0", "100"],
        ["2", "9,000", "3,000", "1.50", "10.0", "1,234"],
    ]


def test_a_quantile_of_buckets_lies_evenly_within_its_bucket() -> None:
    within = {0.001: 50.0, 0.005: 90.0, 0.01: 100.0, math.inf: 100.0}
    assert quantile(within, 0.25) == pytest.approx(0.0005)
    assert quantile(within, 0.5) == pytest.approx(0.001)
    assert quantile(within, 0.7) == pytest.approx(0.003)
    assert quantile(within, 0.99) == pytest.approx(0.0095)
    assert quantile({0.01: 1.0, math.inf: 100.0}, 0.99) == pytest.approx(0.01)  # above the last bound nothing is known
