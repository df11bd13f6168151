"""What the flows are handed: database, keys, settings, words, sounds, clock. Nothing else reaches outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from db.keys import Keyring
from db.pool import Database
from movans.settings import Settings
from prompts import spoken
from prompts.catalogue import Catalogue, Utterance


class Sounds(Protocol):
    def path(self, utterance: Utterance) -> str: ...

    def prepare(self, utterances: Iterable[Utterance]) -> object: ...


@dataclass(frozen=True)
class Service:
    db: Database
    keyring: Keyring
    settings: Settings
    catalogue: Catalogue
    sounds: Sounds
    clock: Callable[[], datetime]

    def say_when(self, at: datetime) -> str:
        """A time as people say it, in the service's time zone."""
        return spoken.when(at, self.settings.service.zone, self.clock(), self.catalogue.language)

    def telephone(self, agency: str, facility: str) -> str | None:
        """The facility's number, where the settings have it."""
        known = self.settings.agencies.get(agency)
        listed = known and known.facilities.get(facility)
        return listed.telephone if listed else None

    def agency_name(self, agency: str) -> str:
        known = self.settings.agencies.get(agency)
        return known.name if known else agency
