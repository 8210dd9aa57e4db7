"""When a stream is so broken that the deployment is at fault, and when only records are."""

from hypothesis import given
from hypothesis import strategies as st

from shared.readability import Readability, most_common


def batch(unreadable: int, readable: int) -> list[bool]:
    return [False] * unreadable + [True] * readable


def test_a_few_bad_records_are_never_an_alarm_however_few_good_ones_there_are() -> None:
    assert Readability(share=0.5, least=50).alarm(batch(49, 0)) is None


def test_most_of_a_batch_unreadable_is_one() -> None:
    assert Readability(share=0.5, least=50).alarm(batch(260, 240)) == (260, 500)
    assert Readability(share=0.5, least=50).alarm(batch(250, 250)) is None


def test_small_batches_are_judged_with_those_before_them() -> None:
    readability = Readability(share=0.5, least=50)
    for number in range(49):
        assert readability.alarm([False]) is None, number
        readability.note([False])
    assert readability.alarm([False]) == (50, 50)


def test_a_long_good_past_is_forgotten() -> None:
    readability = Readability(share=0.5, least=50)
    readability.note([True] * 10_000)
    for _ in range(100):
        assert readability.alarm([False]) is None
        readability.note([False])
    assert readability.alarm([False]) == (101, 200)


def test_a_batch_that_comes_again_counts_once() -> None:
    readability = Readability(share=0.5, least=50)
    readability.note([True] * 60)
    for _ in range(10):
        assert readability.alarm(batch(40, 0)) is None


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=300), max_size=20), st.floats(0, 1), st.integers(1, 100))
def test_an_alarm_is_never_without_its_share_and_its_number(
    batches: list[list[bool]], share: float, least: int
) -> None:
    readability = Readability(share, least)
    past: list[bool] = []
    for readable in batches:
        found = readability.alarm(readable)
        last = [*past, *readable][-max(200, len(readable)) :]
        unreadable = last.count(False)
        assert (found is not None) == (unreadable >= least and unreadable > share * len(last))
        if found is None:
            readability.note(readable)
            past += readable
        else:
            assert found == (unreadable, len(last))


@given(st.lists(st.booleans(), max_size=400))
def test_with_a_share_of_1_there_is_never_an_alarm(readable: list[bool]) -> None:
    assert Readability(share=1, least=1).alarm(readable) is None


def test_the_commonest_code() -> None:
    assert most_common(["bad_json", "empty", "bad_json"]) == "bad_json"
    assert most_common([]) == ""
