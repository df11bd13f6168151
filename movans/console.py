"""What every command says to people, and how it shows how far it is."""

import logging
from collections.abc import Callable

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def log_to_stderr() -> None:
    """Warnings, for a person who waits for a command."""
    handler = RichHandler(console=err, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


class Bar:
    """A progress bar, as a function of how far it is: so many, of how many, and of what or what is next."""

    def __init__(self, what: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, transient=True)
        self._what, self._task = what, self._progress.add_task(what, total=None)

    def __enter__(self) -> Callable[[int, int, str], None]:
        self._progress.start()
        return self._update

    def _update(self, done: int, of: int, what: str) -> None:
        self._progress.update(self._task, completed=done, total=of, description=f"{self._what}: {what}")

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
