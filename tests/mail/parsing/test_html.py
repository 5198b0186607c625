"""Sanitising, quote marks and conversions between HTML and text."""

from __future__ import annotations

import pytest

from apps.mail.parsing import (
    OWN_LAYOUT_CLASS,
    html_to_text,
    mark_quotes,
    preview,
    sanitize_html,
    text_to_html,
)
from apps.mail.parsing.sanitize import clean_style

LINK = 'rel="noopener noreferrer nofollow" target="_blank"'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<script>alert(1)</script>x", "x"),
        ("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"),
        ("<style>p{color:red}</style><title>t</title>body", "body"),
        ("<img src=x onerror=alert(1)>", "<img>"),
        ("<IMG SRC='javascript:alert(1)'>", "<img>"),
        ("<svg><script>alert(1)</script></svg><math><mi>x</mi></math>t", "t"),
        ('<p onclick="x()" onmouseover=y>a</p>', "<p>a</p>"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="jav&#x09;ascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="&#106;avascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="vbscript:x">x</a><a href="data:text/html,x">y</a>', "<a>x</a><a>y</a>"),
        ('<a href="/logout">x</a><a href="?a">y</a><a href="#z">z</a>', "<a>x</a><a>y</a><a>z</a>"),
        ('<a href="https://x.org/?a=1&copy=2">x</a>', f'<a href="https://x.org/?a=1&amp;copy=2" {LINK}>x</a>'),
        ('<a href="//x.org/">x</a>', f'<a href="https://x.org/" {LINK}>x</a>'),
        ('<a href="mailto:a@b.c" target=_self rel=me>x</a>', f'<a href="mailto:a@b.c" {LINK}>x</a>'),
        ("<form action=x><input name=q><button>Go</button></form>", "Go"),
        ("<iframe src=x>a</iframe><object data=y>b</object><embed src=z>c", "c"),
        ("<base href=x><meta http-equiv=refresh content=0><link rel=stylesheet href=y>c", "c"),
        ("<p style='color:red;background:url(//x)'>a</p>", '<p style="color: red">a</p>'),
        ('<p class="x y" id="z">a</p>', "<p>a</p>"),
        ("<td background=//x bgcolor=red>a</td>", "a"),
        ('<img src="https://x.org/p.png" srcset="https://x.org/2 2x" alt="pic">', '<img alt="pic" data-remote-src="https://x.org/p.png">'),
        ('<img src="data:image/png;base64,QUJD">', '<img src="data:image/png;base64,QUJD">'),
        ('<img src="data:image/svg+xml;base64,QUJD"><img src="data:text/html,x">', "<img><img>"),
        ('<img src="/own/logout"><img src="x.png">', "<img><img>"),
        ('<img data-remote-src="javascript:x">', "<img>"),
        ("<table width=100 width=5><tr><td nowrap>x", '<table width="100"><tbody><tr><td nowrap="">x</td></tr></tbody></table>'),
        ("<blockquote type=cite>q</blockquote>", "<blockquote>q</blockquote>"),
        ("<!-- c --><![if !mso]>a<![endif]><?xml x?><!doctype html>b", "ab"),
        ("<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", '<p title="&lt;/noscript&gt;&lt;img src=x onerror=alert(1)&gt;"></p>'),
        ("<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>", "<img><table></table>"),
        ("<textarea><img src=x></textarea><select><option>a</select>b", "b"),
        ("<plaintext>a<b>c", "a<b>c</b>"),
        ("a < b > c & d", "a &lt; b &gt; c &amp; d"),
        ("a\x00b&#0;c&#99999999999;d&#xD800;", "ab\ufffdc\ufffdd\ufffd"),
        ("<o:p>x</o:p><font face=Arial size=7 color='url(x)'>y</font>", 'x<font face="Arial" size="7">y</font>'),
        ("<style>never closed <p>text</p>", "never closed <p>text</p>"),
        ("<!-- never closed <p>text</p>", "text<p></p>"),
        ('<a href="never closed <p>text</p>', "<a>text<p></p></a>"),
        ("", ""),
    ],
)  # fmt: skip
def test_sanitising(source: str, expected: str) -> None:
    result = sanitize_html(source)

    assert result == expected
    assert sanitize_html(result) == result


