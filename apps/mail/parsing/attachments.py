"""Files of a mail: names that are safe to store and offer, and types that mean something."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

from apps.core.charsets import clean_line, decode_bytes

from .headers import decode_header
from .mime import Part, Tree, decode_content, decode_uu
from .types import Attachment

MAX_NAME = 150
"""Characters of a file name; 200 bytes of UTF-8 are the second limit, file systems stop at 255."""

_BAD_IN_NAME = re.compile(
    '[\x00-\x1f\x7f-\x9f<>:"/\\\\|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]+'
)
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:\.|$)", re.I
)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,12}$")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")

# Tables of the standard library only: the files of the operating system differ from machine to machine.
_TYPES = mimetypes.MimeTypes(filenames=())
_EXTRA_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".heic": "image/heic",
    ".ics": "text/calendar",
    ".md": "text/markdown",
    ".msg": "application/vnd.ms-outlook",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".p7s": "application/pkcs7-signature",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_EXTRA_SUFFIXES = {
    "application/ms-tnef": ".dat",
    "application/octet-stream": ".bin",
    "application/pgp-signature": ".asc",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "image/jpeg": ".jpg",
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/external-body": ".txt",
    "message/feedback-report": ".txt",
    "message/global": ".eml",
    "message/global-delivery-status": ".txt",
    "message/partial": ".eml",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/enriched": ".txt",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/rfc822-headers": ".txt",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
}
_TYPE_ALIASES = {
    "application/x-pdf": "application/pdf",
    "binary/octet-stream": "application/octet-stream",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/unknown": "application/octet-stream",
    "application/x-unknown": "application/octet-stream",
}


def safe_file_name(name: str, default: str = "attachment") -> str:
    """A name without path, control, direction or reserved parts, limited in length, never empty.

    Applying it twice changes nothing."""
    text = unicodedata.normalize("NFC", clean_line(name[:4_000]))
    # Only the last part of a path counts; a slash inside words ("A/B test.pdf") is no path.
    if (
        re.match(r"(?:[A-Za-z]:)?[\\/]|\.{1,2}[\\/]|~[\\/]", text)
        or "../" in text
        or "..\\" in text
        or "\\" in text
    ):
        text = re.split(r"[\\/]", text.rstrip("\\/"))[-1]
    text = _BAD_IN_NAME.sub("_", text)
    text = re.sub(r"\s+", " ", text).strip(" .")
    if _RESERVED.match(text):
        text = "_" + text
    text = _shorten(text)
    if not text.strip("_ ."):
        return default if default and default.strip("_ .") else "attachment"
    return text


def _shorten(text: str) -> str:
    suffix = match.group() if (match := _SUFFIX.search(text)) else ""
    stem = text[: len(text) - len(suffix)]
    stem = stem[: MAX_NAME - len(suffix)]
    while len((stem + suffix).encode("utf-8")) > 200:
        stem = stem[:-1]
    return (stem.rstrip(" .") + suffix).strip(" .")


def effective_type(declared: str, name: str) -> str:
    """Content type to store: the declared one when it says something, else what the name suggests."""
    declared = _TYPE_ALIASES.get(declared, declared)
    if declared.startswith("application/x-unknown-"):
        declared = (
            _type_by_suffix("." + declared.removeprefix("application/x-unknown-"))
            or "application/octet-stream"
        )
    if not _TYPE.fullmatch(declared):
        declared = "application/octet-stream"
    if declared == "application/octet-stream" and (match := _SUFFIX.search(name)):
        return _type_by_suffix(match.group().lower()) or declared
    return declared


def _type_by_suffix(suffix: str) -> str:
    return _EXTRA_TYPES.get(suffix) or _TYPES.types_map[True].get(suffix, "")


def suffix_for(content_type: str) -> str:
    return _EXTRA_SUFFIXES.get(content_type) or _TYPES.guess_extension(content_type, strict=True) or ".bin"


def declared_name(part: Part) -> str:
    """File name the sender gave, decoded, not yet safe. Empty when there is none."""
    _, params = part.disposition()
    name = params.get("filename") or part.params.get("name") or params.get("name") or ""
    if not name and (location := part.headers.first("content-location")):
        text = decode_header(location)
        tail = re.split(r"[\\/]", text.partition("?")[0].partition("#")[0])[-1]
        name = tail if _SUFFIX.search(tail) else ""
    # `name==?utf-8?B?…?=` leaves one equals sign too many in front of the encoded word.
    return decode_header(name.encode("utf-8", "replace")) if "=?" in name else name


def build_attachment(tree: Tree, part: Part, number: int, *, in_related: bool = False) -> Attachment:
    """The attachment for a leaf. ``number`` counts the files of the mail, for those without a name."""
    content, is_decoded = decode_content(tree, part)
    if not is_decoded:
        tree.note("bad-transfer-encoding")
    name = declared_name(part)
    content_type = part.content_type
    if name.endswith("\ufffd"):
        # Cut by the sender in the middle of a letter; the suffix was lost with the end.
        name = name.rstrip("\ufffd") + suffix_for(effective_type(content_type, ""))
    if content_type in ("message/rfc822", "message/global") or part.is_source:
        name = _message_name(name, content, number)
        content_type = "message/rfc822"
    else:
        content_type = effective_type(content_type, name)
        name = safe_file_name(name, f"attachment-{number}{suffix_for(content_type)}")
    disposition, _ = part.disposition()
    content_id = clean_line(decode_bytes(part.headers.first("content-id") or b"")[0]).strip("<> ")[:500]
    return Attachment(
        name=name,
        content_type=content_type,
        content=content,
        content_id=content_id,
        is_inline=disposition == "inline"
        or (disposition != "attachment" and bool(content_id) and in_related),
        is_source=part.is_source,
        charset=part.params.get("charset", "")[:40] if content_type.startswith("text/") else "",
    )


def _message_name(name: str, content: bytes, number: int) -> str:
    if not name:
        match = re.search(
            rb"(?im)^subject:[ \t]*([^\r\n]{1,500}(?:\r?\n[ \t][^\r\n]{1,500}){0,3})", content[:65_536]
        )
        name = decode_header(match.group(1)) if match else ""
        # A subject is prose: its slashes are no path.
        name = safe_file_name(name.replace("/", "-").replace("\\", "-"), f"message-{number}")
        return _shorten(name + ".eml")
    name = safe_file_name(name, f"message-{number}.eml")
    return name if _SUFFIX.search(name) else _shorten(name + ".eml")


def extract_uu_files(text: bytes, first_number: int) -> tuple[bytes, list[Attachment]]:
    """Cut uuencoded files out of a plain text; they come back as attachments."""
    files: list[Attachment] = []
    kept: list[bytes] = []
    while len(files) < 100 and (found := decode_uu(text)) is not None:
        raw_name, content, start, end = found
        name = safe_file_name(raw_name, f"attachment-{first_number + len(files)}.bin")
        files.append(Attachment(name, effective_type("application/octet-stream", name), content))
        kept.append(text[:start])
        text = text[end:]
    return b"".join([*kept, text]), files
