"""PDFs written by hand: text, and forms of 200 x 200 points with a field that is drawn black."""

from collections.abc import Sequence
from pathlib import Path

FIELD = b"0 0 0 rg 0 0 120 40 re f"
TEXT = b"BT /F 14 Tf 20 160 Td (Consent) Tj ET"


def write_form(path: Path, form: str = "whole", pages: int = 1, field: bytes = FIELD) -> Path:
    """Write a form.

    Args:
        path: of the file.
        form: "whole", "split off" (fields without a form, as pages that were copied into another
            file have them), or "fields not listed" (a form that names none of them).
        pages: how many, each with a field of its own.
        field: draws the field in a box of 120 x 40 points, which lies at 40, 60.
    """
    pdf = _Pdf()
    fields, sheets = [], []
    for number in range(pages):
        text = pdf.stream(b"", TEXT)
        drawn = pdf.stream(b"/Type /XObject /Subtype /Form /BBox [0 0 120 40]", field)
        fields.append(
            pdf.add(
                b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name%d) /V (x) /F 4 "
                b"/Rect [40 60 160 100] /AP << /N %d 0 R >> >>" % (number, drawn)
            )
        )
        sheets.append(pdf.page(text, (200, 200), b" /Annots [%d 0 R]" % fields[-1]))
    listed = _references(fields) if form == "whole" else b""
    of_form = b"" if form == "split off" else b"/AcroForm << /Fields [" + listed + b"] >>"
    path.write_bytes(pdf.whole(sheets, of_form))
    return path


def write_text(path: Path, pages: Sequence[Sequence[str]]) -> Path:
    """Write pages of lines of text, A4 in 11 points.

    Args:
        path: of the file.
        pages: the lines of each.
    """
    pdf = _Pdf()
    sheets = []
    for lines in pages:
        shown = b"".join(b"(%s) Tj T* " % line.encode("ascii") for line in lines)
        sheets.append(pdf.page(pdf.stream(b"", b"BT /F 11 Tf 14 TL 60 780 Td " + shown + b"ET")))
    path.write_bytes(pdf.whole(sheets))
    return path


class _Pdf:
    """The objects of a PDF; the first three are the catalogue, the pages and the font F."""

    def __init__(self) -> None:
        font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        self._objects: list[bytes] = [b"", b"", font]

    def add(self, body: bytes) -> int:
        """Add an object, and return its number."""
        self._objects.append(body)
        return len(self._objects)

    def stream(self, head: bytes, content: bytes) -> int:
        size = b"%d" % len(content)
        return self.add(
            b"<< " + head + b" /Length " + size + b" >>\nstream\n" + content + b"\nendstream"
        )

    def page(self, content: int, size: tuple[int, int] = (595, 842), more: bytes = b"") -> int:
        return self.add(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >>%s >>" % (*size, content, more)
        )

    def whole(self, sheets: list[int], more: bytes = b"") -> bytes:
        """Return the file."""
        self._objects[0] = b"<< /Type /Catalog /Pages 2 0 R " + more + b" >>"
        kids = _references(sheets)
        self._objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(sheets), kids)
        data, places = [b"%PDF-1.7\n"], [9]
        for number, body in enumerate(self._objects, 1):
            data.append(b"%d 0 obj\n" % number + body + b"\nendobj\n")
            places.append(places[-1] + len(data[-1]))
        data.append(b"xref\n0 %d\n0000000000 65535 f \n" % len(places))
        data += [b"%010d 00000 n \n" % place for place in places[:-1]]
        data.append(b"trailer << /Size %d /Root 1 0 R >>\n" % len(places))
        return b"".join(data) + b"startxref\n%d\n%%%%EOF" % places[-1]


def _references(numbers: list[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)
