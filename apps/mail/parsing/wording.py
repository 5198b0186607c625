"""Words by which mail systems say that a mail did not arrive, in the languages they say it in.

The patterns describe the general form of such texts, not single products. No match decides alone:
:mod:`apps.mail.parsing.bounce` asks for several kinds of evidence.
"""

from __future__ import annotations

import re

DAEMON_LOCAL_PARTS = frozenset(
    {
        "bouncehandler",
        "daemon",
        "maildaemon",
        "maildelivery",
        "maildeliverysubsystem",
        "maildeliverysystem",
        "mailerdaemon",
        "mailsystem",
        "microsoftexchange",
        "postmaster",
    }
)
"""Local parts, letters only, of addresses that mail systems write from."""

DAEMON_NAME = re.compile(
    r"mail(?:er)?[ _-]?(?:delivery|daemon)|delivery (?:sub)?system|mail (?:system|server) admin|postmaster"
    r"|system ?administrator|administrateur syst",
    re.I,
)


def _any(*groups: tuple[str, ...]) -> str:
    return "(?:" + "|".join(phrase for group in groups for phrase in group) + ")"


_ENGLISH_SUBJECTS = (
    r"undeliver(?:ed|able)\b",
    r"non[- ]?deliver(?:y|able)",
    r"returned (?:e-?)?mail\b",
    r"failure notice",
    r"(?:e-?mail )?delivery (?:status notification|failure|failed|has failed|error|report|notification)",
    r"message delivery (?:failure|failed|has failed)",
    r"(?:e-?)?mail (?:delivery )?(?:status notification|failed|failure|error|could not be delivered|system error)",
    r"message (?:has )?(?:failed|could not be delivered|undeliverable|not delivered)",
    r"(?:could not|unable to) (?:send|deliver)",
    r"there was an error sending your mail",
    r"postmaster notify",
    r"warning: (?:message|could not send)",
    r"delayed mail",
    r"(?:delivery|message) delayed",
    r"(?:e-?mail )?bounce notification",
    r"(?:mail )?loop (?:alert|detected|warning)",
    r"rejected mail|mail rejected",
)
_OTHER_SUBJECTS = (
    # German
    r"unzustellbar",
    r"zustellung (?:fehlgeschlagen|nicht)",
    r"(?:ihre )?nachricht nicht zugestellt",
    r"nicht zustellbar",
    # French
    r"échec de (?:la )?(?:remise|distribution)",
    r"non (?:remis|distribué)",
    r"courrier non",
    # Spanish, Portuguese, Italian
    r"no se (?:puede|pudo) entregar",
    r"no entregado|mensaje devuelto|error de entrega",
    r"não entregue|falha na entrega|mensagem não entregue",
    r"mancat[ao] (?:consegna|recapito)",
    r"impossibile (?:recapitare|consegnare)|non recapitabile",
    # Dutch, Swedish, Danish
    r"onbestelbaar|niet (?:bezorgd|afgeleverd)",
    r"kan inte levereras|kunne ikke leveres",
    # Russian
    r"недостав|(?:ваше )?сообщение не доставлено",
    # Japanese, Chinese
    r"配信(?:不能|エラー|失敗)|送信できません",
    r"退信|系统退信",
)
FAILURE_SUBJECT = re.compile(
    r"^\W{0,3}(?:\[?postmaster\]?:?\s*)?" + _any(_ENGLISH_SUBJECTS, _OTHER_SUBJECTS), re.I
)

# Said about mailboxes and mail hosts only; a parcel service writes none of these.
_STATES = r"(?:not found|does not exist|doesn't exist|(?:is )?unavailable|(?:is|has been) disabled|is inactive|(?:is )?full)"
FAILURE_PHRASE = re.compile(
    _any(
        (
            r"user unknown",
            r"unknown (?:user|recipient|account)",
            r"no such (?:user|recipient|mailbox|account|person)",
            rf"(?:user|recipient|mailbox|account|address)(?: name)? {_STATES}",
            r"mailbox (?:is )?(?:frozen|exceed)",
            r"mailfolder is full",
            r"over ?quota|quota exceeded|exceeded the local limit",
            r"invalid (?:recipient|address|user address|mailbox|final delivery)",
            r"unrouteable (?:address|mail domain)",
            r"host (?:unknown|not found|name lookup failure)",
            r"domain name not found|couldn't find any host|(?:domain|host) does not exist",
            r"recipient (?:address )?rejected|rejected recipient",
            r"relay(?:ing)? (?:access )?denied|unable to relay",
            r"message too large",
            r"does(?: not|n't) (?:have an account|like recipient|advertise auth)",
            r"too many hops|mail loop|duplicated message-id",
            r"retry time(?:out)? (?:not reached|exceeded)",
            r"connection timed out|socket error",
            r"empfänger unbekannt|postfach (?:ist )?voll",
            r"adresse (?:inconnue|invalide)|utilisateur inconnu",
            r"usuario desconocido|buzón lleno",
            r"utente sconosciuto|casella piena",
        )
    ),
    re.I,
)

