"""Where a consumer reads on, seen and put back at once: aiokafka's own way of asking waits where it is not known."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition


def places(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """The offset of the next record of each partition held; those of which it is not known yet are left away."""
    subscription = consumer._subscription.subscription  # noqa: SLF001  see above
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    states = {partition: assignment.state_value(partition) for partition in assignment.tps}
    return {partition: state.position for partition, state in states.items() if state.has_valid_position}


def go_back(consumer: AIOKafkaConsumer, before: Mapping[TopicPartition, int]) -> None:
    """Read on where it was before, in the same deal of partitions."""
    for partition, offset in places(consumer).items():
        if before.get(partition, offset) != offset:
            consumer.seek(partition, before[partition])
