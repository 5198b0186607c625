"""Smaller versions of pictures, made when they are asked for."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_SIDE = 1920
MAX_PIXELS = 50_000_000
_SIZE = re.compile(r"\A(\d{0,4})x(\d{0,4})\Z")
_SCALABLE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"})


class NotAPicture(Exception):
    """The content cannot be scaled: damaged, too large, or no picture at all."""


def parse_size(text: str) -> tuple[int, int] | None:
    """``320x240``, ``320x`` or ``x240`` as width and height; a missing side is unbounded. ``None`` for nonsense."""
    found = _SIZE.match(text)
    if found is None:
        return None
    width, height = (int(part or 0) for part in found.groups())
    if not width and not height:
        return None
    return min(width or MAX_SIDE, MAX_SIDE), min(height or MAX_SIDE, MAX_SIDE)


def scalable(mimetype: str) -> bool:
    return mimetype in _SCALABLE


def scaled(file: BinaryIO, size: tuple[int, int], *, crop: bool = False) -> tuple[bytes, str]:
    """The picture turned upright and made to fit into ``size`` (or to fill it, with ``crop``), never larger than it
    is; with its type. Raises ``NotAPicture``."""
    try:
        with Image.open(file) as source:
            if source.width * source.height > MAX_PIXELS:
                raise NotAPicture(f"{source.width}x{source.height} has more than {MAX_PIXELS} pixels")
            source.draft("RGB", size)  # JPEG: decode at a fraction of the size where that is enough
            upright = ImageOps.exif_transpose(source)
            if crop:
                width, height = min(size[0], upright.width), min(size[1], upright.height)
                upright = ImageOps.fit(upright, (max(1, width), max(1, height)))
            else:
                upright.thumbnail(size)
            return _encoded(upright, opaque=source.format == "JPEG")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as exc:
        raise NotAPicture(str(exc)) from exc


def _encoded(picture: Image.Image, *, opaque: bool) -> tuple[bytes, str]:
    target = io.BytesIO()
    if opaque:
        picture.convert("RGB").save(target, "JPEG", quality=85, optimize=True)
        return target.getvalue(), "image/jpeg"
    if picture.mode not in ("RGB", "RGBA", "L", "LA"):
        picture = picture.convert("RGBA")
    picture.save(target, "PNG", optimize=True)
    return target.getvalue(), "image/png"
