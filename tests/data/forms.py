"""PDF forms, written by hand: a page of 200 x 200 points with a field that is drawn black."""

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
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    def stream(head: bytes, content: bytes) -> int:
        size = b"%d" % len(content)
        return add(
            b"<< " + head + b" /Length " + size + b" >>\nstream\n" + content + b"\nendstream"
        )

    sheets, fields = [], []
    for number in range(pages):
        text = stream(b"", TEXT)
        drawn = stream(b"/Type /XObject /Subtype /Form /BBox [0 0 120 40]", field)
        fields.append(
            add(
                b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name%d) /V (x) /F 4 "
                b"/Rect [40 60 160 100] /AP << /N %d 0 R >> >>" % (number, drawn)
            )
        )
        sheets.append(
            add(
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents %d 0 R "
                b"/Resources << /Font << /F 3 0 R >> >> /Annots [%d 0 R] >>" % (text, fields[-1])
            )
        )
    listed = _references(fields) if form == "whole" else b""
    of_form = b"" if form == "split off" else b"/AcroForm << /Fields [" + listed + b"] >>"
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R " + of_form + b" >>"
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, _references(sheets))
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    path.write_bytes(data + b"startxref\n%d\n%%%%EOF" % start)
    return path


def _references(numbers: list[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)
