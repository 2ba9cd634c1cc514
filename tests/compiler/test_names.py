"""Names of tensors as people read them."""

import pytest

from celosia.compiler.names import short_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv/Relu", "conv/Relu"),
        ("conv/Relu;conv/BiasAdd;conv/Conv2D", "conv/Relu"),
        (";", ";"),
        ("a" * 20 + "/12", "…aaaaaa/12"),
    ],
)
def test_short_names(name, shown):
    assert short_name(name, 10) == shown
