"""What several tests of the page start from."""

import pytest
from page_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
