"""Names of folders and files from texts that people typed: what every file system, shell and share can hold."""

import hashlib
import re
import unicodedata

LONGEST = 48  # characters; a name has other parts beside it, and 255 bytes at most
LETTERS = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "ı": "i"}
)
SPELLED = {"lamda": "lambda"}  # Unicode's name, and everybody else's


def ascii_name(text: str) -> str:
    """Letters, digits and hyphens that still tell what it was: `Δτ [ps]` -> `Delta-tau-ps`, `Größe` -> `Grosse`.

    Accents are dropped, Greek letters spelled, and other scripts written as their code points (`u529f`). A text that
    leaves nothing, or too much, has a digest in its place or at its end. Never empty; ASCII texts of letters and digits
    are as they were.
    """
    plain = unicodedata.normalize("NFKD", text.translate(LETTERS))
    name = re.sub("-+", "-", "".join(map(_ascii, plain))).strip("-")
    if not name:
        return f"x{digest(text)}"
    return name if len(name) <= LONGEST else f"{name[:LONGEST].rstrip('-')}-{digest(text)}"


def digest(text: str) -> str:
    """Six digits that tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def _ascii(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() else "-"
    kind, name = unicodedata.category(character), unicodedata.name(character, "")
    if kind.startswith("M"):  # accents of what stands before them
        return ""
    if name.startswith("GREEK") and " LETTER " in name:
        spelled = name.partition(" LETTER ")[2].partition(" WITH ")[0].split()[-1].lower()
        spelled = SPELLED.get(spelled, spelled)
        return f"-{spelled.capitalize() if kind == 'Lu' else spelled}-"
    return f"-u{ord(character):x}-" if kind[0] in "LNS" else "-"
