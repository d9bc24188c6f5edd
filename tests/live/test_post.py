"""What becomes of a message, on a real SMTP server that takes it, refuses it, breaks off, is away and comes back."""

from __future__ import annotations

import asyncio
import socket
import threading
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest

from live.post import Post, Undelivered
from tests.live.post_engines import ENCODED, PASSWORD, SmtpServer, certificate

SECONDS = 20.0
"""More than anything here takes."""
SOON = 0.2
"""Seconds after which a sender that is not answered gives up."""
ANNA = "anna@example.org"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    return pair


def message(*to: str, text: str = "Grüße aus dem Rathaus\n.\n..\nSchluss") -> EmailMessage:
    made = EmailMessage()
    made["From"] = Address("Plenum", "dialog", "stadt.example")
    made["To"] = ", ".join(f'"Anna Groß" <{address}>' for address in to or [ANNA])
    made["Bcc"] = "kopie@example.org"
    made["Subject"] = "Ihre Einladung für Donnerstag"
    made["Message-ID"] = "<1@stadt.example>"
    made.set_content(text)
    return made


async def refused(post: Post, sent: EmailMessage | None = None) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        await post.send(sent or message())
    assert ANNA not in caught.value.reason
    assert "geheim" not in caught.value.reason
    return caught.value


async def test_a_message_arrives_as_it_was_written() -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message())
        (envelope,) = server.taken
        assert (envelope.mail_from, envelope.rcpt_tos) == ("dialog@stadt.example", [ANNA, "kopie@example.org"])
        assert isinstance(envelope.content, bytes)
        assert envelope.content.isascii()
        assert b"kopie" not in envelope.content
        arrived = message_from_bytes(envelope.content, policy=policy.default)
        assert arrived.get_content().splitlines() == message().get_content().splitlines()
        assert arrived["Subject"] == "Ihre Einladung für Donnerstag"
        await post.close()


async def test_a_burst_goes_over_one_connection() -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(post.send(message(f"b{number}@example.org")))
        assert [envelope.rcpt_tos[0] for envelope in server.taken] == [f"b{number}@example.org" for number in range(20)]
        assert len(server.open) == 1
        await post.close()


@pytest.mark.parametrize(
    ("command", "answer", "permanent", "reason"),
    [
        ("RCPT", f"550 5.1.1 <{ANNA}>: unknown", True, "recipient refused: 550 5.1.1"),
        ("RCPT", f"451 4.7.1 <{ANNA}>: greylisted", False, "recipient refused: 451 4.7.1"),
        ("RCPT", "530 5.7.0 login first", False, "recipient refused: 530 5.7.0"),
        ("RCPT", "503 out of order", False, "recipient refused: 503"),
        ("DATA", f"554 5.6.0 from {ANNA} we take nothing", True, "message refused: 554 5.6.0"),
        ("DATA", "451 try again", False, "message refused: 451"),
        ("DATA", "552 5.3.4 too big", True, "message refused: 552 5.3.4"),
        ("MAIL", "550 5.7.1 not yours", False, "sender refused: 550 5.7.1"),
        ("MAIL", "451 later", False, "sender refused: 451"),
    ],
)
async def test_a_refusal_is_permanent_when_it_is_about_the_recipient_or_the_message(
    command: str, answer: str, permanent: bool, reason: str
) -> None:
    async with SmtpServer(answers={command: answer}).running() as server:
        post = Post(server.url, SECONDS)
        undelivered = await refused(post)
        assert (undelivered.reason, undelivered.permanent, undelivered.uncertain) == (reason, permanent, False)
        server.answers.clear()
        await post.send(message("bilal@example.org"))
        assert [envelope.rcpt_tos[0] for envelope in server.taken] == ["bilal@example.org"]
        assert len(server.open) == 1, "a refusal costs no connection"
        await post.close()


async def test_a_refusal_on_a_kept_connection_is_not_asked_for_twice() -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message())
        server.answers["RCPT"] = "550 unknown"
        assert (await refused(post)).permanent
        assert len(server.open) == 1
        await post.close()


async def test_nobody_gets_what_one_cannot_get() -> None:
    """Else the others would get it twice when it is sent again."""
    async with SmtpServer(answers={"RCPT bilal@example.org": "450 later"}).running() as server:
        post = Post(server.url, SECONDS)
        assert not (await refused(post, message(ANNA, "bilal@example.org"))).permanent
        assert server.taken == []
        await post.close()


async def test_no_message_is_sent_twice_when_its_answer_is_lost() -> None:
    async with SmtpServer(cut={"DATA"}).running() as server:
        post = Post(server.url, SECONDS)
        undelivered = await refused(post)
        assert (undelivered.permanent, undelivered.uncertain) == (False, True)
        assert len(server.taken) == 1
        server.cut.clear()
        await post.send(message("bilal@example.org"))
        assert [envelope.rcpt_tos[0] for envelope in server.taken] == [ANNA, "bilal@example.org"]
        await post.close()


