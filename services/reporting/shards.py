"""Which youths are written together: by that, facts kept in memory are never written over another replica's work.

    shards   one document a shard: `n`, how often it was written

A replica that keeps facts of a shard in memory knows its `n`; whoever writes to the shard raises it, in the same
transaction, and only from the number that he knows. So a replica that has lost a partition without noticing is refused,
and reads again. A shard lies within one partition of the topics when their number divides that of the shards and
records are keyed as Kafka's own producers do it: then replicas never get in each other's way. Being right does not
depend on it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.bus import hash_of_key

NUMBER_OF_SHARDS: Final = 120

_UUID_LENGTH: Final = 36
_M: Final = np.uint32(0x5BD1E995)
_SEED: Final = np.uint32(0x9747B28C)


def shards_of(youth_ids: Sequence[str]) -> list[int]:
    """The shard of each youth: Kafka's hash of the key, modulo the number of shards."""
    keys = "".join(youth_ids)
    if len(keys) == _UUID_LENGTH * len(youth_ids) and keys.isascii() and all(len(i) == _UUID_LENGTH for i in youth_ids):
        hashes = _of_uuids(keys.encode())
        found: list[int] = ((hashes.astype(np.int64) & 0x7FFFFFFF) % NUMBER_OF_SHARDS).tolist()
        return found
    return [(hash_of_key(youth_id.encode()) & 0x7FFFFFFF) % NUMBER_OF_SHARDS for youth_id in youth_ids]


def _of_uuids(keys: bytes) -> NDArray[np.uint32]:
    """murmur2 of many keys of 36 bytes at once."""
    words = np.frombuffer(keys, "<u4").reshape(-1, _UUID_LENGTH // 4)
    hashes = np.full(len(words), _SEED ^ np.uint32(_UUID_LENGTH), np.uint32)
    for word in words.T:
        mixed = word * _M
        mixed ^= mixed >> np.uint32(24)
        hashes = hashes * _M ^ mixed * _M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    return hashes ^ hashes >> np.uint32(15)