FAILURE_SENTENCE = re.compile(
    _any(
        (
            r"(?:could|can|was|has|have|did|would)(?: ?not|n't)(?: yet)? (?:able to )?(?:be )?(?:been )?(?:deliver|reach)",
            r"(?:unable|failed) to deliver",
            r"delivery (?:to the following|failed|has failed)",
            r"undeliverable (?:to|mail|message)",
            r"(?:recipients?|address(?:es)?)\S{0,5} (?:failed|had (?:permanent|delivery|fatal)|(?:was|were) rejected)",
            r"following (?:recipients|addresses) (?:had|failed|was|were|did)",
            r"permanent(?: fatal)? error",
            r"message (?:that )?you (?:have )?sent|you sent (?:was|were|could)",
            r"was (?:rejected|undeliverable)|not delivered to",
            r"error (?:delivering|occurred while trying to deliver)|trouble delivering",
            r"returned to (?:you|sender)|has been delayed|did not reach",
            r"konnte nicht zugestellt",
            r"n'a pas pu être",
            r"no (?:ha|pudo) (?:podido )?ser entregad",
            r"non è stato possibile",
            r"не может быть доставлено",
            r"送信できません|配信できません|送信に失敗",
        )
    ),
    re.I,
)

SMTP_REPLY = re.compile(
    r"(?:^|[\s:>\[(=#'\"])([45])(\d\d)(?:[ :-]+|[ -]+#?)(?=(?:[45]\.\d{1,3}\.\d{1,3})?\b|[<A-Z])"
    r"|\(#[45]\.\d\.\d\)",
    re.I,
)
"""A reply of a mail server, as ``550 5.1.1 …`` or ``(#5.1.2)``; the first group is its class, if any."""

DELAY_WORDING = re.compile(
    r"has(?: ?not|n't) yet been delivered|has been delayed|delivery (?:attempts will|is) (?:continue|delayed)"
    r"|will be retried|still being retried|warning message only|this is a warning only|not need to resend"
    r"|delayed \d+ hours|\(delay\)|temporarily deferred|will (?:keep|continue) (?:on )?trying|wird weiter versucht",
    re.I,
)
PERMANENT_WORDING = re.compile(
    r"permanent(?:ly)?\b|given up|giving up|no further delivery|will not be retried", re.I
)

ORIGINAL_FOLLOWS = re.compile(
    r"^[\s*=_#>-]{0,40}(?:below this line is a copy|(?:this is )?a copy of (?:the|your) (?:original )?message"
    r"|original (?:e-?mail|message|mail)\b|(?:returned|unsent|undelivered|rejected|bounced) (?:e-?mail|message)"
    r"|included is a copy|message headers? follow|(?:the )?headers? of the original"
    r"|your (?:original )?message (?:follows|is attached)|received: (?:from|by)\b|return-path:)[^\n]{0,120}$",
    re.I | re.M,
)
"""Lines that introduce the returned mail. What stands behind them is no statement of the mail system."""

_AUTO_REPLY_SUBJECTS = (
    r"auto(?:mati(?:c|sche|sch|que))?[ :-]?(?:reply|respons\w*|antwort|beantwortung|generated reply)\b",
    r"out of (?:the )?office(?: auto-?reply| reply| response)?\s*(?:$|[:-])",
    r"vacation (?:reply|response)",
    r"abwesenheits(?:notiz|nachricht|assistent)|automatische (?:antwort|beantwortung)",
    r"réponse automatique|absence du bureau",
    r"respuesta automática|fuera de (?:la )?oficina\s*(?:$|[:-])",
    r"risposta automatica|fuori sede\s*(?:$|[:-])",
    r"resposta automática",
    r"automatische? antwoord",
    r"autosvar|automaattinen vastaus|odpowiedź automatyczna",
    r"авто(?:матический )?ответ",
    r"自動応答|自动回复",
)
AUTO_REPLY_SUBJECT = re.compile(r"^\W{0,3}(?:re:\s*)?" + _any(_AUTO_REPLY_SUBJECTS), re.I)

COMPLAINT_SUBJECT = re.compile(r"^\s*complaint about message from \[?[0-9a-f.:]+\]?\s*$", re.I)