async def test_no_message_is_sent_twice_on_a_kept_connection_either() -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message("bilal@example.org"))
        server.cut.add("DATA")
        assert (await refused(post)).uncertain
        assert [envelope.rcpt_tos[0] for envelope in server.taken] == ["bilal@example.org", ANNA]


async def test_an_answer_to_the_message_that_comes_too_late_leaves_it_uncertain() -> None:
    async with SmtpServer(gates={"DATA": asyncio.Event()}).running() as server:
        post = Post(server.url, SOON)
        assert (await refused(post)).uncertain
        server.gates["DATA"].set()
        del server.gates["DATA"]
        await post.send(message("bilal@example.org"))
        assert [envelope.rcpt_tos[0] for envelope in server.taken] == [ANNA, "bilal@example.org"]


@pytest.mark.parametrize("answer", ["354 go on", "199 what", "gibberish"])
@pytest.mark.parametrize("command", ["RCPT", "DATA"])
async def test_an_answer_that_is_none_makes_nothing_permanent(command: str, answer: str) -> None:
    async with SmtpServer(once={command: answer}).running() as server:
        post = Post(server.url, SECONDS)
        undelivered = await refused(post)
        assert (undelivered.permanent, undelivered.uncertain) == (False, command == "DATA")
        await post.send(message("bilal@example.org"))
        assert [envelope.rcpt_tos[0] for envelope in server.taken[-1:]] == ["bilal@example.org"]
        if answer == "gibberish" or command == "DATA":
            assert len(server.open) == 2, "who knows what comes next on it"
        await post.close()


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_server_that_says_nothing_is_left_in_time(command: str) -> None:
    async with SmtpServer(gates={command: asyncio.Event()}).running() as server:
        undelivered = await refused(Post(server.url, SOON))
        assert (undelivered.permanent, undelivered.uncertain, undelivered.reason) == (False, False, "no answer in time")
        assert server.taken == []
        server.gates[command].set()


async def test_a_listener_that_never_greets_is_left_in_time() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    undelivered = await refused(Post(f"smtp://127.0.0.1:{silent.sockets[0].getsockname()[1]}", SOON))
    assert (undelivered.permanent, undelivered.uncertain, undelivered.reason) == (False, False, "no answer in time")
    silent.close()


