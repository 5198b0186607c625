"""Bytes to text, whatever the label says.

A label in a mail is a claim. The order of trust is: the label if the bytes fit it, UTF-8 if they fit that,
then the superset of the label that mail programs really mean (Windows-1252 for Latin-1, cp932 for
Shift_JIS), and only then replacement characters.
"""

from __future__ import annotations

import codecs
import re

# Python calls these text encodings as well; in a mail they are a mistake or an attack (punycode is quadratic).
_NOT_FOR_MAIL = frozenset(
    {
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "mbcs",
        "oem",
        "unicode_internal",
    }
)

# What senders write -> the codec that decodes what they send. Supersets replace the standard they extend.
_ALIASES = {
    "8bit": "utf-8",
    "ansi-x3-4-1968": "utf-8",
    "ansi": "cp1252",
    "ascii": "utf-8",
    "big5": "cp950",
    "chinesebig5": "cp950",
    "cn-gb": "gb18030",
    "cp-850": "cp850",
    "default": "utf-8",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gb-2312": "gb18030",
    "gbk": "gb18030",
    "iso-2022-jp": "iso2022_jp_2",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "korean": "cp949",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601": "cp949",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "macintosh": "mac_roman",
    "none": "utf-8",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "tis-620": "cp874",
    "uft-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "unknown": "utf-8",
    "unknown-8bit": "utf-8",
    "us-ascii": "utf-8",
    "utf8mb4": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac_roman",
    "x-sjis": "cp932",
    "x-unknown": "utf-8",
    "x-user-defined": "cp1252",
}
# A wrong label on UTF-8 text is common with these, and a chance hit of UTF-8 in real Latin text is not.
_WEAK_LABELS = frozenset({"cp1252", "cp1254", "iso8859_1"})

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HEADER_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ufffe\uffff]+")
_ISO_2022_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([BJI]|\$\([A-D])")
_PAIRED_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def codec_name(label: str) -> str | None:
    """Python's codec for a charset label; None when there is none that may be used on mail."""
    key = re.sub(r"[\s_]+", "-", label.strip().strip("\"'").lower())[:40].partition("*")[0].partition(";")[0]
    if not key:
        return None
    try:
        info = codecs.lookup(_ALIASES.get(key, key))
    except (LookupError, ValueError):
        # Labels such as "windows1252" or "cp 1252" lack a hyphen only.
        try:
            info = codecs.lookup(re.sub(r"^(?:windows|win|x-cp)-?(\d{3,4})$", r"cp\1", key))
        except (LookupError, ValueError):
            return None
    if not getattr(info, "_is_text_encoding", True) or info.name.replace("-", "_") in _NOT_FOR_MAIL:
        return None
    return _ALIASES.get(info.name.replace("_", "-"), info.name)


def decode_bytes(data: bytes, label: str = "", fallback: str = "") -> tuple[str, bool]:
    """Text for ``data`` and whether the label fitted.

    ``fallback`` is another label to try before guessing, such as the charset of the message body for a raw
    8-bit header. The text is clean in the sense of :func:`clean_text` except that controls are kept.
    """
    codec = codec_name(label) if label else None
    fits = codec is not None or not label
    text = _decode_strict(data, codec) if codec and codec != "utf-8" else None
    if text is None or (codec in _WEAK_LABELS and not data.isascii()):
        as_utf8 = _decode_strict(data, "utf-8-sig")
        if as_utf8 is not None:
            # Seven-bit Japanese without a label looks like ASCII with escape sequences.
            if codec in (None, "utf-8") and _ISO_2022_ESCAPE.search(data):
                text = (
                    _decode_strict(data, "iso2022_jp_2") or _decode_strict(data, "iso2022_jp_ext") or as_utf8
                )
            else:
                text = as_utf8
    if text is None and fallback and (other := codec_name(fallback)) not in (None, "utf-8"):
        text, fits = _decode_strict(data, other), False
    if text is None:
        text, fits = _decode_loosely(data, codec), False
    return _mend_surrogates(text), fits


def _decode_strict(data: bytes, codec: str | None) -> str | None:
    if codec is None:
        return None
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _decode_loosely(data: bytes, codec: str | None) -> str:
    if codec not in (None, "utf-8", "utf-8-sig"):
        try:
            return data.decode(codec, "replace")
        except (UnicodeError, ValueError):
            pass
    text = data.decode("utf-8", "replace")
    if any(char > "\x7f" and char != "\ufffd" for char in set(text)):
        return text
    # Not one valid multi-byte character: this never was UTF-8.
    return data.decode("cp1252", "replace")


def _mend_surrogates(text: str) -> str:
    """UTF-7 and UTF-16 may hand out halves of a character; join what pairs up, replace the rest."""
    if not _SURROGATE.search(text):
        return text
    joined = _PAIRED_SURROGATES.sub(
        lambda match: match.group().encode("utf-16", "surrogatepass").decode("utf-16"), text
    )
    return _SURROGATE.sub("\ufffd", joined)


def clean_text(text: str) -> str:
    """Body text without NUL and other controls, lines ended by a single line feed."""
    text = text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text)


def clean_line(text: str) -> str:
    """Header text: one line, no controls, blanks at the ends removed."""
    if _SURROGATE.search(text):
        text = _SURROGATE.sub("\ufffd", text)
    return _HEADER_CONTROL.sub(" ", text).strip()
