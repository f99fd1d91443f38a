"""Documents to read, to show and to learn from."""

from src.data.documents.page import Page


def cv(page: Page) -> None:
    """A name, a portrait, sections with dates at the side."""
    rng, b = page.rng, page.bottom
    side = rng.random() < 0.5
    if side:
        page.box((0.0, 0.0, 0.3, b), fill=page.tint(190, 230), outline=False)
    left = 0.34 if side else 0.1
    page.text(left, 0.07, page.words(2, title=True), 0.065)
    page.text(left, 0.15, page.words(3), 0.03)
    if rng.random() < 0.75:
        corner = 0.06 if side else 0.72
        page.portrait((corner, 0.06, corner + 0.18, 0.29))
    if side:
        page.lines((0.04, 0.36, 0.27, b - rng.uniform(0.2, 0.6)), 0.026, 1.7)
    y = 0.34
    while y < b - 0.2:
        page.text(left, y, page.words(1).upper(), 0.038)
        page.rule(left, y + 0.048, 0.92, y + 0.048)
        y += 0.065
        for _ in range(int(rng.integers(1, 4))):
            if y > b - 0.12:
                break
            year = int(rng.integers(1990, 2020))
            page.text(left, y, f"{year}-{year + 4}", 0.026)
            y = page.lines((left + 0.16, y, 0.92, y + rng.uniform(0.05, 0.1)), 0.027) + 0.02
        y += 0.015


def slide(page: Page) -> None:
    """A heading, a few points, a chart or a picture; in colour."""
    rng, b = page.rng, page.bottom
    if rng.random() < 0.6:
        page.box((0.0, 0.0, 1.0, 0.13), fill=page.tint(30, 170), outline=False)
        page.text(0.05, 0.03, page.words(3, title=True), 0.06, (245, 245, 245))
    else:
        page.text(0.05, 0.04, page.words(3, title=True), 0.065)
    figure = rng.random()
    right = 0.5 if figure < 0.75 else 0.92
    for i in range(int(rng.integers(3, 6))):
        y = 0.2 + i * 0.09
        if y > b - 0.1:
            break
        page.box((0.06, y + 0.015, 0.08, y + 0.035), fill=page.ink)
        page.text(0.1, y, page.words(2 if right < 0.6 else 5), 0.042)
    if figure < 0.4:
        base = b - 0.1
        for i in range(5):
            top = base - rng.uniform(0.05, b - 0.36)
            page.box((0.56 + i * 0.075, top, 0.61 + i * 0.075, base), page.tint(40, 200), False)
        page.rule(0.54, base, 0.94, base)
    elif figure < 0.75:
        page.picture((0.55, 0.2, 0.94, b - 0.1))


def newspaper(page: Page) -> None:
    """A masthead, headlines, narrow columns, photographs."""
    rng, b = page.rng, page.bottom
    page.text(0.06, 0.04, f"The {page.words(1, title=True)}", 0.1)
    page.rule(0.04, 0.16, 0.96, 0.16, 0.008)
    page.text(0.05, 0.18, page.words(4, title=True), 0.06)
    columns = int(rng.integers(3, 6))
    width = 0.92 / columns
    photograph = int(rng.integers(0, columns)) if rng.random() < 0.85 else -1
    for i in range(columns):
        left, top = 0.04 + i * width, 0.28
        if i == photograph:
            page.picture((left, 0.28, min(left + width * 2, 0.96) - 0.02, 0.5))
        if i in (photograph, photograph + 1) and photograph >= 0:
            top = 0.52
        while top < b - 0.08:
            stop = min(top + rng.uniform(0.25, 0.6), b - 0.06)
            top = page.lines((left, top, left + width - 0.025, stop), 0.022, 1.25) + 0.01
            if top < b - 0.15:
                page.text(left, top, page.words(2, title=True)[: int(width / 0.017)], 0.034)
                top += 0.05


def exam(page: Page) -> None:
    """Numbered questions with answers to choose and lines to write on."""
    rng, b = page.rng, page.bottom
    page.text(0.1, 0.06, page.words(2, title=True), 0.05)
    page.text(0.6, 0.06, "Name: ________", 0.034)
    page.rule(0.08, 0.14, 0.92, 0.14)
    y, number = 0.18, 1
    while y < b - 0.16:
        page.text(0.08, y, f"{number}.", 0.036)
        y = page.lines((0.14, y, 0.9, y + rng.uniform(0.04, 0.08)), 0.03) + 0.005
        if rng.random() < 0.6:
            for letter in "ABCD"[: int(rng.integers(3, 5))]:
                page.text(0.17, y, f"({letter}) {page.words(2)}", 0.028)
                y += 0.04
        else:
            for _ in range(int(rng.integers(2, 4))):
                y += 0.045
                page.rule(0.14, y, 0.9, y)
        y, number = y + 0.035, number + 1


def book_page(page: Page) -> None:
    """Justified text in one column, now and then a chapter's heading."""
    rng, b = page.rng, page.bottom
    top = 0.12
    page.text(0.4, 0.06, page.words(1), 0.026)
    if rng.random() < 0.3:
        page.text(0.3, 0.25, page.words(2, title=True), 0.055)
        top = 0.42
    page.lines((0.12, top, 0.88, b - 0.14), rng.uniform(0.027, 0.034), rng.uniform(1.3, 1.6))
    page.text(0.48, b - 0.09, str(rng.integers(2, 400)), 0.028)


def note(page: Page) -> None:
    """Handwriting on lined or squared paper."""
    rng, b = page.rng, page.bottom
    step = rng.uniform(0.065, 0.085)
    ruled = rng.random() < 0.7
    y = 0.14
    while y < b - 0.05:
        if ruled:
            ink, page.ink = page.ink, (170, 180, 205)
            page.rule(0.0, y + step * 0.75, 1.0, y + step * 0.75)
            page.ink = ink
        x = 0.08 if rng.random() < 0.8 else 0.15
        end = rng.uniform(0.5, 0.93)
        while x < end and rng.random() < 0.96:
            width = rng.uniform(0.06, 0.2)
            page.scribble(x, y + step * 0.25, width, step * 0.45)
            x += width + 0.035
        y += step
        if rng.random() < 0.07:
            y += step
