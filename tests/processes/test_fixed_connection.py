"""What fixed-point connections share; most of it is tested with Dense and Sparse."""

import pytest

from lahar.processes.fixed_connection import AbstractFixedConnectionModel


def test_a_model_says_how_it_adds():
    model = AbstractFixedConnectionModel({})
    with pytest.raises(NotImplementedError, match="AbstractFixedConnectionModel must define weighted_sum"):
        model.weighted_sum(None, False, int)
