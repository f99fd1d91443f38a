"""Kinds of pages that were drawn after every limit had been chosen, to report by alone."""

import numpy as np

from tests.data.templates import HEIGHT, KINDS, WIDTH, Kind, Random, Sheet, date, font, name, word


def statement(sheet: Sheet, printed: Random, filled: Random) -> None:
    """A bank's: rows of bookings, as many as there are."""
    sheet.write(90, 70, f"{word(printed, 3).title()} Bank", 34)
    sheet.lines(printed, 90, 125, 320, 3, 13)
    sheet.field(560, 130, "Account", str(filled.integers(10**7, 10**8)), 18)
    sheet.field(560, 160, "Sheet", f"{filled.integers(1, 13)} / {filled.integers(2010, 2026)}", 18)
    sheet.write(90, 240, name(filled), 19)
    y = 330
    for _ in range(int(filled.integers(12, 30))):
        sheet.write(90, y, date(filled), 15)
        sheet.write(220, y, f"{word(filled, 3)} {word(filled)} {word(filled)}", 15)
        amount = f"{filled.integers(1, 3000)}.{filled.integers(0, 100):02}"
        sheet.write(880 - round(sheet.pen.textlength(amount, font(15))), y, amount, 15)
        y += 28
    sheet.lines(printed, 90, 1310, 820, 3, 12)


def answers(sheet: Sheet, printed: Random, filled: Random) -> None:
    """An exam: of five circles a question one is filled."""
    sheet.write(100, 60, f"Exam {word(printed, 2).upper()} {printed.integers(100, 999)}", 28)
    sheet.field(100, 115, "Number", str(filled.integers(10**6, 10**7)), 22)
    for question in range(60):
        left, top = 110 + 270 * (question // 20), 190 + 56 * (question % 20)
        sheet.write(left, top, str(question + 1), 16)
        chosen = int(filled.integers(0, 5))
        for circle in range(5):
            x = left + 42 + 38 * circle
            fill = 50 if circle == chosen else None
            sheet.pen.ellipse((x, top, x + 20, top + 20), outline=0, fill=fill)


def notes(sheet: Sheet, printed: Random, filled: Random) -> None:
    """Ruled paper, written on by hand."""
    sheet.write(90, 50, word(printed, 3).title(), 20)
    for row in range(32):
        sheet.pen.line((70, 120 + 38 * row, 930, 120 + 38 * row), fill=170)
    for row in range(int(filled.integers(4, 30))):
        x = 80.0
        while x < filled.integers(500, 860):
            letters = int(filled.integers(6, 20))
            steps = filled.normal((4.5, 0), (3, 9), (letters, 2))
            points = np.cumsum(steps, 0) * [1, 0.5] + [x, 108 + 38 * row]
            sheet.pen.line([tuple(point) for point in points.tolist()], fill=50, width=2)
            x = float(points[-1, 0]) + 18


def checklist(sheet: Sheet, printed: Random, filled: Random) -> None:
    """On its side: a grid with a tick or a number in each field."""
    sheet.lay_on_its_side()
    sheet.write(70, 50, f"Inspection of {word(printed, 3)} {word(printed, 2)}", 28)
    sheet.field(900, 55, "by", name(filled), 20)
    sheet.field(900, 85, "on", date(filled), 20)
    for row in range(18):
        top = 140 + 44 * row
        sheet.write(76, top + 12, f"{word(printed, 2)} {word(printed, 2)}", 15)
        for column in range(8):
            left = 330 + 126 * column
            sheet.pen.rectangle((left, top, left + 126, top + 44), outline=60)
            kind = filled.random()
            if kind < 0.5:
                x = left + 50 + int(filled.integers(-6, 7))
                y = top + 22 + int(filled.integers(-5, 6))
                sheet.pen.line((x, y, x + 8, y + 10, x + 24, y - 12), fill=40, width=3)
            elif kind < 0.65:
                sheet.write(left + 40, top + 12, str(filled.integers(1, 99)), 17)


def laboratory(sheet: Sheet, printed: Random, filled: Random) -> None:
    """Printed names and ranges of values, a number beside each."""
    sheet.write(90, 60, f"Laboratory {word(printed, 3).title()}", 30)
    sheet.field(90, 130, "Patient", name(filled), 17)
    sheet.field(560, 130, "born", date(filled), 17)
    for row in range(26):
        top = 220 + 38 * row
        sheet.write(95, top, f"{word(printed, 2)} {word(printed)}", 16)
        low = int(printed.integers(1, 90))
        value = float(filled.normal(low + 10, 8))
        sheet.write(470, top, f"{value:.1f}", 16)
        sheet.write(600, top, f"{low} - {low + 20}", 15, 60)
        if not low < value < low + 20:
            sheet.write(760, top, "!", 18)
    sheet.lines(printed, 90, 1260, 820, 4, 12)


def declaration(sheet: Sheet, printed: Random, filled: Random) -> None:
    """Two columns of small print; at the end a name, a date and a signature."""
    sheet.write(90, 60, f"Declaration on {word(printed, 3)}", 26)
    for left in (90, 520):
        sheet.lines(printed, left, 120, 400, 56, 13)
    sheet.write(100, 1270, f"{name(filled)}, {date(filled)}", 17, 40)
    points = np.cumsum(filled.normal((8, 0), (4, 15), (24, 2)), 0) + np.array([560, 1270])
    sheet.pen.line([tuple(point) for point in points.tolist()], fill=60, width=3, joint="curve")
    sheet.pen.line((90, 1310, WIDTH - 90, 1310), fill=0)
    sheet.write(90, HEIGHT - 60, str(printed.integers(10**6, 10**7)), 12)


LATE_KINDS: dict[str, Kind] = {
    kind.__name__: kind for kind in (statement, answers, notes, checklist, laboratory, declaration)
}
# In this order, as it decides what is drawn.
ALL_KINDS = {**KINDS, **LATE_KINDS}
