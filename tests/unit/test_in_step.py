"""Which partitions are read next, so that topics which were written side by side are read so."""

from aiokafka import ConsumerRecord, TopicPartition

from shared.bus.in_step import Steps

A, B, C = TopicPartition("a", 0), TopicPartition("b", 0), TopicPartition("c", 0)
FAR = 100_000


NOW = 5_000.0


def read(steps: Steps, at_s: float = NOW, **to: tuple[int, int]) -> None:
    """Each was read up to this offset, written at this time (ms)."""
    steps.note(
        {
            TopicPartition(topic, 0): [
                ConsumerRecord(topic, 0, offset - 1, at, 0, None, b"", None, 0, 0, ())
                for offset, at in ((to_offset - 1, at - 7), (to_offset, at))
            ]
            for topic, (to_offset, at) in to.items()
        },
        at_s,
    )


def behind(steps: Steps, at_s: float = NOW, **known: int | None) -> set[TopicPartition]:
    return set(steps.behind({TopicPartition(topic, 0): end for topic, end in known.items()}, at_s))


def test_all_are_read_while_none_was() -> None:
    assert behind(Steps(), a=None, b=FAR) == {A, B}


def test_who_is_more_than_a_second_ahead_waits() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 11_000), c=(900, 11_001))
    assert behind(steps, a=FAR, b=FAR, c=FAR) == {A, B}
    read(steps, a=(600, 10_001))
    assert behind(steps, a=FAR, b=FAR, c=FAR) == {A, B, C}


def test_who_is_read_to_its_end_holds_nobody_back() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 99_000))
    assert behind(steps, a=500, b=FAR) == {A, B}


def test_of_whom_nothing_is_known_neither_waits_nor_is_waited_for() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 99_000))
    assert behind(steps, a=FAR, b=FAR, c=None) == {A, C}
    assert behind(steps, a=FAR, b=700, c=None) == {A, C}


def test_who_is_to_be_read_for_the_first_time_comes_first_if_there_is_anything_to_read() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 10_000))
    steps.begin(C, 40, NOW)
    assert C in steps
    assert behind(steps, a=FAR, b=FAR, c=41) == {C}
    assert behind(steps, a=FAR, b=FAR, c=40) == {A, B, C}


def test_with_little_to_read_nobody_waits() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 99_000))
    assert behind(steps, a=1_500, b=1_700) == {A, B}
    assert behind(steps, a=1_500, b=1_701) == {A}


def test_a_partition_that_went_to_another_is_forgotten() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 99_000))
    assert behind(steps, b=FAR) == {B}
    assert behind(steps, a=FAR, b=FAR) == {A, B}


def test_nobody_waits_for_longer_than_ten_seconds() -> None:
    steps = Steps()
    read(steps, a=(500, 10_000), b=(700, 10**15))  # one that was written far in the future, if it be believed
    assert behind(steps, NOW + 9.9, a=FAR, b=FAR) == {A}
    assert behind(steps, NOW + 10, a=FAR, b=FAR) == {A, B}
    read(steps, NOW + 10, b=(900, 10**15))
    assert behind(steps, NOW + 19.9, a=FAR, b=FAR) == {A}
    assert behind(steps, NOW + 20, a=FAR, b=FAR) == {A, B}
