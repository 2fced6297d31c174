"""What all tests share."""

import pytest

from clit.networks import kernels


@pytest.fixture(autouse=True, scope="session")
def compiled_kernels():
    """Tests run through the compiled kernels from the first to the last, where there are any."""
    kernels.wait()