def test_inline_images_get_our_urls_and_can_be_mapped_again() -> None:
    source = '<img src="cid:logo@x"><img src="CID:%6cogo@x"><img src="cid:unknown">'
    urls = {"<logo@x>": "/files/1?t=a&u=b"}

    mapped = sanitize_html(source, cid_urls=urls)

    assert mapped == (
        '<img data-cid="logo@x" src="/files/1?t=a&amp;u=b"><img data-cid="%6cogo@x" src="/files/1?t=a&amp;u=b">'
        '<img data-cid="unknown">'
    )
    assert sanitize_html(mapped, cid_urls=urls) == mapped
    unmapped = sanitize_html(mapped)
    assert "src=" not in unmapped
    assert sanitize_html(unmapped, cid_urls=urls) == mapped


def test_relative_links_are_for_our_own_users() -> None:
    assert (
        sanitize_html('<a href="/tasks/7">x</a>', allow_relative_links=True)
        == f'<a href="/tasks/7" {LINK}>x</a>'
    )
    assert sanitize_html('<a href="/\\evil.org">x</a>', allow_relative_links=True) == "<a>x</a>"


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("COLOR: Red ; font-size:12px", "color: Red; font-size: 12px"),
        ("position:fixed;top:0;z-index:9", ""),
        ("width:expression(alert(1))", ""),
        ("background:url(x)", ""),
        ("background:#fff", "background: #fff"),
        ("color:rgb(1, 2, 3)", "color: rgb(1, 2, 3)"),
        ("margin:-100px", ""),
        ("margin-left: 1em", "margin-left: 1em"),
        ("color:r\\65d", ""),
        ("color:/**/red", ""),
        ("display:none", "display: none"),
        ("display:flex", ""),
        ("behavior:x;-moz-binding:y", ""),
        ("color:red;color:blue", "color: blue"),
        ("font-family:'Segoe UI',Arial", "font-family: 'Segoe UI',Arial"),
        ("width:var(--x);height:calc(1px)", ""),
        ("nonsense", ""),
    ],
)
def test_styles(style: str, expected: str) -> None:
    assert clean_style(style) == expected
    assert clean_style(expected) == expected


@pytest.mark.parametrize(
    ("source", "visible"),
    [
        ('new<div class="gmail_quote"><div class="gmail_attr">On x wrote:</div><blockquote>old</blockquote></div>', "new"),
        ('<p>new</p><div class="moz-cite-prefix">On x wrote:</div><blockquote type="cite">old</blockquote>', "new"),
        ('<div>new</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: a</div><div>old</div>', "new"),
        ('<div>new</div><hr id="stopSpelling"><b>From:</b> a<div>old</div>', "new"),
        ('<p>new</p><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><p>From: x</p></div><p>old</p>', "new"),
        ('<div class="x_gmail_quote">old</div>new', "new"),
        (f'<p>new</p><div class="{OWN_LAYOUT_CLASS}"><p>notice</p></div>', "new"),
        ('<p>new</p><div class="yahoo_quoted">old</div>', "new"),
        ("<p>new</p><blockquote>a<blockquote>b</blockquote></blockquote>", "new"),
        ('see<div class="gmail_quote">---------- Forwarded message ---------<br>From: a</div>', "see ---------- Forwarded message --------- From: a"),
        ('<div class="gmail_quote">only a quote</div>', "only a quote"),
        ('<p>new</p><div class="gmail_signature">Ann</div>', "new"),
    ],
)  # fmt: skip
def test_quotes_are_marked_not_removed(source: str, visible: str) -> None:
    marked = mark_quotes(source)

    assert html_to_text(marked).replace("\n", " ").split() == html_to_text(source).replace("\n", " ").split()
    assert _without_marked(marked) == visible.split()
    assert mark_quotes(marked) == marked
    assert sanitize_html(marked) == marked
    assert marked.count('class="quoted"') == marked.count('data-quoted="1"')


