"""Names of columns: one spelling for what looks alike, and lists of names as they are typed behind an option."""

import csv
import io
import unicodedata

LOOK_ALIKE = str.maketrans({"\u00b5": "\u03bc", "\u2206": "\u0394"})  # the micro sign is a mu, the increment a Delta
NO_BREAK = "\u00a0\u2007\u2009\u202f"  # spaces that look like a space and are another character
SPACES = str.maketrans(dict.fromkeys(NO_BREAK, " "))


def as_heading(text: str) -> str:
    """A column's name as it is compared: composed Unicode, one space for spaces and line breaks, nothing invisible."""
    return " ".join(visible(unicodedata.normalize("NFC", text)).translate(LOOK_ALIKE).split())


def visible(text: str) -> str:
    """Text without characters that have no width and without no-break spaces at its ends; other spaces stay."""
    if text.isascii():
        return text
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    if text[:1] and text[0] in NO_BREAK:
        text = text.lstrip()
    return text.rstrip() if text[-1:] and text[-1] in NO_BREAK else text


def invisible(text: str) -> list[str]:
    """What `visible` leaves out, as `U+200B`."""
    ends = text[: len(text) - len(text.lstrip())] + text[len(text.rstrip()) :]
    gone = [c for c in text if unicodedata.category(c) == "Cf"] + [c for c in ends if c in NO_BREAK]
    return sorted({f"U+{ord(c):04X}" for c in gone})


def split_headings(text: str) -> tuple[str, ...]:
    r"""`angle, PP1` -> ("angle", "PP1"). A name with a comma stands in quotes, as in CSV, or has `\\,` for it."""
    (names,) = csv.reader([as_heading(text).replace("\\,", "\0")], skipinitialspace=True)
    return tuple(as_heading(name.replace("\0", ",")) for name in names) or ("",)


def join_headings(names: tuple[str, ...] | list[str]) -> str:
    """What `split_headings` reads back."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
