from __future__ import annotations

import pytest

from pushcast.http2.request import Kind, RequestJob, Response, Template, Varying, Wrapped
from unit.http2.wire import apns_template, make_job


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Upper", b"x"),
        (b"", b"x"),
        (b":path", b"x"),
        (b"with space", b"x"),
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"ok", b"line\r\nbreak"),
        (b"ok", b" space"),
        (b"ok", b"nul\0"),
    ],
)
def test_a_header_http2_forbids_is_refused_when_the_template_is_made(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        Template(path=b"/", headers=[(name, value)])


def test_an_error_names_the_header_and_not_its_value() -> None:
    with pytest.raises(ValueError) as caught:
        Template(path=b"/", headers=[(b"authorization", b"bearer secret\n")])
    assert "authorization" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_columns_must_match_the_template() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        RequestJob(apns_template(), [[b"a"]], 1.0, print)
    with pytest.raises(ValueError, match="length"):
        RequestJob(apns_template(), [[b"a"], [b"b", b"c"]], 1.0, print)
    with pytest.raises(ValueError, match="absent"):
        RequestJob(Template(path=b"/", body=Wrapped()), [[None]], 1.0, print)


def test_the_largest_body_and_header_list_are_known() -> None:
    template = Template(path=b"/", varying=[Varying(b"x", b"ab", optional=True)], body=Wrapped(b"<", b">"))
    job = RequestJob(template, [[b"1", None, b"333"], [b"a", b"bbb", b""]], 1.0, print)
    assert job.body_bytes == 5
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/"), (b"x", b"ab333")]
    assert job.list_bytes == sum(len(name) + len(value) + 32 for name, value in fields)


def test_a_representation_shows_no_contents() -> None:
    text = repr(Response(Kind.ANSWERED, 200, ((b"x", b"hidden"),), b"hidden"))
    assert "hidden" not in text


def test_a_job_without_columns_has_one_target() -> None:
    assert make_job(1, template=Template(path=b"/"), columns=[]).job.size == 1
