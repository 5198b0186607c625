"""Folding plain-text mails: what the sender wrote, what he quotes, how he signs.

Every decision is made per line in one pass from top and one from the bottom, so the time is linear. Nothing is
removed: a reply is a list of segments that cover the text.
"""

from __future__ import annotations

import re

from .types import Reply, Segment, SegmentKind

_HEADER_LABELS = (
    r"from|sent|to|cc|bcc|subject|date|reply-to|von|gesendet|an|kopie|betreff|datum|de|envoyé|à|objet"
    r"|enviado(?: el)?|para|asunto|fecha|da|inviato|a|oggetto|data|assunto|enviada(?: em)?|van|verzonden|aan|onderwerp"
    r"|fra|sendt|til|emne|från|skickat|till|ämne|od|wysłano|do|temat|от|кому"
    r"|тема|дата|差出人|送信日時|宛先|件名"
    r"|发件人|发送时间|收件人|主题"
)
_HEADER_COLON = re.compile(rf"[ \t]*[*_]{{0,2}}({_HEADER_LABELS})[ \t]?(?::[*_]{{0,2}}|[*_]{{1,2}}:)", re.I)
_SENDER_LABEL = re.compile(
    r"[ \t]*[*_]{0,2}(?:from|von|de|da|van|fra|från|od|от|差出人|发件人)[ \t]?[*_]{0,2}:", re.I
)

_WROTE = (
    r"wrote|writes|schrieb(?: am [^\n]{0,60})?|geschrieben|a écrit|escribió|escreveu|ha scritto|schreef|skrev"
    r"|pisze|napisał(?:\(a\))?|napsal(?:\(a\))?|пишет|написал(?:\(а\))?|kirjoitti|写道|書きました"
)
_ATTRIBUTION_END = re.compile(rf"(?:{_WROTE})[ \t]?(?:[^\n:]{{0,60}})?[:\uff1a][ \t]*$", re.I)
_ATTRIBUTION_START = re.compile(
    r"[ \t]*(?:on|am|le|el|em|op|il|w dniu|den|dne|no dia|\d{4}[-/.年]|\d{1,2}[-/. ]|[^\s].{0,80}[<(][^\s<>()]+@)",
    re.I,
)
_EVIDENCE = re.compile(r"\d|@")
_ORIGINAL = re.compile(
    r"[ \t]*[-_=*]{2,}[ \t]*(?:original message|original appointment|ursprüngliche nachricht|message d['\u2019]origine"
    r"|mensaje original|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse"
    r"|ursprungligt meddelande|reply above this line|please (?:type|write) your reply above this line)[ \t]*[-_=*]{2,}[ \t]*$",
    re.I,
)
_REPLY_ABOVE = re.compile(
    r"[ \t]*[-#=*]{2,}[ \t]*(?:please )?(?:type|write|enter)?[ \t]*(?:your )?reply above this line", re.I
)
_FORWARD = re.compile(
    r"[ \t]*(?:[-_=]{2,}[ \t]*(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado"
    r"|messaggio inoltrato|mensagem encaminhada|doorgestuurd bericht)|begin forwarded message:"
    r"|anfang der weitergeleiteten)",
    re.I,
)
_RULE = re.compile(r"[ \t]*(?:_{5,}|-{5,}|={5,})[ \t]*$")
_FOOTER_RULE = re.compile(r"_{5,}[ \t]*$")
_SIGNATURE_MARK = re.compile(r"(?:--|\u2014|\u2013\u2013)[ \t]*$")
_NAME_LINE = re.compile(r"[-\u2013\u2014]{1,2}[ \t]?[^\W\d_][^\n.,:;!?]{0,40}$")
_TIGHT_NAME_LINE = re.compile(r"-[^\W\d_][^\n:;!?]{0,60}$")
_DEVICE = re.compile(
    r"(?:sent from (?:my|the|your) [\w+&\u2019' -]{1,50}|sent (?:from|via|with) (?:outlook|mail|yahoo|samsung|proton|gmail|aol)[\w\u2019' .-]{0,50}"
    r"|get outlook for (?:ios|android)(?: ?<[^>\s]*>)?|von meinem [\w+\u2019' -]{1,40} gesendet|gesendet (?:von|mit) [\w+\u2019' -]{1,50}"
    r"|envoyé (?:de|depuis) mon [\w+\u2019' -]{1,40}|enviado desde mi [\w+\u2019' -]{1,40}|enviado do meu [\w+\u2019' -]{1,40}"
    r"|inviato da(?:l mio)? [\w+\u2019' -]{1,40}|verzonden vanaf mijn [\w+\u2019' -]{1,40}|iphoneから送信)\.?$",
    re.I,
)
_MAX_HEADER_LINES = 4
_MAX_FOOTER_LINES = 15
MAX_LINES = 20_000
"""Lines that are looked at. What follows in so long a text shares the fate of the last of them."""


