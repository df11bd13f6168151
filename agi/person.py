"""Zero: a person of the service. Rung where a trunk reaches them, otherwise their number is said."""

from agi.call import Call
from agi.service import Service


def farewell(service: Service) -> list[str]:
    """What is said to who cannot go on: how to reach a person, or a crisis line while nobody is there."""
    there = service.settings.operator.is_there(service.clock(), service.settings.service.zone)
    return ["cannot_go_on", "operator" if there else "operator_closed", "goodbye"]


def reach_person(call: Call, service: Service) -> None:
    """Come back when nobody is there or nobody answers. Raises Hangup when the conversation with the person is over."""
    desk = service.settings.operator
    if not desk.is_there(service.clock(), service.settings.service.zone):
        call.say("operator_closed")
        return
    trunk = next(iter(service.settings.trunks), None)
    if trunk is None:
        call.say("operator")
        return
    call.say_all("operator_rings")
    call.channel.connect(
        f"PJSIP/{desk.dial or service.settings.service.operator}@trunk-{trunk}", round(desk.ring.total_seconds())
    )
    call.begin_anew()
    call.say("operator_away")
