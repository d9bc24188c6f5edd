"""What is made of mails, however they were made."""

from __future__ import annotations

import signal
import unicodedata
from email.message import EmailMessage

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.letter import Letter, read

PLAIN = b"From: Anna <anna@example.org>\r\n"


def letter(headers: str = "", body: str = "Hallo", encoding: str = "utf-8") -> Letter:
    return read(f"{headers}\n\n{body}".lstrip("\n" if headers else "").replace("\n", "\r\n").encode(encoding))


def test_a_letter_as_people_write_it() -> None:
    made = EmailMessage()
    made["From"] = "Anna Groß <Anna@Example.ORG>"
    made["Subject"] = "Radwege in der Südstadt – warum nicht?"
    made["Message-ID"] = "<1@example.org>"
    made.set_content("Guten Tag,\n\nich möchte über Radwege reden.\n\nAnna Groß\n")
    made.add_attachment(b"x" * 1000, maintype="application", subtype="pdf", filename="plan.pdf")
    assert read(bytes(made), validity=7, uid=3, arrived=5, clipped=True) == Letter(
        validity=7,
        uid=3,
        arrived=5,
        message_id="<1@example.org>",
        name="Anna Groß",
        address="Anna@example.org",
        subject="Radwege in der Südstadt – warum nicht?",
        text="Guten Tag,\n\nich möchte über Radwege reden.\n\nAnna Groß",
        automatic=False,
        bounced="",
        clipped=True,
    )


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("From: anna@example.org", "", "anna@example.org"),
        ("From: <anna@example.org>", "", "anna@example.org"),
        ("From: anna@example.org (Anna)", "", "anna@example.org"),
        ('From: "Groß, Anna" <anna@example.org>', "Groß, Anna", "anna@example.org"),
        ("From: =?utf-8?q?Anna_Gro=C3=9F?= <anna@example.org>", "Anna Groß", "anna@example.org"),
        ("From: =?utf-8?b?QW5uYSBHcm/Dnw==?=\n =?utf-8?q?_Celle?= <anna@example.org>", "Anna Groß Celle", "anna@example.org"),
        ("From: Anna\n Groß\n <anna@example.org>", "Anna Groß", "anna@example.org"),
        ('From: "stadt@example.com" <anna@example.org>', "stadt@example.com", "anna@example.org"),
        ("From: =?utf-8?q?stadt=40example=2Ecom?= <anna@example.org>", "stadt@example.com", "anna@example.org"),
        ("From: Anna <anna@bücher.example.org>", "Anna", "anna@bücher.example.org"),
        ("From: Anna <anna@xn--bcher-kva.example.org>", "Anna", "anna@bücher.example.org"),
        ("from: Anna <anna@example.org>", "Anna", "anna@example.org"),
        ("From: =?utf-8?q?Anna=00=0AX=1B[31m=E2=80=AEgro?= <anna@example.org>", "Anna X[31mgro", "anna@example.org"),
        ("From: =?unknown?q?Anna?= <anna@example.org>", "Anna", "anna@example.org"),
        ("From: =?utf-8?b?x?= <anna@example.org>", "=?utf-8?b?x?=", "anna@example.org"),
    ],
)
def test_the_sender(header: str, name: str, address: str) -> None:
    found = letter(header)
    assert (found.name, found.address) == (name, address)


