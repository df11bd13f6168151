"""Which PINs callers may choose: four digits that nobody guesses in a few tries."""

from itertools import pairwise

# Source: Berry, "PIN analysis", DataGenetics 2012; together more than a quarter of all PINs that people chose.
COMMON = {
    "1234", "1111", "0000", "1212", "7777", "1004", "2000", "4444", "2222", "6969",
    "9999", "3333", "5555", "6666", "1122", "1313", "8888", "4321", "2001", "1010",
}  # fmt: skip


def weakness(pin: str, *numbers: str) -> str | None:
    """The prompt that says why a PIN is too easy to guess, or None. ``numbers`` are those that others may know."""
    if len(set(pin)) == 1:
        return "pin_one_digit"
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if steps in ({1}, {9}):
        return "pin_in_a_row"
    if pin in COMMON or pin.startswith("99"):  # 9 twice says on a call that nobody asked for it
        return "pin_common"
    if any(pin in number for number in numbers):
        return "pin_in_number"
    return None