class _Lines:
    """A text as lines with their offsets, line ends included in the offsets."""

    def __init__(self, text: str) -> None:
        self.starts: list[int] = []
        self.texts: list[str] = []
        position = 0
        while position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 or len(self.texts) == MAX_LINES else end + 1
            self.starts.append(position)
            # Only the first characters of a line decide; the rest of a monster line is not looked at.
            self.texts.append(text[position : min(end, position + 1_000)].rstrip())
            position = end
        self.starts.append(len(text))

    def __len__(self) -> int:
        return len(self.texts)


def visible_reply(text: str) -> Reply:
    """Fold ``text``. When nothing would stay visible, everything does."""
    lines = _Lines(text)
    kinds = _classify(lines)
    if not any(
        kind is SegmentKind.VISIBLE and lines.texts[index].strip() for index, kind in enumerate(kinds)
    ):
        kinds = [SegmentKind.VISIBLE] * len(lines)
    segments = _segments(lines, kinds)
    return Reply(
        text=text,
        visible=_joined(text, segments, SegmentKind.VISIBLE),
        quoted=_joined(text, segments, SegmentKind.QUOTED),
        signature=_joined(text, segments, SegmentKind.SIGNATURE),
        segments=segments,
    )


def _joined(text: str, segments: tuple[Segment, ...], kind: SegmentKind) -> str:
    pieces = [text[segment.start : segment.end] for segment in segments if segment.kind is kind]
    joined = "".join(pieces).replace("\r\n", "\n")
    return joined.strip("\n").rstrip() if kind is SegmentKind.VISIBLE else joined.strip("\n")


def _classify(lines: _Lines) -> list[SegmentKind]:
    count = len(lines)
    quoted = _quoted_lines(lines)
    cut = _cut_line(lines, quoted)
    kinds = [SegmentKind.VISIBLE] * cut + [SegmentKind.QUOTED] * (count - cut)
    # From the bottom: what is quoted and has no answer below it is folded.
    end = cut
    while end:
        index = end - 1
        if quoted[index]:
            kinds[index] = SegmentKind.QUOTED
            end = index
        elif not lines.texts[index].strip():
            # Blank lines belong to whatever is folded around them, decided when the next text is seen.
            end = index
        else:
            start = _signature_start(lines, quoted, end)
            if start is None:
                break
            for line in range(start, end):
                kinds[line] = SegmentKind.SIGNATURE
            end = start
    return kinds


def _quoted_lines(lines: _Lines) -> list[bool]:
    """Which lines are quotes: those with a mark, and the line or lines that introduce them."""
    count = len(lines)
    quoted = [
        text.lstrip(" \t")[:1] == ">" and not text.lstrip().startswith(">From ") for text in lines.texts
    ]
    index = 0
    while index < count:
        length = 0 if quoted[index] else _attribution_length(lines, index)
        if not length:
            index += 1
            continue
        following = index + length
        while following < count and following < index + length + 6 and not lines.texts[following]:
            following += 1
        if following < count and quoted[following]:
            for line in range(index, following):
                quoted[line] = True
        index += length
    # Blank lines between quoted lines, and wrapped rests of long quoted lines, belong to the quote.
    for index in range(1, count - 1):
        if not lines.texts[index] and quoted[index - 1] and quoted[index + 1]:
            quoted[index] = True
    return quoted