def _without_marked(html: str) -> list[str]:
    """Words outside marked elements."""
    from html.parser import HTMLParser

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.stack: list[bool] = []
            self.words: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            is_marked = given.get("data-quoted") == "1" or given.get("data-signature") == "1"
            if tag not in ("br", "img", "hr"):
                self.stack.append(is_marked or (bool(self.stack) and self.stack[-1]))

        def handle_endtag(self, tag: str) -> None:
            self.stack.pop()

        def handle_data(self, data: str) -> None:
            if not (self.stack and self.stack[-1]):
                self.words += data.split()

    reader = Reader()
    reader.feed(html)
    return reader.words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello\nyou\n\nthere", "<p>Hello<br>\nyou</p>\n<p>there</p>"),
        ("<script>&", "<p>&lt;script&gt;&amp;</p>"),
        ("  two  blanks", "<p>&nbsp; two&nbsp; blanks</p>"),
        ("see https://x.org/a?b=1&c=2.", f'<p>see <a href="https://x.org/a?b=1&amp;c=2" {LINK}>https://x.org/a?b=1&amp;c=2</a>.</p>'),
        ("(www.x.org/a_(b))", f'<p>(<a href="http://www.x.org/a_(b)" {LINK}>www.x.org/a_(b)</a>)</p>'),
        ("mail a@x.org!", f'<p>mail <a href="mailto:a@x.org" {LINK}>a@x.org</a>!</p>'),
        ('https://x.org/"onmouseover="alert(1)', f'<p><a href="https://x.org/" {LINK}>https://x.org/</a>"onmouseover="alert(1)</p>'),
        ("javascript:alert(1)", "<p>javascript:alert(1)</p>"),
        ("", ""),
        (" \n ", ""),
    ],
)  # fmt: skip
def test_text_to_html(text: str, expected: str) -> None:
    html = text_to_html(text)

    assert html == expected
    assert sanitize_html(html) == html


def test_text_to_html_with_marks() -> None:
    html = text_to_html("Yes\n\nOn Mon, 1 Jan 2024, Bob wrote:\n> old\n", fold_quotes=True)

    assert html == (
        '<p>Yes</p>\n<div class="quoted" data-quoted="1"><p>On Mon, 1 Jan 2024, Bob wrote:<br>\n&gt; old</p></div>'
    )
    assert sanitize_html(html) == html


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a</p><p>b<br>c</p>", "a\n\nb\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a  \n b&nbsp;&nbsp;c", "a b  c"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul><ol><li>x<li>y</ol>", "- a\n- b\n  - c\n\n1. x\n2. y"),
        ("<h1>t</h1>x<hr>y", "t\n\nx\n\n--------------------\ny"),
        ("<blockquote>q<blockquote>r</blockquote></blockquote>z", "> q\n>\n> > r\n\nz"),
        (
            '<a href="https://x.org/p">here</a> <a href="https://x.org">x.org</a>',
            "here <https://x.org/p> x.org",
        ),
        ('<a href="javascript:x">y</a>', "y"),
        ("<table><tr><td>a<td>b</tr><tr><td>c</table>", "a  b\nc"),
        ('<img alt="logo"><img>', "[logo]"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<style>x</style><script>y</script><title>z</title>t", "t"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("", ""),
    ],
)
def test_html_to_text(html: str, expected: str) -> None:
    assert html_to_text(html) == expected


def test_preview() -> None:
    assert preview("one\n\n two  three") == "one two three"
    assert preview("word " * 100) == "word " * 37 + "word…"
    assert len(preview("word " * 100)) <= 190
    assert preview("x" * 500) == "x" * 189 + "…"
    assert preview("a b c d", 5) == "a b…"
    assert preview("") == ""
