"""Marking quoted earlier mails in HTML. Nothing is removed; readers fold what is marked.

Works on the tokens of sanitised HTML that still has its classes and ids, in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from apps.core.markup import VOID, Token

OWN_LAYOUT_CLASS = "meridian-mail"
"""Class of the outermost element of our notification layout; in a reply it is what the customer quotes."""

QUOTED_CLASS = "quoted"
"""Class that marked elements carry besides ``data-quoted``; the screens fold by it."""

_QUOTE_CLASSES = frozenset(
    {QUOTED_CLASS, "gmail_quote", "gmail_quote_container", "gmail_extra", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote",
     "zmail_extra", "cite", "quote-container", OWN_LAYOUT_CLASS}
)  # fmt: skip
_QUOTE_IDS = frozenset({OWN_LAYOUT_CLASS, "isreplycontent", "mailcontainerbody", "replysplit"})
_SIGNATURE_CLASSES = frozenset({"gmail_signature", "moz-signature", "protonmail_signature_block"})
_SIGNATURE_IDS = frozenset({"signature", "ms-outlook-mobile-signature"})
# Everything behind these is an earlier mail; clients put the marker before it, not around it.
_CUT_IDS = frozenset(
    {"appendonsend", "divrplyfwdmsg", "stopspelling", "mail-editor-reference-message-container", "replyforwardmessage",
     "ms-outlook-mobile-body-separator-line"}
)  # fmt: skip
_OUTLOOK_RULE = re.compile(r"border-top:\s*solid\s+#(?:e1e1e1|b5c4df)\b", re.I)
_FORWARD = re.compile(
    r"^\W{0,10}\s*(?:-{2,}\s*)?(?:begin forwarded message|forwarded message|(?:anfang der )?weitergeleitete\s?(?:nachricht|e-mail)"
    r"|message (?:transféré|transmis)|mensaje reenviado|messaggio inoltrato|mensagem encaminhada"
    r"|doorgestuurd bericht|転送)",
    re.I,
)
_LOOK_AHEAD = 30


class QuoteMarker:
    """One pass over the tokens of a document."""

    def __init__(self) -> None:
        self.is_cut = False
        self.stack: list[bool] = []
        self.visible_text = False

    def mark(self, tokens: list[Token]) -> list[Token]:
        marked = list(self._marked(tokens))
        # A mail that is nothing but quote was sent to be read.
        return marked if self.visible_text else [_unmarked(token) for token in marked]

    def _marked(self, tokens: list[Token]) -> Iterator[Token]:
        for index, token in enumerate(tokens):
            is_inside = bool(self.stack and self.stack[-1])
            if token.kind == "text":
                if is_inside or not token.value.strip():
                    yield token
                elif self.is_cut:
                    yield Token("open", "span", (("data-quoted", "1"),))
                    yield token
                    yield Token("close", "span")
                else:
                    self.visible_text = True
                    yield token
            elif token.kind == "close":
                if self.stack and token.value not in VOID:
                    self.stack.pop()
                yield token
            else:
                yield self._opened(tokens, index, token, is_inside=is_inside)

    def _opened(self, tokens: list[Token], index: int, token: Token, *, is_inside: bool) -> Token:
        is_quote = is_signature = False
        is_settled = ("data-quoted", "0") in token.attributes
        if not is_inside and not is_settled:
            classes, identity = _marks(token)
            if identity in _CUT_IDS or _is_outlook_rule(token):
                self.is_cut = self.is_cut or not _is_forward(tokens, index)
            is_quote = self.is_cut or (
                (token.value == "blockquote" or bool(classes & _QUOTE_CLASSES) or identity in _QUOTE_IDS)
                and not _is_forward(tokens, index)
            )
            is_quote = is_quote or ("data-quoted", "1") in token.attributes
            is_signature = bool(classes & _SIGNATURE_CLASSES) or identity in _SIGNATURE_IDS
            is_signature = is_signature or ("data-signature", "1") in token.attributes
            if token.value == "img" and not is_quote and not is_signature:
                self.visible_text = True
        if is_settled:
            self.visible_text = True
        if token.value not in VOID:
            self.stack.append(is_inside or is_quote or is_signature or is_settled)
        if is_quote:
            return Token("open", token.value, (*token.attributes, ("data-quoted", "1")))
        if is_signature:
            return Token("open", token.value, (*token.attributes, ("data-signature", "1")))
        return token


def _unmarked(token: Token) -> Token:
    # "0" says that the question was settled: the same document marked again must not come out folded.
    return token._replace(
        attributes=tuple(
            ("data-quoted", "0") if pair[0] == "data-quoted" else pair for pair in token.attributes
        )
    )


def _marks(token: Token) -> tuple[set[str], str]:
    """Lower-case classes and id; some clients put ``x_`` before the names they quote."""
    classes: set[str] = set()
    identity = ""
    for key, value in token.attributes:
        if key == "class":
            classes = {_plain(word) for word in value.lower().split()[:20]}
        elif key == "id":
            identity = _plain(value.strip().lower())
    return classes, identity


def _plain(word: str) -> str:
    while word.startswith("x_"):
        word = word[2:]
    return word


def _is_outlook_rule(token: Token) -> bool:
    if token.value != "div":
        return False
    style = next((value for key, value in token.attributes if key == "style"), "")
    return bool(_OUTLOOK_RULE.search(style[:500]))


def _is_forward(tokens: list[Token], index: int) -> bool:
    """Whether the text that begins here says it was forwarded: then it is the message, not its history."""
    seen = ""
    for token in tokens[index + 1 : index + 1 + _LOOK_AHEAD]:
        if token.kind == "text" and token.value.strip():
            seen += " " + token.value.strip()
            if len(seen) > 60:
                break
    return bool(_FORWARD.match(seen.strip()))
