"""The order of a rollover, for one leaf: what everybody trusts is shown, and what is shown was trusted before."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pki.rollover import Standing, untimely

GENERATIONS = ("clients-1", "clients-2", "clients-3")
CONSISTENT = st.builds(
    lambda issued_by, others: Standing(issued_by, others | {issued_by}),
    st.sampled_from(GENERATIONS),
    st.frozensets(st.sampled_from(GENERATIONS)),
)
"""Standings as `up` leaves them: a leaf is trusted where it is shown."""


def standing(issued_by: int, *trusted: int) -> Standing:
    return Standing(f"clients-{issued_by}", frozenset(f"clients-{number}" for number in trusted))


def steps(before: Standing, after: Standing) -> list[str]:
    return [str(step) for step in untimely(before, after)]


def test_a_rollover_in_its_order_is_timely() -> None:
    whole = [standing(1, 1), standing(1, 1, 2), standing(2, 1, 2), standing(2, 2)]
    assert [steps(before, after) for before, after in pairwise(whole)] == [[], [], []]


def test_a_rollover_that_turns_back_is_timely() -> None:
    """Somebody who finds that a key is not what it should be could not take the step back."""
    back = [standing(2, 1, 2), standing(1, 1, 2), standing(1, 1)]
    assert [steps(before, after) for before, after in pairwise(back)] == [[], []]


def test_each_step_too_early_is_told() -> None:
    """The message would name the wrong step, or let the other one through with it."""
    assert steps(standing(1, 1), standing(2, 1, 2)) == ["sign-clients-2"]
    assert steps(standing(1, 1, 2), standing(2, 2)) == ["distrust-clients-1"]
    assert steps(standing(1, 1, 2), standing(1, 2)) == ["distrust-clients-1"]
    assert steps(standing(1, 1), standing(2, 2)) == ["sign-clients-2", "distrust-clients-1"]


@given(CONSISTENT, CONSISTENT)
def test_what_is_timely_breaks_no_connection_and_what_is_not_breaks_one(before: Standing, after: Standing) -> None:
    """Files arrive here earlier and there later: a leaf of before or after meets the trust of before or after."""
    met = [(leaf, trust) for leaf in (before, after) for trust in (before, after)]
    breaks = any(leaf.issued_by not in trust.trusted for leaf, trust in met)
    assert bool(untimely(before, after)) == breaks


@given(CONSISTENT)
def test_what_stays_is_timely(same: Standing) -> None:
    """A second `up` would be refused."""
    assert untimely(same, same) == []
