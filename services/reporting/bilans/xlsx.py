"""A bilan as a workbook: a summary with charts, the networks, all figures, the definitions, the texts, the journal."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from services.reporting.bilans import words
from services.reporting.bilans.domain import ACADEMIE
from services.reporting.bilans.tables import (
    CHANGES_HEAD,
    DELAYS_GROUPS,
    FALSE_POSITIVES_GROUPS,
    MEASURE_NAMES,
    SERIES,
    SPAN_NAMES,
    SUMMARY_GROUPS,
    VIEW_NAMES,
    Cell,
    Table,
    flat,
)

_BLUE: Final = "#1f4e79"
_SHEETS: Final = ("Synthèse", "Réseaux", "Données", "Définitions", "Textes", "Journal")


def write(bilan: Mapping[str, Any]) -> bytes:
    """The file. What is not shown reads `n.c.`; no text is ever taken for a formula."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties(
            {
                "title": words.title(bilan),
                "subject": words.period(bilan),
                "created": datetime.fromisoformat(bilan["as_of"]).replace(tzinfo=None),
            }
        )
        _Writer(book, bilan).write()
    return out.getvalue()


class _Writer:
    """Writes the sheets of one workbook."""

    def __init__(self, book: Workbook, bilan: Mapping[str, Any]) -> None:
        self._book = book
        self._bilan = bilan
        self._table = Table(bilan)
        self._title = book.add_format({"bold": True, "font_size": 16, "font_color": _BLUE})
        self._section = book.add_format({"bold": True, "font_size": 12, "font_color": _BLUE})
        self._head = book.add_format(
            {"bold": True, "bg_color": _BLUE, "font_color": "#ffffff", "text_wrap": True, "valign": "top", "border": 1}
        )
        self._plain = book.add_format({"valign": "top"})
        self._wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        self._missing = book.add_format({"align": "right", "italic": True, "font_color": "#595959"})
        self._formats = {
            measure: book.add_format({"num_format": text})
            for measure, text in (
                ("count", "#,##0"),
                ("share", "0.0%"),
                ("n", "#,##0"),
                ("median", "0.0"),
                ("p90", "0"),
            )
        }

    def write(self) -> None:
        """Write all sheets, in their order."""
        sheets = {name: self._book.add_worksheet(name) for name in _SHEETS}
        if self._bilan["correction"] is not None:
            self._correction(self._book.add_worksheet("Correction"), self._bilan["correction"])
        for sheet in self._book.worksheets():
            sheet.hide_gridlines(2)
            sheet.set_landscape()
            sheet.set_paper(9)
            sheet.fit_to_pages(1, 0)
            sheet.set_footer("&L&F&R&P / &N")
        self._summary(sheets["Synthèse"])
        self._networks(sheets["Réseaux"])
        self._data(sheets["Données"])
        self._definitions(sheets["Définitions"])
        self._texts(sheets["Textes"])
        self._journal(sheets["Journal"])

    def _summary(self, sheet: Worksheet) -> None:
        bilan, table = self._bilan, self._table
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, 6, 13)
        sheet.write_string(0, 0, words.title(bilan), self._title)
        row = 1
        for line in words.facts(bilan):
            sheet.write_string(row, 0, line)
            row += 1
        row += 1
        sheet.write_string(row, 0, f"Chiffres clés {words.focus(bilan)}", self._section)
        row = self._block(sheet, row + 1, ("Indicateur", *flat(SUMMARY_GROUPS)), table.summary(*table.focus))
        sheet.write_string(row + 1, 0, "Délais", self._section)
        row = self._block(sheet, row + 2, ("Délai", *flat(DELAYS_GROUPS)), table.delays(*table.focus))
        sheet.write_string(row + 1, 0, "Faux positifs par base d'origine", self._section)
        heads = ("Base d'origine", *flat(FALSE_POSITIVES_GROUPS))
        row = self._block(sheet, row + 2, heads, table.false_positives(*table.focus))
        sheet.write_string(row + 1, 0, "Parcours de la cohorte de l'année", self._section)
        first = row + 3
        funnel = table.funnel(*table.focus)
        row = self._block(sheet, row + 2, ("Étape", "Effectif"), [(name, [cell]) for name, cell in funnel])
        self._funnel_chart(sheet, first, row - 1)
        if bilan["series"]:
            sheet.write_string(row + 1, 0, "Série mensuelle (activité)", self._section)
            head = row + 2
            row = self._months(sheet, head)
            self._series_chart(sheet, head, row - 1)
        sheet.freeze_panes(1, 1)

    def _months(self, sheet: Worksheet, row: int) -> int:
        self._heads(sheet, row, ("Mois", *(self._table.name(code) for code in SERIES)))
        for month in self._bilan["series"]:
            row += 1
            sheet.write_string(row, 0, words.month(month["month"]))
            for column, code in enumerate(SERIES, start=1):
                count = month["activity"][code]
                if count is None:
                    sheet.write_string(row, column, words.NOT_SHOWN, self._missing)
                else:
                    sheet.write_number(row, column, count, self._formats["count"])
        return row + 1

    def _funnel_chart(self, sheet: Worksheet, first: int, last: int) -> None:
        chart = self._book.add_chart({"type": "bar"})
        chart.add_series(
            {
                "name": "Effectif",
                "categories": [sheet.get_name(), first, 0, last, 0],
                "values": [sheet.get_name(), first, 1, last, 1],
                "fill": {"color": _BLUE},
                "data_labels": {"value": True},
                "gap": 40,
            }
        )
        chart.set_title({"name": "Parcours de la cohorte de l'année"})
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis({"min": 0, "major_gridlines": {"visible": True, "line": {"color": "#d9d9d9"}}})
        chart.set_legend({"none": True})
        chart.set_size({"width": 640, "height": 320})
        sheet.insert_chart(1, 8, chart, {"description": "Nombre de jeunes de la cohorte à chaque étape"})

    def _series_chart(self, sheet: Worksheet, head: int, last: int) -> None:
        chart = self._book.add_chart({"type": "line"})
        for column in range(1, len(SERIES) + 1):
            chart.add_series(
                {
                    "name": [sheet.get_name(), head, column],
                    "categories": [sheet.get_name(), head + 1, 0, last, 0],
                    "values": [sheet.get_name(), head + 1, column, last, column],
                    "marker": {"type": "automatic"},
                }
            )
        chart.set_title({"name": "Série mensuelle (activité)"})
        chart.set_legend({"position": "bottom"})
        chart.set_size({"width": 640, "height": 320})
        sheet.insert_chart(18, 8, chart, {"description": "Activité de chaque mois depuis janvier"})

    def _networks(self, sheet: Worksheet) -> None:
        sheet.set_column(0, 0, 44)
        heads = flat(self._table.networks_groups())
        sheet.set_column(1, len(heads), 13)
        self._block(sheet, 0, ("Réseau", *heads), self._table.of_networks())
        sheet.freeze_panes(1, 1)

    def _data(self, sheet: Worksheet) -> None:
        heads = ("Unité", "Code", "Nom", "Durée", "Vue", "Indicateur", "Libellé", "Base d'origine", "Mesure", "Valeur")
        self._heads(sheet, 0, heads)
        for row, cell in enumerate(self._table.cells, start=1):
            place = cell.place
            texts = (
                "académie" if place.unit == ACADEMIE else "réseau",
                place.code,
                self._table.labels[place.unit, place.code],
                SPAN_NAMES[place.span],
                VIEW_NAMES[place.view],
                place.indicator,
                self._table.name(place.indicator),
                place.source,
                MEASURE_NAMES[place.measure],
            )
            for column, text in enumerate(texts):
                sheet.write_string(row, column, text)
            self._cell(sheet, row, len(texts), cell)
        sheet.set_column(0, 1, 12)
        sheet.set_column(2, 2, 36)
        sheet.set_column(3, 5, 20)
        sheet.set_column(6, 6, 36)
        sheet.set_column(7, 9, 18)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, max(1, len(self._table.cells)), len(heads) - 1)

    def _definitions(self, sheet: Worksheet) -> None:
        rows = [
            (
                item["code"],
                str(item["version"]),
                item["name"]["fr"],
                item["formula"]["fr"],
                item["source"],
                item["valid_from"],
            )
            for item in self._bilan["definitions"]
        ]
        self._texts_table(sheet, ("Code", "Version", "Nom", "Formule", "Source", "Valable du"), rows)
        for column, width in enumerate((24, 8, 30, 80, 50, 12)):
            sheet.set_column(column, column, width)

    def _texts(self, sheet: Worksheet) -> None:
        rows = [
            (words.unit(self._bilan, text["unit"]), *words.of_text(text), text["by"] or "", words.moment(text["at"]))
            for text in self._bilan["texts"]
        ]
        heads = ("Réseau", *words.TEXT_HEADS, "Auteur", "Le")
        self._texts_table(sheet, heads, rows)
        for column, width in enumerate((36, 60, 60, 60, 24, 18)):
            sheet.set_column(column, column, width)

    def _journal(self, sheet: Worksheet) -> None:
        rows = [(words.moment(visa["at"]), visa["by"], "Visa", visa["role"]) for visa in self._bilan["visas"]]
        rows += [
            (words.moment(entry["at"]), entry["by"], words.ACTS[entry["act"]], entry["note"])
            for entry in self._bilan["journal"]
        ]
        rows += [
            ("", "", f"Version {line['version']} : {words.STATES[line['state']]}", line["hash"] or "")
            for line in self._bilan["versions"]
        ]
        self._texts_table(sheet, ("Le", "Par", "Acte", "Précision"), rows)
        for column, width in enumerate((20, 30, 36, 70)):
            sheet.set_column(column, column, width)

    def _correction(self, sheet: Worksheet, correction: Mapping[str, Any]) -> None:
        self._heads(sheet, 0, CHANGES_HEAD)
        for row, (texts, cells) in enumerate(self._table.changes(correction["changes"]), start=1):
            for column, text in enumerate(texts):
                sheet.write_string(row, column, text)
            for column, cell in enumerate(cells, start=len(texts)):
                self._cell(sheet, row, column, cell)
        for column, width in enumerate((36, 28, 12, 50, 12, 12, 12)):
            sheet.set_column(column, column, width)
        sheet.freeze_panes(1, 0)

    def _texts_table(self, sheet: Worksheet, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self._heads(sheet, 0, heads)
        for number, row in enumerate(rows, start=1):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text, self._wrapped)
        sheet.freeze_panes(1, 1)

    def _block(self, sheet: Worksheet, row: int, heads: Sequence[str], rows: Iterable[tuple[str, list[Cell]]]) -> int:
        """A table with its heads at this row; the first row below it."""
        self._heads(sheet, row, heads)
        for name, cells in rows:
            row += 1
            sheet.write_string(row, 0, name, self._plain)
            for column, cell in enumerate(cells, start=1):
                self._cell(sheet, row, column, cell)
        return row + 1

    def _heads(self, sheet: Worksheet, row: int, heads: Sequence[str]) -> None:
        for column, head in enumerate(heads):
            sheet.write_string(row, column, head, self._head)

    def _cell(self, sheet: Worksheet, row: int, column: int, cell: Cell) -> None:
        if cell.value is None:
            sheet.write_string(row, column, cell.shown(), self._missing)
        else:
            of: Format = self._formats[cell.place.measure]
            sheet.write_number(row, column, cell.value, of)
