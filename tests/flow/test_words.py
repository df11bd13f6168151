"""The database's kinds of events and statuses, the settings of a file, and the words for them belong together."""

from collections.abc import Callable

import psycopg
import pytest

from agi.hotline import hotline
from agi.notify import utterances
from agi.service import Service
from db.custody import Offender
from db.notifications import News
from feed.compare import KINDS
from feed.custody_csv import STATUSES
from prompts.catalogue import Catalogue
from tests.conftest import NOON
from tests.flow.telephone import Caller


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_said(status: str, caller: Caller, service: Service, jail: Callable[..., Offender]):
    jail("100234", "JOHN", "SMITH", status=status)
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#")
    caller.hears("Boone County Jail").hears("this is what the jail told us").hears("to be called").hangs_up()
    assert caller.calls(hotline, service) == "hung up"


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_kind_of_event_that_is_told_has_its_words(
    language: str, conn: psycopg.Connection, service: Service, catalogues: dict[str, Catalogue]
):
    told = [kind for (kind,) in conn.execute("select kind from event_kind where class <> 'untold'")]
    assert set(KINDS.values()) <= set(told)
    news = [News(1, kind, "JOHN", "SMITH", "Boone County Jail", NOON) for kind in told]
    assert all("John Smith" in utterance.words for utterance in utterances(service, news, catalogues[language]))