def _attribution_length(lines: _Lines, index: int) -> int:
    """Number of lines of an "On … somebody wrote:" that begins at ``index``; 0 when there is none."""
    first = lines.texts[index]
    if not first or not _ATTRIBUTION_START.match(first[:200]):
        return 0
    collected = ""
    for offset in range(_MAX_HEADER_LINES):
        if index + offset >= len(lines):
            return 0
        line = lines.texts[index + offset]
        if not line or line.lstrip()[:1] == ">" or len(line) > 300:
            return 0
        collected += " " + line.strip()
        if _ATTRIBUTION_END.search(line[-160:]):
            return offset + 1 if _EVIDENCE.search(collected) else 0
        if line.endswith((".", "!", "?", ":")) and not re.search(r"\b[ap]\.?m\.$", line, re.I):
            return 0
    return 0


def _cut_line(lines: _Lines, quoted: list[bool]) -> int:
    """First line of an unmarked earlier mail: everything from there on is quoted. ``len(lines)`` when none."""
    count = len(lines)
    last_quoted = max((index for index in range(count) if quoted[index]), default=-1)
    for index in range(count):
        line = lines.texts[index]
        if not line or quoted[index]:
            continue
        if _FORWARD.match(line):
            return count
        if _ORIGINAL.match(line) or _REPLY_ABOVE.match(line):
            return index
        if _is_header_block(lines, index):
            return _with_rule_above(lines, index)
        length = _attribution_length(lines, index)
        # Some clients quote without marks; then the introduction stands alone on its paragraph.
        if length and (index == 0 or not lines.texts[index - 1]) and last_quoted < index + length:
            return index
    return count


def _is_header_block(lines: _Lines, index: int) -> bool:
    """``From:`` and at least two more header lines, as Outlook writes above the mail it quotes."""
    if not _SENDER_LABEL.match(lines.texts[index]):
        return False
    seen = 0
    for line in lines.texts[index : index + 8]:
        if not line:
            break
        if _HEADER_COLON.match(line):
            seen += 1
    return seen >= 3


def _with_rule_above(lines: _Lines, index: int) -> int:
    above = index
    while above and not lines.texts[above - 1].strip():
        above -= 1
    return above - 1 if above and _RULE.match(lines.texts[above - 1]) else index


def _signature_start(lines: _Lines, quoted: list[bool], end: int) -> int | None:
    """Where the signature or list footer that ends at ``end`` begins; None when the text there is no such."""
    last = end - 1
    if _DEVICE.match(lines.texts[last].strip()):
        return last
    blank_seen = False
    for index in range(last, max(-1, last - _MAX_FOOTER_LINES), -1):
        line = lines.texts[index]
        if quoted[index]:
            return None
        if _SIGNATURE_MARK.match(line) or _FOOTER_RULE.match(line):
            return index
        if not line:
            blank_seen = True
        elif index == last and not blank_seen and _is_name_line(lines, index):
            return index
    return None


def _is_name_line(lines: _Lines, index: int) -> bool:
    """``-Jane`` or ``— Jane Doe`` alone in its paragraph; a list item has a sibling or a long text."""
    line = lines.texts[index]
    if index and lines.texts[index - 1]:
        return False
    return bool(_TIGHT_NAME_LINE.match(line) or (_NAME_LINE.match(line) and line[:2] in ("--", "\u2014 ")))


def _segments(lines: _Lines, kinds: list[SegmentKind]) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for index, kind in enumerate(kinds):
        start, end = lines.starts[index], lines.starts[index + 1]
        if segments and segments[-1].kind is kind:
            segments[-1] = Segment(kind, segments[-1].start, end)
        else:
            segments.append(Segment(kind, start, end))
    return tuple(segments)
