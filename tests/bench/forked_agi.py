"""The rival: an AGI script as they are written with pyst2, which Asterisk starts anew for every call."""

from contextlib import suppress

from asterisk.agi import AGI, AGIAppError

agi = AGI()
agi.answer()
with suppress(AGIAppError):  # hung up
    sounds, language = (agi.get_variable(name) for name in ("MOVANS_SOUNDS", "MOVANS_LANGUAGE"))
    agi.stream_file(f"{sounds}/{language}/welcome")
    agi.wait_for_digit(600000)
