"""Reading the mailbox: each letter becomes one command of the event that it is for, and is then marked as done. What happens
to it there is a rule (`rooms/inbox.py`). A letter that no event can take stays in the mailbox as it is."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid

import msgspec

from live.desk import Desk
from live.desks import Desks
from live.letter import Letter
from live.log import Unavailable
from live.mailbox import Mailbox, MailboxGone
from live.mailing import mark, marked
from live.settings import Settings
from rooms.command import SYSTEM, Refused
from rooms.inbox import meant
from rooms.programme import ms

LOGGER = logging.getLogger("plenum.reading")


class Reading:
    """One mailbox for all events. Raises ValueError if its address is none."""

    def __init__(self, settings: Settings, desks: Desks) -> None:
        self.desks, self.seconds = desks, settings.mail_seconds
        self.mailbox = Mailbox(settings.imap_url, settings.mail_seconds)

    async def run(self) -> None:
        """Until cancelled; a mail server that is away is asked again."""
        try:
            while True:
                try:
                    letters = await self.mailbox.letters()
                    if letters:
                        # After a start not all events are open yet, and a letter would go to the wrong one.
                        await self.desks.open_newest()
                    for letter in letters:
                        await self._tried(letter)
                    await self.mailbox.wait(self.seconds)
                except MailboxGone as gone:
                    LOGGER.warning("mailbox: %s", gone.reason)
                    await asyncio.sleep(self.seconds)
                except (Refused, Unavailable) as away:
                    # The database is away: this letter and those after it stay, and are read again in their order.
                    LOGGER.warning("letters wait: %s", away)
                    await asyncio.sleep(self.seconds)
        finally:
            await self.mailbox.close()

    async def _tried(self, letter: Letter) -> None:
        """A letter that meets a bug stays as it is, and keeps none of the others waiting. Refuses `storage_unavailable`."""
        try:
            await self._take(letter)
        except (MailboxGone, Unavailable):
            raise
        except Refused as refused:
            if refused.code == "storage_unavailable":
                raise
            LOGGER.warning("a letter was not taken: %s", refused.code)
        except Exception:
            LOGGER.exception("a letter was not taken")

    async def _take(self, letter: Letter) -> None:
        if letter.bounced and await self._came_back(letter.bounced):
            await self.mailbox.done(letter)
            return
        desk = self._addressee(letter)
        if desk is None:
            return
        known = hashlib.sha256(letter.message_id.encode()).hexdigest()[:16]
        # The same letter has the same id for every worker and after every restart: the log takes it once.
        id = f"mail/{letter.validity}/{letter.uid}/{known}"
        arguments = {
            "name": letter.name,
            "email": letter.address,
            "subject": letter.subject,
            "text": letter.text,
            "arrived": letter.arrived,
            "message": letter.message_id,
            "automatic": letter.automatic,
        }
        await desk.send(SYSTEM, id, "mail.receive", msgspec.json.encode(arguments))
        await self.mailbox.done(letter)

    def _addressee(self, letter: Letter) -> Desk | None:
        """The event whose keyword the letter has; else the next one that people register for; else the latest that is public."""
        desks = [desk for desk in self.desks.open.values() if desk.event.phase != "draft" and desk.event.programme.places]
        named = [desk for desk in desks if meant(desk.event, letter.subject)]
        named = named or [desk for desk in desks if meant(desk.event, f"{letter.subject}\n{letter.text}")]
        open = [desk for desk in desks if desk.event.phase == "registration"]
        if named or open:
            return min(named or open, key=lambda desk: ms(desk.event.programme.starts))
        return max(desks, key=lambda desk: ms(desk.event.programme.starts), default=None)

    async def _came_back(self, message_id: str) -> bool:
        """Note that a message of ours could not be delivered; False if it is none of ours."""
        found = marked(message_id)
        desk = self.desks.open.get(found[0]) if found else None
        if found is None or desk is None or found[2] != mark(desk, found[1]):
            return False
        report = {"message": found[1], "state": "failed", "reason": "came back undelivered"}
        try:
            await desk.send(SYSTEM, str(uuid.uuid4()), "message.report", msgspec.json.encode(report))
        except Refused as refused:
            if refused.code != "wrong_message_state":  # it is known already
                raise
        return True