async def test_a_resolver_that_never_answers_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the name of this machine, in a thread without a limit."""
    answered = threading.Event()
    monkeypatch.setattr(socket, "getfqdn", lambda: str(answered.wait(SECONDS)))
    async with SmtpServer().running() as server:
        assert (await refused(Post(server.url, SOON))).reason == "no answer in time"
    answered.set()


async def test_a_server_that_is_away_and_comes_back_makes_nothing_permanent() -> None:
    server = SmtpServer()
    post = Post(server.url, SECONDS)
    undelivered = await refused(post)
    assert (undelivered.permanent, undelivered.uncertain, undelivered.reason) == (False, False, "no connection")
    async with server.running():
        await post.send(message())
    assert not (await refused(post)).permanent
    async with server.running():
        await post.send(message())
    assert len(server.taken) == 2


@pytest.mark.parametrize("how", ["hung up", "closes at the next command", "421 at the next command"])
async def test_a_connection_that_died_between_two_messages_is_replaced_once(how: str) -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message())
        if how == "hung up":
            server.hang_up()
            await post.send(message())
            assert (len(server.open), len(server.taken)) == (2, 2)
            return
        server.cut |= {"MAIL"} if "closes" in how else set()
        server.answers |= {"MAIL": "421 too many"} if "421" in how else {}
        assert not (await refused(post)).permanent
        assert len(server.open) == 2, "replaced once, not for ever"
        server.cut.clear()
        server.answers.clear()
        await post.send(message())
        assert (len(server.open), len(server.taken)) == (3, 2)


async def test_what_only_the_kept_connection_is_told_does_not_reach_the_caller() -> None:
    async with SmtpServer().running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message())
        server.once["MAIL"] = "421 this connection has lived long enough"
        await post.send(message())
        assert (len(server.open), len(server.taken)) == (2, 2)
        await post.close()


@pytest.mark.parametrize("command", ["RCPT", "RSET"])
async def test_who_is_cancelled_leaves_no_answer_behind_for_the_next(command: str) -> None:
    async with SmtpServer(answers={"RCPT": "550 unknown"}, gates={command: asyncio.Event()}).running() as server:
        post = Post(server.url, SECONDS)
        sending = asyncio.ensure_future(post.send(message()))
        await server.reached[command].wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.gates[command].set()
        assert (await refused(post)).reason == "recipient refused: 550"
        assert server.taken == []
        await post.close()


async def test_who_logs_in_with_the_right_password_may_send() -> None:
    async with SmtpServer(login=("stadt@example.org", PASSWORD)).running() as server:
        post = Post(f"smtp://stadt%40example.org:{ENCODED}@localhost:{server.port}", SECONDS)
        await post.send(message())
        assert len(server.taken) == 1
        await post.close()


async def test_a_login_that_fails_is_for_the_operator_to_mend() -> None:
    async with SmtpServer(login=("stadt", PASSWORD)).running() as server:
        undelivered = await refused(Post(f"smtp://stadt:falsch@localhost:{server.port}", SECONDS))
        assert undelivered.reason.startswith("login refused: 535")
        assert (undelivered.permanent, undelivered.uncertain) == (False, False)
        assert not (await refused(Post(f"smtp://localhost:{server.port}", SECONDS))).permanent


async def test_what_leaves_the_machine_is_encrypted(trusted: tuple[Path, Path]) -> None:
    """0.0.0.0 is this machine too, and does not look like it."""
    async with SmtpServer(certificate=trusted, login=("stadt", PASSWORD)).running() as server:
        post = Post(f"smtp://stadt:{ENCODED}@0.0.0.0:{server.port}", SECONDS)
        await post.send(message())
        assert len(server.taken) == 1
        assert {encrypted for _, encrypted in server.heard} == {True}
        await post.close()


async def test_a_password_is_not_sent_where_encryption_is_not_offered() -> None:
    async with SmtpServer(login=("stadt", PASSWORD)).running() as server:
        address = f"smtp://stadt:{ENCODED}@0.0.0.0:{server.port}"
        undelivered = await refused(Post(address, SECONDS))
        assert (undelivered.permanent, server.heard) == (False, [])
        post = Post(f"{address}?tls=no", SECONDS)
        await post.send(message())
        assert ("AUTH", False) in server.heard
        await post.close()


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_nobody_vouches_for_is_refused(pair: tuple[Path, Path], implicit: bool) -> None:
    async with SmtpServer(certificate=pair, implicit=implicit, login=("stadt", PASSWORD)).running() as server:
        scheme = "smtps" if implicit else "smtp"
        undelivered = await refused(Post(f"{scheme}://stadt:{ENCODED}@0.0.0.0:{server.port}", SECONDS))
        assert (undelivered.permanent, undelivered.uncertain, undelivered.reason) == (False, False, "TLS failed")
        assert server.heard == []


async def test_smtps_is_encrypted_from_the_first_byte(trusted: tuple[Path, Path]) -> None:
    async with SmtpServer(certificate=trusted, implicit=True).running() as server:
        post = Post(f"smtps://localhost:{server.port}", SECONDS)
        await post.send(message())
        assert len(server.taken) == 1
        await post.close()


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    async with SmtpServer().running() as server:
        undelivered = await refused(Post(server.url, SECONDS), message("jürgen@bücher.example"))
        assert undelivered.permanent
    async with SmtpServer(smtputf8=True).running() as server:
        post = Post(server.url, SECONDS)
        await post.send(message("jürgen@bücher.example"))
        assert server.taken[0].rcpt_tos[0] == "jürgen@bücher.example"
        await post.close()


async def test_a_message_to_nobody_is_a_mistake_of_the_program() -> None:
    made = EmailMessage()
    made["From"] = "dialog@stadt.example"
    with pytest.raises(ValueError, match="to whom"):
        await Post("smtp://localhost", SECONDS).send(made)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:25",
        "http://localhost",
        "smtp://",
        "smtp://user:geheim@",
        "smtp://user:ge/heim@localhost",
        "smtp://user:geheim@localhost:sechs",
        "smtp://user:geheim@localhost:0",
        "smtp://user@localhost",
        "smtp://:geheim@localhost",
        "smtp://user:geheim%0a@localhost",
        "smtp://user:geheim@[::1",
        "smtp://user:geheim@localhost/INBOX",
        "smtp://user:geheim@localhost?tls=maybe",
        "smtp://user:geheim@localhost?tls",
        "smtp://user:geheim@localhost#x",
        "smtps://user:geheim@localhost?tls=no",
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match=r"expected smtp://user:password@host:587") as caught:
        Post(address, SECONDS)
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("address", "port", "encryption"),
    [
        ("smtp://mail.example.org", 587, "starttls"),
        ("smtps://mail.example.org", 465, "tls"),
        ("smtp://mail.example.org?tls=no", 587, "none"),
        ("smtp://localhost", 587, "none"),
        ("smtp://127.0.0.2:25", 25, "none"),
        ("smtp://[::1]", 587, "none"),
        ("smtp://localhost.example.org", 587, "starttls"),
        ("smtp://10.0.0.1", 587, "starttls"),
    ],
)
def test_the_address_says_port_and_encryption(address: str, port: int, encryption: str) -> None:
    server = Post(address, SECONDS)._server
    assert (server.port, server.encryption) == (port, encryption)
    assert "geheim" not in repr(Post("smtp://user:geheim@localhost", SECONDS)._server)
