"""What all tests share."""

import pytest

from clit.networks import compiling


def pytest_addoption(parser):
    parser.addoption("--ray", metavar="ADDRESS", help="the browser's tests ask a page that draws by actors on this Ray")


@pytest.fixture(autouse=True, scope="session")
def compiled_kernels():
    """Tests run through the compiled kernels from the first to the last, where there are any."""
    compiling.wait()
