"""The names of what is measured, what each is to reach, and the table of both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """One figure: at least (or at most) what, None where it is only told; and what it is."""

    what: str
    least: float | None = None
    most: float | None = None

    def target(self) -> str:
        """As it is printed."""
        if self.least is not None:
            return f">= {short(self.least)}"
        return "" if self.most is None else f"<= {short(self.most)}"

    def met(self, value: float) -> str:
        """yes, no, or nothing where there is no target."""
        if self.least is None and self.most is None:
            return ""
        enough = self.least is None or value >= self.least
        return "yes" if enough and (self.most is None or value <= self.most) else "no"


GOALS: Final[Mapping[str, Goal]] = {
    "projection_events_per_s": Goal("records applied a second, catching up youth by youth, figures exact and durable"),
    "projection_live_order_events_per_s": Goal("the same in the order of time"),
    "scaling_2x": Goal("twice the records take so many times as long", most=2.1),
    "projection_vs_naive": Goal("beside one message, one update, one commit at a time", least=250),
    "projection_vs_raw": Goal("beside FastStream reading batches and doing nothing", least=0.5),
    "projection_vs_quix": Goal("beside Quix Streams with changelog topics", least=4),
    "projection_vs_faust": Goal("beside Faust, an event at a time", least=25),
    "projection_vs_faust_batches": Goal("beside Faust in batches"),
    "projection_vs_postgres": Goal("beside a confluent-kafka loop into PostgreSQL", least=2),
    "projection_vs_mongo_on_read": Goal("beside raw events in MongoDB, aggregated once", least=2.5),
    "naive_events_per_s": Goal("the plain way"),
    "raw_events_per_s": Goal("FastStream doing nothing, records left as they are"),
    "raw_default_events_per_s": Goal("FastStream doing nothing, its own decoding into pydantic models"),
    "quix_events_per_s": Goal("Quix Streams"),
    "faust_events_per_s": Goal("Faust, an event at a time"),
    "faust_batches_events_per_s": Goal("Faust in batches"),
    "postgres_events_per_s": Goal("PostgreSQL"),
    "mongo_on_read_events_per_s": Goal("MongoDB, aggregated on read"),
    "projection_rss_mb": Goal("reporting's peak of memory at 1,000,000 youths, MB", most=600),
    "projection_rss_after_queries_mb": Goal("the same after the readers of below"),
    "projection_million_events_per_s": Goal("records applied a second on the way there"),
    "million_facts": Goal("youths of that run"),
    "million_events": Goal("records of that run"),
    "query_p50_ms": Goal("an indicator query under 50 readers, median"),
    "query_p99_ms": Goal("the same, 99th percentile", most=10),
    "query_rps": Goal("such queries answered a second"),
    "query_server_p99_ms": Goal("from the request, read and parsed, to its answer, on the server, 99th percentile"),
    "empty_rps": Goal("an empty FastAPI endpoint's answers a second under the same readers"),
    "query_vs_empty": Goal("the one over the other", least=0.5),
    "query_at_ease_p50_ms": Goal("the same where each reader asks twenty times a second, median"),
    "query_at_ease_p99_ms": Goal("the same, 99th percentile"),
    "query_at_ease_rps": Goal("such queries answered a second"),
    "empty_at_ease_p99_ms": Goal("99th percentile of the empty endpoint under readers at ease: the machine's own"),
    "query_304_rps": Goal("such queries a second by readers who know the answer (304)"),
    "query_moving_p99_ms": Goal("99th percentile while 500 events a second come in"),
    "query_moving_rps": Goal("queries answered a second meanwhile"),
    "page_p50_ms": Goal("a page of figures, fifty readers leafing through sixteen of them: median"),
    "page_p99_ms": Goal("the same, 99th percentile", most=10),
    "page_rps": Goal("such pages a second"),
    "page_server_p99_ms": Goal("from the request to its answer on the server, 99th percentile"),
    "page_at_ease_p99_ms": Goal("99th percentile where each reader asks for a page twenty times a second"),
    "page_moving_p99_ms": Goal("99th percentile while 500 events a second come in"),
    "latency_p50_ms": Goal("from an event's publication to the answer that counts it, median"),
    "latency_p99_ms": Goal("the same, 99th percentile, at 500 events a second", most=300),
    "import_rows_per_s": Goal("rows of a SIEI list a second, from upload until reporting counts them"),
    "import_vs_naive": Goal("beside a row a request", least=20),
    "import_naive_rows_per_s": Goal("a row a request"),
    "offers_per_s": Goal("offers of seats a second, 50 clients over 100 solutions"),
    "offers_vs_lock": Goal("beside a lock on each solution", least=5),
    "startup_s": Goal("from a service's exec to ready, the slowest of the four", most=2),
    "startup_referral_s": Goal("referral"),
    "startup_catalogue_s": Goal("catalogue"),
    "startup_tracking_s": Goal("tracking"),
    "startup_reporting_s": Goal("reporting"),
}


def table(values: Mapping[str, float], missing: Mapping[str, str]) -> str:
    """As a table of Markdown: a row for each figure, and one for each that is missing."""
    rows = [("figure", "value", "target", "met", "what it is")]
    names = [*GOALS, *sorted(set(values) - set(GOALS))]
    for name in names:
        goal = GOALS.get(name, Goal(""))
        if name in values:
            value = values[name]
            rows.append((name, short(value), goal.target(), goal.met(value), goal.what))
        elif name in missing or goal.target():
            why = " ".join(missing.get(name, "not measured in this run").split())[:120]
            rows.append((name, "not measured", goal.target(), "", f"{goal.what}: {why}"))
    return as_markdown(rows)


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table; the first has the columns' names."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write_table(page: Path, text: str, name: str = "table") -> None:
    """Put the table between the page's two marks of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise ValueError(f"{page} has no place for the table ({begin} ... {end})")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def short(value: float) -> str:
    """Three figures, at least."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
