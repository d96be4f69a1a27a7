"""Control messages of every kind with any content, for tests of what carries them."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from lahar.runtime import messages as m

integers = st.integers(-(2**63), 2**64 - 1)
FIELDS = {
    "int": integers,
    "str": st.text(max_size=20),
    "list[int]": st.lists(integers, max_size=4),
    "list[str]": st.lists(st.text(max_size=8), max_size=4),
    "list[Any]": st.lists(integers | st.text(max_size=4) | st.none() | st.booleans(), max_size=4),
    "list[list[int]]": st.lists(st.lists(integers, max_size=3), max_size=3),
    "list[list[Any]]": st.lists(st.lists(integers | st.text(max_size=4), max_size=3), max_size=3),
    "tuple[Any, ...]": st.lists(st.binary(max_size=40), max_size=3).map(tuple),
}


@st.composite
def messages(draw):
    cls = m.KINDS[draw(st.sampled_from(sorted(m.KINDS)))]
    return cls(*(draw(FIELDS[str(field.type)]) for field in dataclasses.fields(cls)))