@pytest.mark.parametrize(
    "header",
    [
        "Subject: nobody",
        "From:",
        "From: Anna",
        "From: <>",
        "From: anna@",
        "From: anna@localhost",
        "From: anna@example.org\nFrom: bilal@example.org",
        "From: anna@example.org, bilal@example.org",
        "From: Anna <anna@example.org>, Bilal <bilal@example.org>",
        "From: stadt@example.com <anna@example.org>",
        "From: stadt@example.com) <anna@example.org>",
        "From: alice@example.org)bilal@example.com",
        "From: <stadt@example.com> <anna@example.org>",
        "From: <anna@example.org> stadt@example.com",
        "From: anna@example.org (stadt@example.com)",
        "From: <anna@example.org",
        "From: an na@example.org",
        "From: <@example.com:anna@example.org>",
        "From: <anna@example.org\x00>",
        "From: Anna <anna@[127.0.0.1]>",
        f"From: {'x' * 3000} <anna@example.org>",
        f"From: anna@example.org,{' ' * 3000}bilal@example.org",
    ],
)
def test_who_cannot_be_told_or_written_to_is_nobody(header: str) -> None:
    assert letter(header).address == ""


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        ("Subject: =?iso-8859-1?q?Gr=FC=DFe?=", "Grüße"),
        ("Subject: =?utf-8?b?R3LDvMOfZQ==?=", "Grüße"),
        ("Subject: =?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),
        ("Subject: Grüße", "Grüße"),
        ("Subject: viel\n zu\n\tlang", "viel zu lang"),
        ("Subject: =?utf-8?q?eins=0D=0ABcc:_zwei?=", "eins Bcc: zwei"),
        ("Subject: =?utf-8?b?x?= kaputt", "=?utf-8?b?x?= kaputt"),
        ("Subject: =?klingonisch?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("Subject: =?punycode?q?abc?=", "abc"),
        ("Subject: eins\nSubject: zwei", "eins"),
        ("Subject:", ""),
    ],
)
def test_the_subject(header: str, subject: str) -> None:
    assert letter(header).subject == subject


def test_a_subject_in_latin_1_without_saying_so() -> None:
    assert letter("Subject: Grüße", encoding="latin-1").subject == "Grüße"


BASE64 = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64"
QUOTED = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable"


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ("", "Grüße", "Grüße"),
        ("X: y", "eins\n\n\n\n\nzwei  \n", "eins\n\nzwei"),
        ("X: y", "a\x00b\x1b[31m\x07c\x7f\u202ed\ufeff\u2028e\x85f", "ab[31mcd\ne\nf"),
        ("Content-Type: text/plain; charset=klingonisch", "Grüße", "Grüße"),
        ("Content-Type: text/plain; charset=us-ascii", "Grüße", "Grüße"),
        ('Content-Type: text/plain; charset="utf-8\x00"', "Grüße", "Grüße"),
        ("Content-Type: text/plain; charset=rot13", "Grüße", "Grüße"),
        ("Content-Type: text/plain; charset=unicode_escape", "\\u0041", "\\u0041"),
        (BASE64, "R3LDvMOfZQ", "Grüße"),
        (BASE64, "R3LDvMOfZSBhdXMgQ2VsbGU=!", "Grüße aus Celle"),
        (QUOTED, "Gr=C3=BC=C3=9Fe =\naus=ZZ", "Grüße aus=ZZ"),
        (QUOTED, "Gr=C3=BC=C3", "Grü\ufffd"),
        ("Content-Type: kaputt", "Grüße", "Grüße"),
        ("Content-Type: multipart/mixed", "Grüße", "Grüße"),
        ("Content-Type: application/pdf", "%PDF", ""),
        ("Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt", "geheim", ""),
    ],
)
def test_the_text(headers: str, body: str, text: str) -> None:
    assert letter(headers, body).text == text


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252"])
def test_what_is_called_latin_1_is_what_windows_writes(charset: str) -> None:
    assert letter(f"Content-Type: text/plain; charset={charset}", "„100 €“", "cp1252").text == "„100 €“"


