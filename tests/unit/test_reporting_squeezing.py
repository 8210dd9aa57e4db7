"""Bodies that are sent squeezed are the same as those that are not."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.squeezing import Body, reads_gzip

_MUCH = b'{"by":"academie","code":"10"},' * 200


@given(st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([_MUCH, _MUCH[1:], _MUCH * 5]), st.booleans())))
def test_whatever_is_written_is_what_is_read(written: list[tuple[bytes, bytes, bool]]) -> None:
    body = Body()
    before = b""
    for head, rest, sent in written:
        assert body.write(rest, head) == (rest != before)
        before = rest
        assert body.plain == head + rest
        if sent:
            squeezed = body.squeezed()
            assert squeezed is not None
            assert gzip.decompress(squeezed) == head + rest
            assert len(squeezed) < len(rest)


def test_a_short_body_is_left_as_it_is() -> None:
    body = Body()
    body.write(b"x" * 999)
    assert body.squeezed() is None
    body.write(b"x" * 999, b"y")
    assert body.squeezed() is not None


@pytest.mark.parametrize(
    ("accepted", "reads"),
    [
        (b"gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"br;q=1.0, GZIP;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"deflate, br", False),
        (b"identity", False),
        (b"", False),
    ],
)
def test_who_reads_gzip_says_so(accepted: bytes, reads: bool) -> None:
    assert reads_gzip([(b"host", b"here"), (b"accept-encoding", accepted)]) is reads
    assert not reads_gzip([(b"host", b"here")])
