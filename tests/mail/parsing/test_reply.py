"""Folding of plain text, on texts of our own."""

from __future__ import annotations

import pytest

from apps.mail.parsing import SegmentKind, visible_reply


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Hello\n", "Hello"),
        ("Yes.\n\nOn Mon, 1 Jan 2024 at 10:00, Ann <ann@x.org> wrote:\n> old\n> older\n", "Yes."),
        ("Yes.\n\nOn Mon, 1 Jan 2024 at 10:00, Ann\n<ann@x.org>\nwrote:\n\n> old\n", "Yes."),
        ("Ja.\n\nAm 01.01.2024 um 10:00 schrieb Ann <ann@x.org>:\n> alt\n", "Ja."),
        ("Oui.\n\nLe lun. 1 janv. 2024 à 10:00, Ann <ann@x.org> a écrit :\n> vieux\n", "Oui."),
        ("Sí.\n\nEl lun, 1 ene 2024 a las 10:00, Ann (<ann@x.org>) escribió:\n> viejo\n", "Sí."),
        ("Ok\n\n-----Original Message-----\nFrom: Ann\nSent: today\n\nold\n", "Ok"),
        ("Ok\n\n-----Ursprüngliche Nachricht-----\nVon: Ann\n", "Ok"),
        ("Ok\n________________________________\nVon: Ann <a@x>\nGesendet: Montag\nAn: Bob\nBetreff: x\n\nalt", "Ok"),
        ("Ok\n\nDe : Ann\nEnvoyé : lundi\nÀ : Bob\nObjet : x\n\nvieux", "Ok"),
        ("Ok\n\n##- Please type your reply above this line -##\n\nTicket 7 …", "Ok"),
        ("Text\n\n-- \nAnn\nExample Ltd\n", "Text"),
        ("Text\n\nSent from my iPhone", "Text"),
        ("Text\n\nVon meinem iPhone gesendet", "Text"),
        ("Text\n\nGet Outlook for iOS<https://aka.ms/o0ukef>", "Text"),
        ("Text\n\n_______________________\nlist mailing list\nlist@x.org\n", "Text"),
        ("See the following:\n- one\n- two\n", "See the following:\n- one\n- two"),
        ("On your host you can run 3 things:\n\n  ls\n", "On your host you can run 3 things:\n\n  ls"),
        ("He wrote:\n\nsomething of mine\n", "He wrote:\n\nsomething of mine"),
        ("From: is a word I like\nTo be or not\n", "From: is a word I like\nTo be or not"),
        ("> question 1\nanswer 1\n> question 2\nanswer 2\n\n> rest\n", "> question 1\nanswer 1\n> question 2\nanswer 2"),
        ("FYI\n\n---------- Forwarded message ---------\nFrom: Ann\nDate: x\nSubject: y\n\nbody", "FYI\n\n---------- Forwarded message ---------\nFrom: Ann\nDate: x\nSubject: y\n\nbody"),
        ("> only a quote\n> and nothing else\n", "> only a quote\n> and nothing else"),
        ("", ""),
        ("\n\n", ""),
    ],
)  # fmt: skip
def test_what_stays_visible(text: str, visible: str) -> None:
    for version in (text, text.replace("\n", "\r\n")):
        reply = visible_reply(version)

        assert reply.visible == visible
        assert "".join(version[part.start : part.end] for part in reply.segments) == version


def test_quote_and_signature_are_told_apart() -> None:
    reply = visible_reply("Text\n\n-- \nAnn\n\nOn Mon, 1 Jan 2024, Bob wrote:\n> old\n")

    assert reply.visible == "Text"
    assert reply.signature == "-- \nAnn"
    assert reply.quoted == "On Mon, 1 Jan 2024, Bob wrote:\n> old"
    assert [part.kind for part in reply.segments] == [
        SegmentKind.VISIBLE, SegmentKind.SIGNATURE, SegmentKind.VISIBLE, SegmentKind.QUOTED,
    ]  # fmt: skip