@pytest.mark.parametrize("declared", ["", "; charset=utf-8"])
def test_a_letter_that_is_cut_within_a_character_keeps_the_others(declared: str) -> None:
    raw = f"Content-Type: text/plain{declared}\r\n\r\nGrüß".encode()[:-1]
    assert read(raw).text.rstrip("\ufffd") == "Grü"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Guten&nbsp;Tag,</p><p>ich &amp; Sie</p>", "Guten Tag,\n\nich & Sie"),
        ("<style>p{}</style><script>alert(1)</script><title>x</title>sichtbar<!-- nicht -->", "sichtbar"),
        ("eins<br>zwei<div>drei</div>vier", "eins\nzwei\ndrei\nvier"),
        ("Zeile\n  geht   weiter", "Zeile geht weiter"),
        ('<div style="Display : none">geheim<div>tief</div></div>da<p hidden>weg</p>', "da"),
        ("<template>weg</template>da", "da"),
        ('Ja.<blockquote type="cite">alt<blockquote>älter</blockquote></blockquote>Nein.', "Ja.Nein."),
        ('Ja.<div class="gmail_quote">alt</div>', "Ja."),
        ("<blockquote>eingerückt</blockquote>", "eingerückt"),
        ("<p>Ja.</p><p>Am 3.5.2027 um 10:12 schrieb Stadt:</p><p>alt</p>", "Ja."),
        ("<p>Ja.</p><div><b>Von:</b> Stadt<br><b>Gesendet:</b> Montag<br>alt</div>", "Ja."),
        ("<![if !mso]>da<![endif]><![kaputt[>hier", "dahier"),
        ("3 < 5 &lt; 7 & &#27; <a href='", "3 < 5 < 7 &"),
        ("da<!-- ohne Ende", "da"),
        ("&#0;&#xD800;&#x202e;da", "\ufffd\ufffdda"),
        ("<p>offen <b>fett", "offen fett"),
    ],
)
def test_the_visible_text_of_html(html: str, text: str) -> None:
    assert letter("Content-Type: text/html; charset=utf-8", html).text == text


def multipart(kind: str, *parts: str) -> Letter:
    inner = "".join(f"--b\n{part}\n" for part in parts)
    return letter(f'Content-Type: multipart/{kind}; boundary="b"', f"{inner}--b--")


PLAIN_PART, HTML_PART = "Content-Type: text/plain\n\nals Text", "Content-Type: text/html\n\n<p>als HTML</p>"
PICTURE = "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA"


@pytest.mark.parametrize(
    ("kind", "parts", "text"),
    [
        ("alternative", [PLAIN_PART, HTML_PART], "als Text"),
        ("alternative", [HTML_PART, PLAIN_PART], "als Text"),
        ("alternative", ["Content-Type: text/plain\n\n ", HTML_PART], "als HTML"),
        ("mixed", [PLAIN_PART, PICTURE, "Content-Type: text/plain\n\nund weiter"], "als Text\nund weiter"),
        ("mixed", [PLAIN_PART, "Content-Type: text/plain\nContent-Disposition: attachment\n\nAnhang"], "als Text"),
        ("mixed", [PLAIN_PART, "Content-Type: message/rfc822\n\nSubject: fremd\n\nfremder Text"], "als Text"),
        ("related", [HTML_PART, PLAIN_PART], "als HTML"),
        ("signed", [PLAIN_PART, "Content-Type: application/pgp-signature\n\n-----BEGIN"], "als Text"),
        ("erfunden", [PLAIN_PART], "als Text"),
        ("mixed", [], ""),
    ],
)
def test_the_part_that_was_written_for_us(kind: str, parts: list[str], text: str) -> None:
    assert multipart(kind, *parts).text == text


def test_a_letter_within_a_letter_is_not_its_sender() -> None:
    found = letter("Content-Type: message/rfc822", "From: stadt@example.com\nSubject: fremd\n\nfremd")
    assert (found.address, found.subject, found.text) == ("", "", "")


