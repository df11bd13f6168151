"""What the flows are handed: database, keys, settings, words, sounds, clock, journal. Nothing else reaches outside."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from agi.channel import SoundFinder
from db.journal import Journal
from db.keys import Keyring
from db.pool import Database
from movans.settings import Settings
from prompts import spoken
from prompts.catalogue import Catalogue, Utterance


class Sounds(SoundFinder, Protocol):
    def prepare(self, utterances: Iterable[Utterance]) -> object: ...


@dataclass(frozen=True)
class Service:
    db: Database
    keyring: Keyring
    settings: Settings
    catalogues: Mapping[str, Catalogue]  # by language, the first one first
    sounds: Sounds
    clock: Callable[[], datetime]
    journal: Journal
    down: Callable[[], Collection[str]]  # which trunks do not answer

    def catalogue(self, language: str | None = None) -> Catalogue:
        """The words of a language; of the first where none is known, or one that is no longer spoken."""
        first = next(iter(self.catalogues.values()))
        return first if language is None else self.catalogues.get(language, first)

    def say_when(self, at: datetime, language: str) -> str:
        """A time as people say it, in the service's time zone."""
        return spoken.when(at, self.settings.service.zone, self.clock(), language)

    def say_day(self, that: date, language: str) -> str:
        return spoken.day(that, self.today(), language)

    def today(self) -> date:
        """The day that it is now in the service's time zone."""
        return self.local_day(self.clock())

    def local_day(self, at: datetime) -> date:
        return at.astimezone(self.settings.service.zone).date()

    def agency_name(self, agency: str) -> str:
        known = self.settings.agencies.get(agency)
        return known.name if known else agency
