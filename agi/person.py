"""Zero: a person of the service. Rung where a trunk reaches them, otherwise their number is said."""

from collections.abc import Callable
from datetime import timedelta

from agi.call import Call
from agi.channel import LONGEST_WITH_A_PERSON
from agi.service import Service


def farewell(service: Service) -> list[str]:
    """What is said to who cannot go on: how to reach a person, or a crisis line while nobody is there."""
    there = service.settings.operator.is_there(service.clock(), service.settings.service.zone)
    return ["cannot_go_on", "operator" if there else "operator_closed", "goodbye"]


def reach_person(call: Call, service: Service, lasts: Callable[[timedelta], None]) -> None:
    """Come back when nobody is there or nobody answers. Raises Hangup when the conversation with the person is over.

    ``lasts`` is told how long the call may go on from now: before the person is rung, and where nobody answers.
    """
    desk = service.settings.operator
    if not desk.is_there(service.clock(), service.settings.service.zone):
        call.say("operator_closed")
        return
    down = service.down()
    # The best that answers; where none seems to, the best all the same: nothing is lost by trying.
    trunk = next(
        (name for name in service.settings.trunks if name not in down), next(iter(service.settings.trunks), None)
    )
    if trunk is None:
        call.say("operator")
        return
    lasts(timedelta(seconds=LONGEST_WITH_A_PERSON))
    call.say_all("operator_rings")
    call.channel.connect(
        f"PJSIP/{desk.dial or service.settings.service.operator}@trunk-{trunk}", round(desk.ring.total_seconds())
    )
    call.begin_anew()
    lasts(service.settings.calls.longest)
    call.say("operator_away")