@pytest.mark.parametrize(
    "quoted",
    [
        "Am 03.05.2027 um 10:12 schrieb Stadt <stadt@example.com>:\nalt\nälter",
        "Am Mo., 3. Mai 2027 um 10:12 Uhr schrieb Stadt Beispiel <\nstadt@example.com>:\n\nalt",
        "On Mon, May 3, 2027 at 10:12 AM Stadt <stadt@example.com> wrote:\nalt",
        "On 5/3/27 10:12,\nStadt Beispiel\nwrote:\nalt",
        "Stadt <stadt@example.com> hat am 03.05.2027 10:12 CEST geschrieben:\n\nalt",
        "-----Original Message-----\nFrom: Stadt\nalt",
        "-----Ursprüngliche Nachricht-----\nalt",
        "________________________________\nVon: Stadt\nGesendet: Montag, 3. Mai 2027 10:12\nAn: Anna\n\nalt",
        "*Von:* Stadt\n*Gesendet:* Montag\nalt",
        "From: Stadt\nSent: Monday\nTo: Anna\nalt",
        "> alt\n> älter\n>> uralt",
        "Am 03.05.2027 um 10:12 schrieb Stadt:\n\n> alt\n> älter",
    ],
)
def test_what_a_reply_quotes_is_cut_off(quoted: str) -> None:
    assert letter(PLAIN.decode().strip(), f"Ich komme.\n\nAnna\n\n{quoted}").text == "Ich komme.\n\nAnna"


def test_what_stands_between_and_below_the_quoted_lines_stays() -> None:
    body = "Am 03.05.2027 um 10:12 schrieb Stadt:\n> Kommen Sie?\nJa.\n> Zu zweit?\nNein."
    assert letter("X: y", body).text == "Ja.\nNein."


@pytest.mark.parametrize(
    "body",
    [
        "Am Montag schrieb die Zeitung darüber.\nWas sagen Sie?",
        "Am 3. Mai schrieb ich dem Amt:\nEs kam nichts.",
        "Am 3. Mai ist Folgendes geplant:\nein Fest",
        "Die Stadt hat am 3. Mai erklärt:\nnichts",
        "Von: hier\nbis dort ist es weit.",
        "- eins\n- zwei",
    ],
)
def test_what_only_looks_like_a_quotation_stays(body: str) -> None:
    assert letter("X: y", body).text == body


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated (away)",
        "auto-submitted: AUTO-NOTIFIED; x=y",
        "Auto-Submitted: no\nAuto-Submitted: auto-replied",
        "Precedence: bulk",
        "Precedence: JUNK",
        "Precedence: list",
        "Precedence: auto_reply",
        "List-Id: <zeitung.example.org>",
        "Return-Path: <>",
        "From: MAILER-DAEMON",
        "From: Mail Delivery System <Mailer-Daemon@example.org>",
        "From: postmaster@example.org",
        "From: noreply@example.org",
        "From: No-Reply <no-reply+abc@example.org>",
        "From: do_not_reply@example.org",
        'Content-Type: multipart/report; boundary="b"',
        "X-Autoreply: yes",
        "X-Auto-Response-Suppress: All",
    ],
)
def test_what_no_person_has_sent_is_automatic(headers: str) -> None:
    assert letter(headers).automatic


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: No (really)",
        "Precedence: first-class",
        "Return-Path: <anna@example.org>",
        "From: nora@example.org",
    ],
)
def test_what_a_person_has_sent_is_not(headers: str) -> None:
    assert not letter(headers).automatic


OURS = "<einladung-7@stadt.example>"
RETURNED = {
    "the message": f"Content-Type: message/rfc822\n\nMessage-ID: {OURS}\nSubject: Einladung\n\nText",
    "its headers": f"Content-Type: text/rfc822-headers\n\nSubject: Einladung\nMessage-ID:\n {OURS}\n",
    "its headers, encoded": (
        "Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable\n\n"
        f"Message-ID: {OURS.replace('-', '=2D')}\n"
    ),
}


def notification(action: str, returned: str, kind: str = "message/delivery-status") -> Letter:
    status = f"Content-Type: {kind}\n\nReporting-MTA: dns; mail.example.org\n\nFinal-Recipient: rfc822; anna@example.org\n{action}"
    return multipart("report; report-type=delivery-status", "Content-Type: text/plain\n\nleider", status, returned)


