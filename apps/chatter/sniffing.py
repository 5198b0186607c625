"""What a file is, from its content: the name and the sender's word are only hints.

Anything that a browser would run or load documents with (HTML, SVG, XML, scripts, styles) becomes ``text/plain``
unless the file was made by this program. The answer is what the file is later served as, with ``nosniff``.
"""

from __future__ import annotations

import mimetypes
import re

PLAIN, BINARY = "text/plain", "application/octet-stream"
HEAD_BYTES = 8_192

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (257, b"ustar", "application/x-tar"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_ISO_BRANDS = {
    b"heic": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
# Formats that share a container; the name decides which one, among these only.
_IN_ZIP = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
}
_IN_OLE = {
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
}
_AS_TEXT = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": PLAIN,
    "md": "text/markdown",
    "json": "application/json",
    "ics": "text/calendar",
    "vcf": "text/vcard",
    "eml": "message/rfc822",
}
_ACTIVE = (
    "html htm xhtml xht shtml mht mhtml svg svgz xml xsl xslt xsd rss atom rdf wsdl mathml js mjs cjs jse vbs css "
    "hta htc swf php jsp asp aspx"
)
_ACTIVE_EXTENSIONS = frozenset(_ACTIVE.split())
_ACTIVE_TYPES = re.compile(
    r"\A(?:text/(?:html|xml|xsl|javascript|ecmascript|css|x-component|cache-manifest|vbscript|jscript)"
    r"|application/(?:xhtml\+xml|xml|xml-dtd|javascript|x-javascript|ecmascript|x-shockwave-flash|wasm)"
    r"|image/svg.*|multipart/.*|.*\+xml)\Z"
)
_MARKUP = re.compile(
    rb"<(?:!doctype|\?xml|html|head|body|script|svg|style|iframe|img|a|p|div|table|form|meta|link|title|br|math|object)"
    rb"[\s>/!?]",
    re.IGNORECASE,
)
# What a browser may show in place of saving it; anything else is offered as a download.
_INLINE = re.compile(
    r"\A(?:image/(?:png|jpeg|gif|webp|bmp|avif|x-icon)|application/pdf|text/plain|audio/(?:mpeg|ogg|wav|flac|mp4|webm)"
    r"|video/(?:mp4|webm|ogg))\Z"
)


def is_active(mimetype: str) -> bool:
    """Whether a browser would run it, or load other things because of it."""
    return bool(_ACTIVE_TYPES.match(mimetype.partition(";")[0].strip().lower()))


def may_show_inline(mimetype: str) -> bool:
    return bool(_INLINE.match(mimetype))


def sniff(head: bytes, name: str, declared: str = "") -> str:
    """The type of a file that begins with ``head`` (its first ``HEAD_BYTES``); may be an active one."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    known = _by_magic(head)
    if known == "application/zip":
        return _IN_ZIP.get(extension, known)
    if known == "application/x-ole-storage":
        return _IN_OLE.get(extension, known)
    if known:
        return known
    if _looks_like_text(head):
        return _text_type(head, extension)
    guessed = mimetypes.guess_type(name)[0] or declared.partition(";")[0].strip().lower()
    if (
        not guessed
        or is_active(guessed)
        or guessed.startswith(("text/", "image/"))
        or may_show_inline(guessed)
    ):
        return BINARY  # the content does not bear the name out
    return guessed[:120]


def safe_type(mimetype: str) -> str:
    """The type under which a file of unknown making is kept."""
    return PLAIN if is_active(mimetype) else mimetype


def _by_magic(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return _ISO_BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"BM") and len(head) < 26:
        return ""
    return next((kind for offset, magic, kind in _MAGIC if head[offset : offset + len(magic)] == magic), "")


def _looks_like_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head)


def _text_type(head: bytes, extension: str) -> str:
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\xfe \t\r\n").replace(b"\x00", b"")
    if extension in ("svg", "svgz") or re.match(
        rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<svg[\s>]", text, re.I | re.S
    ):
        return "image/svg+xml"
    if text[:5].lower() == b"<?xml" or extension in ("xml", "xsl", "xslt", "xsd"):
        return "application/xml"
    if extension in ("js", "mjs", "cjs", "jse", "vbs", "hta", "htc", "php", "jsp"):
        return "text/javascript"
    if extension == "css":
        return "text/css"
    if extension in _AS_TEXT and extension != "txt":
        return _AS_TEXT[extension]
    if extension in _ACTIVE_EXTENSIONS or _MARKUP.match(text):
        return "text/html"
    return PLAIN
