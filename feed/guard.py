"""The guard against abnormal change: what a run may change before a person has looked at it. Pure functions."""

from typing import Protocol

STATED = ("released", "escaped", "furloughed", "died")  # by these kinds a record says that somebody is out of custody
OUT = (*STATED, "no_longer_listed")  # and by this one the lack of any

FIRST = ("listed", "court_scheduled")  # by these kinds somebody, or a court date, is known for the first time


class Limit(Protocol):
    """``few`` are never too many, more than ``most`` always are; between them it is the ``share`` that decides."""

    @property
    def few(self) -> int: ...

    @property
    def most(self) -> int: ...

    @property
    def share(self) -> float: ...


def excess(
    what: str,
    count: int,
    limit: Limit,
    *,
    lately: int = 0,
    among: int,
    of: str,
    times: float,
    usual: float | None = None,
) -> str | None:
    """Why so many of something are too many, in one sentence; None where they are not.

    ``lately``: how many there were just before, by other runs: what comes in pieces counts as a whole. ``among``: how
    many there are in all, by the words ``of``. ``usual``: the median of the feed's last runs, None where there are too
    few of those; more than so many ``times`` as many by this run are too many.
    """
    total = count + lately
    if not count or total <= limit.few:
        return None
    said = f"{total:,} {what}" + (f" within an hour, {count:,} by this file" if lately else "")
    if total > limit.most:
        return f"{said}, and at most {limit.most:,} are usual"
    if total > limit.share * among:
        return f"{said}, which is more than a share of {limit.share:g} of the {among:,} {of}"
    if usual is not None and count > limit.few and count > times * usual:
        return f"{said}, which is more than {times:g} times the median of the last runs, {usual:g}"
    return None


def is_small(touched: int, population: int, share: float) -> bool:
    """Whether a run says something new of no more than that share of who is held."""
    return touched <= share * population
