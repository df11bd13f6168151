"""The language of a call, asked at its beginning where there is a choice."""

from collections.abc import Iterable

from agi.call import Back, Call
from agi.service import Service
from prompts.catalogue import Catalogue


def choose_language(call: Call, service: Service) -> None:
    """Each language offers itself in its own voice. Who presses nothing, or another key, gets the first."""
    offered = list(service.catalogues.values())
    if len(offered) == 1:
        return
    try:
        chosen = call.choose(lambda: offer(call, offered), {one.key: one for one in offered}, otherwise=offered[0])
    except Back:
        chosen = offered[0]
    call.speak(chosen)


def offer(call: Call, offered: Iterable[Catalogue]) -> None:
    for one in offered:
        call.utter(one.utter("choose_language"))
