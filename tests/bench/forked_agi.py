"""The rival: an AGI script as they are written with pyst2, which Asterisk starts anew for every call."""

from contextlib import suppress

from asterisk.agi import AGI, AGIAppError

agi = AGI()
agi.answer()
with suppress(AGIAppError):  # hung up
    agi.stream_file(agi.get_variable("MOVANS_SOUNDS") + "/welcome")
    agi.wait_for_digit(600000)
