"""When a stream is so broken that the deployment is at fault, and when only records are."""

from hypothesis import given
from hypothesis import strategies as st

from shared.readability import Alarm, Readability, explain, most_common


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


HERE, THERE = ("referral.events", 0), ("referral.events", 1)


def test_an_alarm_stands_while_its_batch_comes_again_and_is_new_only_once() -> None:
    alarm = Alarm()
    assert alarm.standing(0) is None
    assert [alarm.renew("why", {HERE}, now) for now in (0.0, 5.0, 10.0, 30.0)] == [True, False, False, False]
    assert alarm.standing(59.9) == "why"


def test_an_alarm_ends_when_its_partition_is_read_and_not_when_another_is() -> None:
    alarm = Alarm()
    alarm.renew("why", {HERE}, 0)
    alarm.passed({THERE})
    assert alarm.standing(1) == "why"
    alarm.passed({THERE, HERE})
    assert alarm.standing(1) is None
    assert alarm.renew("again", {HERE}, 2)


def test_an_alarm_ends_when_its_batch_comes_to_another_replica() -> None:
    alarm = Alarm()
    alarm.renew("why", {HERE}, 100)
    assert alarm.standing(129.9) == "why"
    assert alarm.standing(130.1) is None


def test_an_alarm_says_where_how_much_why_and_both_remedies() -> None:
    text = explain(150, 200, ["referral.events"], "invalid_data")
    for word in ("150 of the last 200", "referral.events", "invalid_data", "Deploy", "FOQUALE_UNDECODABLE_SHARE=1"):
        assert word in text
