"""Staff write: bilans from a draft to a correction, and objectives. Every form works without a script."""

from datetime import date

import pytest
from playwright.async_api import Browser, Page

from tests.browser.campaign import detected
from tests.browser.france import France
from tests.browser.sheets import table
from tests.browser.visits import NARROW, barriers, overflow, picture, resize, visiting

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(150)]

WORDS = "Les tuteurs appellent dès la première semaine, et reviennent."


async def fill(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        await page.locator(f"main form [name={name}]").fill(text)


async def send(page: Page) -> int:
    """Send the form of the page; the status of what comes back."""
    async with page.expect_navigation() as coming:
        await page.locator("main form[method=post] button[type=submit]").click()
    answer = await coming.value
    assert answer is not None
    return answer.status


@pytest.mark.parametrize(("javascript", "academie"), [(True, "01"), (False, "24")])
async def test_a_bilan_is_written_validated_frozen_and_corrected(
    browser: Browser, france: France, javascript: bool, academie: str
) -> None:
    path = f"/bilans/2013/3/{academie}"
    async with visiting(browser, f"{france.staff}{path}", javascript=javascript) as visit:
        page = visit.page
        await page.get_by_role("link", name="Écrire les textes").click()
        await fill(page, worked=WORDS, needs="Appelez le 06 12 34 56 78.", by="La responsable du réseau")
        assert await send(page) == 422
        assert "téléphone" in await page.locator("#needs-error").inner_text()
        assert await page.locator("#worked").input_value() == WORDS
        assert await page.locator("#by").input_value() == "La responsable du réseau"
        await picture(page, "bilan-textes-refuse", 1280)
        if javascript:
            assert await barriers(page) == []
            await fill(page, needs="x" * 4001)
            assert "1 caractères de trop" in await page.locator("#needs-count").inner_text()
        await fill(page, needs="Un poste de plus.")
        assert await send(page) == 200
        assert "enregistré" in await page.locator(".done").inner_text()
        assert WORDS in await page.locator(".voices").inner_text()

        await page.get_by_role("link", name="Valider").click()
        await fill(page, role="Déléguée académique", by="Mme la déléguée")
        assert await send(page) == 200
        assert "validé" in await page.locator(".lede .state").inner_text()

        await page.get_by_role("link", name="Figer").click()
        await fill(page, by="M. le recteur")
        await page.locator("#confirm").check()
        assert await send(page) == 200
        frozen = france.get(f"/v1{path}")
        assert frozen["state"] == "frozen"
        assert await page.locator(".facts .hash").inner_text() == frozen["hash"]
        assert await page.get_by_role("link", name="Écrire les textes").count() == 0

        network = next(network for network in france.networks if network.academie == academie)
        late = f"late-{academie}"
        await france.tell([detected(late, date(2013, 5, 20), network)])
        await france.heard_all()
        assert france.get(f"/v1{path}")["figures"] == frozen["figures"]

        await page.get_by_role("link", name="Ouvrir une correction").click()
        await fill(page, reason="Une liste est venue en retard.", by="M. le recteur")
        assert await send(page) == 200
        assert "version 2" in await page.locator("#versions").inner_text()
        changes = await table(page, "changes")
        assert {row.cells["Écart"] for row in changes if row.cells["Indicateur"].startswith("Repérés,")} == {"+1"}
        assert {row.cells["Mesure"] for row in changes} == {"effectif"}
        events = await table(page, "events")
        assert [row.cells["Jeune (pseudonyme)"] for row in events] == [late]
        await picture(page, "bilan-correction-ouverte", 1280)
        await resize(page, NARROW)
        assert await overflow(page) <= 0
        await picture(page, "bilan-correction-ouverte", NARROW)
        if javascript:
            assert await barriers(page) == []


async def test_a_bilan_that_was_frozen_meanwhile_says_so(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/bilans/2013/2/10/textes") as visit:
        await fill(visit.page, worked="Trop tard.", by="Quelqu'un")
        assert await send(visit.page) == 409
        assert "figée" in await visit.page.locator(".wrong").inner_text()
        assert await visit.page.locator("#worked").input_value() == "Trop tard."


async def test_an_objective_is_set_from_the_keyboard_and_keeps_its_history(browser: Browser, france: France) -> None:
    async with visiting(browser, f"{france.staff}/objectifs?year=2013&academie=33") as visit:
        page = visit.page
        await fill(page, objective="cent", reason="Dialogue de gestion", by="Le recteur")
        await page.locator("#by").press("Enter")
        await page.locator("#objective-error").wait_for()
        assert "nombre entier" in await page.locator("#objective-error").inner_text()
        assert await page.locator("#reason").input_value() == "Dialogue de gestion"
        assert await barriers(page) == []
        await fill(page, objective="1 234")
        assert await send(page) == 200
        versions = await table(page, "versions")
        assert [row.cells["Motif"] for row in versions] == ["Dialogue de gestion"]
        rows = {row.label: row for row in await table(page, "objectives")}
        assert rows["Guyane"].values["objective"] == "1234"
    line = france.get("/v1/objectives/2013/33")
    assert (line["objective"], line["versions"][0]["by"]) == (1234, "Le recteur")
