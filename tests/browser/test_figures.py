"""The pages say what the interface says, in whatever order, language or browser they are read."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.france import WITHOUT_OBJECTIVE, France
from tests.browser.sheets import number, places, table
from tests.browser.visits import visiting

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

YEAR = {"from": "2013-01-01", "to": "2013-12-31"}
ACTIVITY = ("detected", "reached", "interviewed", "contracted", "returned", "civic_service")
TABLE = "academies-table"


async def test_the_table_of_academies_holds_the_figures_of_the_interface(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/?year=2013") as visit:
        rows = {row.code: row for row in await table(visit.page, TABLE) if row.href}
    expected = {code: row for (_, code), row in france.rows(by="academie", **YEAR).items()}
    lines = {line["academie"]: line for line in france.get("/v1/objectives/2013")["academies"]}
    assert set(rows) == set(expected)
    for code, row in expected.items():
        cells = rows[code].cells
        assert rows[code].label == row["label"]
        assert {name: number(cells[name]) for name in ACTIVITY} == {name: row["activity"][name] for name in ACTIVITY}
        unknown = row["cohort"]["shares"]["unknown"]
        assert number(cells["unknown"]) == (None if unknown is None else pytest.approx(unknown * 100, abs=0.051))
        line = lines.get(code, {"objective": None, "attainment": None})  # of a vice-rectorat no objective is set
        assert number(cells["objective"]) == line["objective"]
        attainment = line["attainment"]
        assert number(cells["attainment"]) == (
            None if attainment is None else pytest.approx(attainment * 100, abs=0.051)
        )


async def test_the_map_and_the_table_say_the_same(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/?year=2013") as visit:
        rows = {row.code: row for row in await table(visit.page, TABLE) if row.href}
        shown = await places(visit.page)
    lines = {line["academie"] for line in france.get("/v1/objectives/2013")["academies"]}
    assert lines <= set(shown) <= set(rows)
    told = 0
    for code, text in shown.items():
        attainment = number(rows[code].cells["attainment"])
        assert rows[code].label in text
        if attainment is not None:
            percent = number(next(part for part in text.replace("\u202f%", "% ").split() if part.endswith("%")))
            assert percent == pytest.approx(attainment, abs=0.51)
            told += 1
    assert told == len(lines - WITHOUT_OBJECTIVE)


async def test_an_academie_says_what_the_interface_says_of_it(browser: Browser, france: France) -> None:
    row = france.rows(by="academie", code="10", **YEAR)["academie", "10"]
    async with visiting(browser, f"{france.staff}/academies/10?year=2013") as visit:
        await visit.page.locator("figure[aria-labelledby=path-chart-title] summary").click()
        steps = await table(visit.page, "path-chart-table")
        networks = await table(visit.page, "networks-table")
    expected = ("detected", "attempted", "reached", "interviewed", "offered", "contracted", "returned")
    assert [number(next(iter(step.cells.values()))) for step in steps] == [row["cohort"][name] for name in expected]
    of_networks = france.rows(by="network", **YEAR)
    labels = {label: row for row in of_networks.values() if (label := row["label"])}
    assert {network.label for network in networks} <= set(labels)
    assert sum(labels[network.label]["activity"]["detected"] for network in networks) == row["activity"]["detected"]
    for network in networks:
        assert number(next(iter(network.cells.values()))) == labels[network.label]["activity"]["detected"]


async def sorted_by(page: Page, key: str) -> list[str]:
    head = page.locator(f"#{TABLE} th:has(a.sort[data-key={key}])")
    turned = "ascending" if await head.get_attribute("aria-sort") == "descending" else "descending"
    await head.locator("a.sort").click()
    await expect(head).to_have_attribute("aria-sort", turned)
    await page.wait_for_load_state()
    return [row.label for row in await table(page, TABLE)]


async def test_a_click_sorts_as_the_link_does_where_there_is_no_script(browser: Browser, france: France) -> None:
    url = f"{france.staff}/?year=2013"
    async with visiting(browser, url) as scripted, visiting(browser, url, javascript=False) as plain:
        for key in ("detected", "attainment"):
            orders = [[await sorted_by(each.page, key) for _ in range(2)] for each in (scripted, plain)]
            assert orders[0] == orders[1]
            assert orders[0][0] != orders[0][1]
        values = [int(row.values["detected"] or 0) for row in await table(plain.page, TABLE) if row.href]
        await sorted_by(plain.page, "detected")
        ordered = [int(row.values["detected"] or 0) for row in await table(plain.page, TABLE) if row.href]
        assert ordered == sorted(ordered, reverse=True)
        assert values != ordered
        assert await plain.page.locator(f"#{TABLE} th[aria-sort=descending] a[data-key=detected]").count() == 1


async def test_the_other_language_shows_the_same_page_with_the_same_figures(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/academies/10?year=2013&period=2") as visit:
        french = await table(visit.page, "networks-table")
        await visit.page.get_by_role("link", name="English").click()
        await expect(visit.page.locator("html")).to_have_attribute("lang", "en")
        await visit.page.wait_for_load_state()
        assert "period=2" in visit.page.url
        english = await table(visit.page, "networks-table")
        numbers = [[number(cell) for cell in row.cells.values()][:6] for row in french]
        assert [[number(cell) for cell in row.cells.values()][:6] for row in english] == numbers
        links = await visit.page.locator("main a[href^='/'], nav a[href^='/']").evaluate_all(
            "links => links.map(link => link.getAttribute('href')).filter(href => !href.startsWith('/v1/'))"
        )
        assert links
        assert [link for link in links if "lang=en" not in link] == []


@pytest.mark.parametrize("path", ["/?year=2013", "/academies/10?year=2013", "/bilans/2013/2/10", "/qualite"])
async def test_without_a_script_everything_is_there(browser: Browser, france: France, path: str) -> None:
    async with (
        visiting(browser, f"{france.staff}{path}") as scripted,
        visiting(browser, f"{france.staff}{path}", javascript=False) as plain,
    ):
        with_script = (await scripted.page.locator("main").inner_text()).splitlines()
        without = (await plain.page.locator("main").inner_text()).splitlines()
        assert without == with_script
        assert await plain.page.locator("svg[role=img], .map svg").count() >= (0 if path == "/qualite" else 1)


async def test_the_quality_page_says_which_source_is_silent_and_what_was_rejected(
    browser: Browser, france: France
) -> None:
    state = france.get("/v1/quality")
    async with visiting(browser, f"{france.staff}/qualite") as visit:
        sources = await table(visit.page, "sources")
        rejects = await table(visit.page, "rejects")
        letters = await table(visit.page, "letters")
    assert [row.cells["État"] for row in sources] == [
        "silencieuse" if source["silent"] else "à jour" for source in state["sources"]
    ]
    assert [number(row.cells["Lignes"]) for row in sources] == [source["rows"] for source in state["sources"]]
    assert [row.label for row in sources if row.cells["État"] == "silencieuse"] == ["Enseignement agricole"]
    assert {row.label: number(row.cells["Ensemble"]) for row in rejects} == {
        "diplômé": state["rejected"]["has_diploma"],
        "moins de 16 ans": state["rejected"]["under_16"],
        "commune inconnue": state["rejected"]["unknown_commune"],
    }
    assert [(row.label, row.cells["Motif"]) for row in letters] == [
        ("referral", "bad_json"),
        ("referral", "invalid_data"),
    ]