@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
@pytest.mark.parametrize("action", ["Action: failed\nStatus: 5.1.1", "Status: 5.1.1"])
def test_a_bounce_says_which_message_of_ours_it_is_about(action: str, returned: str) -> None:
    found = notification(action, returned)
    assert (found.bounced, found.automatic) == (OURS, True)


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_message_that_is_late_or_has_arrived_has_not_bounced(action: str) -> None:
    assert notification(f"Action: {action}", RETURNED["the message"]).bounced == ""


def test_a_receipt_that_a_message_was_read_is_no_bounce() -> None:
    assert notification("Action: failed", RETURNED["the message"], "message/disposition-notification").bounced == ""


def test_a_message_that_somebody_forwards_is_no_bounce() -> None:
    assert multipart("mixed", "Content-Type: text/plain\n\nx", RETURNED["the message"]).bounced == ""


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Message-ID: <1@example.org>", "<1@example.org>"),
        ("Message-ID:\n <1@example.org> (x)", "<1@example.org>"),
        ("Message-ID: <1@example.org>\nMessage-ID: <2@example.org>", "<1@example.org>"),
        ("Message-ID: 1@example.org", ""),
        ("Message-ID: <ü@example.org>", ""),
        ("Message-ID: <1 2@example.org>", ""),
    ],
)
def test_the_message_id(header: str, found: str) -> None:
    assert letter(header).message_id == found


def harmless(found: Letter) -> None:
    for value in msgspec.structs.astuple(found):
        if isinstance(value, str):
            value.encode()
            assert not [character for character in value if unicodedata.category(character) == "Cc" and character != "\n"]
    assert "\n" not in found.name + found.subject + found.address + found.message_id + found.bounced


PIECES = [
    b"From: ", b"Subject: ", b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/report", b"message/rfc822",
    b"text/html", b"message/delivery-status", b"; charset=", b"utf-7", b"idna", b"utf-16", b"Content-Transfer-Encoding: ",
    b"base64", b"x-uuencode", b"quoted-printable", b"Content-Disposition: ", b"attachment; filename*0*=x''%ff",
    b"=?utf-8?b?", b"=?utf-16?q?", b"?=", b"--b", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"<", b">", b"@", b'"', b"\\",
    b"(", b",", b"<script>", b"<!--", b"<![", b"&#0;", b"\x00", b"\xff", b"\xc3", b"begin 644 x", b"Message-ID: <",
    b"Am 3. schrieb x:", b"\xed\xa0\x80", b"=\r\n", b"Action: failed",
]  # fmt: skip


@given(st.binary() | st.lists(st.sampled_from(PIECES) | st.binary(max_size=5)).map(b"".join))
def test_no_bytes_are_too_much(raw: bytes) -> None:
    harmless(read(raw))


BYTES = 262_144
SLOW = {
    "comments without an end": b"Content-Type: text/html\n\n" + b"<!--" * (BYTES // 4),
    "tags without an end": b"Content-Type: text/html\n\n" + b'<a b="' * (BYTES // 6),
    "ends of tags without an end": b"Content-Type: text/html\n\n" + b"</a " * (BYTES // 4),
    "encoded words without an end": b"Subject: " + b"=?a?q?" * (BYTES // 6),
    "quotation marks": b"From: " + b'"' * BYTES,
    "punycode": b"Content-Type: text/plain; charset=punycode\n\nabc-" + b"z9" * (BYTES // 2),
    "parts in each other": b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(4000)),
    "letters in each other": b"Content-Type: message/rfc822\n\n" * (BYTES // 30),
    "introductions": b"\n\n" + b"Am 3. schrieb x:\n" * (BYTES // 17),
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW)
def test_no_letter_takes_minutes(raw: bytes) -> None:
    """Each takes a second or less. Measured is the processor's time, of which there is as much on a busy machine."""

    def too_slow(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, 10)
    try:
        found = read(raw)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    harmless(found)
