"""How people say telephone numbers, dates, times and names.

A further language is a further table in ``_TONGUES``; the names of days and months come from Babel, numbers in words
from num2words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo

from babel import Locale
from num2words import num2words


@dataclass(frozen=True)
class _Tongue:
    """What one language says in a way of its own."""

    date: str  # of {weekday}, {month} and {day}
    dated: str  # of {date} and {year}, when it is not this year
    year: Callable[[int], str]
    moment: str  # of {date} and {time}
    day_number: Callable[[int], str]
    clock: Callable[[time], str]
    suffixes: dict[str, str]  # what follows a family name


def digits(number: str) -> str:
    """Digit by digit, in groups of three with a last one of four when it does not come out even: 5 7 3, 5 5 5, 0 1 4 2.

    Letters, as some offender numbers have, are said one by one; hyphens, spaces and brackets are not said.
    """
    signs = [sign for sign in number.upper() if sign.isalnum()]
    cut = [3 * i for i in range(len(signs) // 3 + 1)]
    if len(signs) % 3 == 1 and len(cut) > 1:
        cut.pop()
    groups = [signs[start:end] for start, end in zip(cut, [*cut[1:], len(signs)], strict=True)]
    return ", ".join(" ".join(group) for group in groups if group)


def when(moment: datetime, zone: tzinfo, now: datetime, language: str = "en") -> str:
    """Day and time in the zone: Sunday, November fifteenth, at nine forty in the morning."""
    here = _in_zone(moment, zone)
    said = day(here.date(), _in_zone(now, zone).date(), language)
    return _TONGUES[language].moment.format(date=said, time=clock(here.time(), language))


def day(that: date, today: date, language: str = "en") -> str:
    """Sunday, November fifteenth; with the year when it is not this year."""
    tongue = _TONGUES[language]
    names = Locale.parse(language)
    said = tongue.date.format(
        weekday=names.days["format"]["wide"][that.weekday()],
        month=names.months["format"]["wide"][that.month],
        day=tongue.day_number(that.day),
    )
    return said if that.year == today.year else tongue.dated.format(date=said, year=tongue.year(that.year))


def clock(at: time, language: str = "en") -> str:
    """Nine forty in the morning; noon; midnight."""
    return _TONGUES[language].clock(at)


def person(first: str, last: str, language: str = "en") -> str:
    """A name as it is spoken, first name first, from the capitals in which jails write: O'BRIEN, JOHN Q JR.

    Either part may hold middle names, initials and suffixes; a whole name may stand in ``last``, with its comma.
    """
    if not first.strip() and "," in last:
        last, _, first = last.partition(",")
    suffixes = _TONGUES[language].suffixes
    names, after = [], []
    for part, given in ((first, True), (last, False)):
        for word in re.sub(r"[^\w'’-]+", " ", part.replace("_", " ")).split():
            if word.upper() in suffixes:
                after.append(suffixes[word.upper()])
            else:
                names.append(_name(word, given=given))
    return " ".join(names + after)


def _name(word: str, *, given: bool) -> str:
    """SMITH -> Smith, O'BRIEN-JONES -> O'Brien-Jones, MCCOY -> McCoy, TJ -> T J; what is in mixed case stays."""
    if word != word.upper() and word != word.lower():
        return word
    if given and len(word) == 2 and word.isalpha() and not re.search("[AEIOUY]", word.upper()):
        return " ".join(word.upper())
    pieces = re.split(r"(['’-])", word.lower())
    return re.sub(r"\bMc([a-z]{2,})", lambda mc: f"Mc{mc[1].capitalize()}", "".join(p.capitalize() for p in pieces))


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without its time zone cannot be said")
    return moment.astimezone(zone)


def _english_clock(at: time) -> str:
    if (at.hour, at.minute) in {(0, 0), (12, 0)}:
        return "noon" if at.hour else "midnight"
    hour = num2words(at.hour % 12 or 12)
    if at.minute == 0:
        said = f"{hour} o'clock"
    elif at.minute < 10:
        said = f"{hour} oh {num2words(at.minute)}"
    else:
        said = f"{hour} {num2words(at.minute).replace('-', ' ')}"
    parts = ((12, "in the morning"), (18, "in the afternoon"), (21, "in the evening"), (24, "at night"))
    return f"{said} {next(name for until, name in parts if at.hour < until)}"


def _spanish_clock(at: time) -> str:
    if (at.hour, at.minute) in {(0, 0), (12, 0)}:
        return "al mediodía" if at.hour else "a medianoche"
    hour = at.hour % 12 or 12
    said = "a la una" if hour == 1 else f"a las {num2words(hour, lang='es')}"
    if at.minute:
        spoken = {1: "un minuto", 15: "cuarto", 30: "media"}
        said += f" y {spoken.get(at.minute) or num2words(at.minute, lang='es')}"
    parts = ((6, "de la madrugada"), (12, "de la mañana"), (19, "de la tarde"), (24, "de la noche"))
    return f"{said} {next(name for until, name in parts if at.hour < until)}"


_TONGUES = {
    "en": _Tongue(
        date="{weekday}, {month} {day}",
        dated="{date}, {year}",
        year=lambda year: num2words(year, to="year").replace(" and ", " "),
        moment="{date}, at {time}",
        day_number=lambda number: num2words(number, to="ordinal"),
        clock=_english_clock,
        suffixes={"JR": "Junior", "SR": "Senior", "II": "the second", "III": "the third", "IV": "the fourth"},
    ),
    "es": _Tongue(
        date="el {weekday} {day} de {month}",
        dated="{date} de {year}",
        year=lambda year: num2words(year, lang="es"),
        moment="{date}, {time}",
        day_number=lambda number: "primero" if number == 1 else num2words(number, lang="es"),
        clock=_spanish_clock,
        # Junior is said as in English, and a Spanish voice reads a J in another way.
        suffixes={"JR": "Yúnior", "SR": "Sénior", "II": "segundo", "III": "tercero", "IV": "cuarto"},
    ),
}
LANGUAGES = frozenset(_TONGUES)
