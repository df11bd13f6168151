from collections.abc import Iterator

import pytest

from tests.live.conversation import Telephone
from tests.live.line import Line


@pytest.fixture(scope="package")
def line() -> Iterator[Line]:
    """The service as a tester starts it: calls out go to the test phone."""
    with Line() as running:
        yield running


@pytest.fixture
def phone(line: Line) -> Iterator[Telephone]:
    with line.phone() as telephone:
        yield telephone
