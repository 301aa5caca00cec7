from __future__ import annotations

from hpack import Decoder, Encoder

from pushcast.http2.hpack import EncoderTable, ResponseDecoder, compile_template, split_status
from pushcast.http2.request import Template, Varying


def test_a_shared_header_is_indexed_once_and_then_one_byte() -> None:
    table = EncoderTable()
    first = table.encode_and_index(b"apns-topic", b"com.example")
    assert first == b"\x40\x0aapns-topic\x0bcom.example"
    assert table.encode(b"apns-topic", b"com.example") == b"\xbe"
    table.encode_and_index(b"x", b"y")
    assert table.encode(b"apns-topic", b"com.example") == b"\xbf"


def test_static_fields_need_no_table() -> None:
    table = EncoderTable()
    assert table.encode_and_index(b":method", b"POST") == b"\x83"
    assert table.encode_and_index(b":scheme", b"https") == b"\x87"
    assert table.generation == 0


def test_the_oldest_entries_leave_a_full_table() -> None:
    table, decoder = EncoderTable(), Decoder()
    table.set_limit(150)
    decoder.max_allowed_table_size = 150
    block = table.take_resize()
    for number in range(6):
        block += table.encode_and_index(b"name-%d" % number, b"v" * 10)
    decoder.decode(block, raw=True)
    assert [len(table.encode(b"name-%d" % number, b"v" * 10)) > 1 for number in range(6)] == [True] * 3 + [False] * 3
    reread = decoder.decode(table.encode(b"name-3", b"v" * 10), raw=True)
    assert [(bytes(name), bytes(value)) for name, value in reread] == [(b"name-3", b"v" * 10)]


def test_a_field_larger_than_half_the_table_is_not_indexed() -> None:
    table = EncoderTable()
    table.set_limit(100)
    assert table.encode_and_index(b"long", b"v" * 60) == b"\x00\x04long\x3c" + b"v" * 60


def test_a_limit_lowered_and_raised_again_is_told_twice() -> None:
    table = EncoderTable()
    table.set_limit(0)
    table.set_limit(4_096)
    assert table.take_resize() == b"\x20\x3f\xe1\x1f"
    assert table.take_resize() == b""


def test_a_limit_raised_above_ours_needs_no_word() -> None:
    table = EncoderTable()
    table.set_limit(65_536)
    assert table.take_resize() == b""


def test_authorization_is_never_indexed() -> None:
    table = EncoderTable()
    template = Template(path=b"/", headers=[(b"authorization", b"bearer secret")])
    compiled = compile_template(template, table)
    compile_template(template, table)
    assert table.encode(b"authorization", b"bearer secret").endswith(b"bearer secret")
    assert b"bearer secret" in b"".join(compiled.steady)


def test_a_varying_path_stands_before_regular_headers() -> None:
    template = Template(path=Varying(b":path", b"/3/"), headers=[(b"a", b"b")], authority=b"h")
    compiled = compile_template(template, EncoderTable())
    assert compiled.steady == [b"\x83\x87\xbf\x04", b"\xbe"]


def test_a_recompiled_template_needs_no_intro_when_the_table_has_it_all() -> None:
    table = EncoderTable()
    template = Template(path=b"/x", headers=[(b"a", b"b")])
    assert compile_template(template, table).intro is not None
    assert compile_template(template, table).intro is None


def test_a_stateless_decoder_reads_what_a_server_without_a_table_sends() -> None:
    decoder, encoder = ResponseDecoder(), Encoder()
    first = encoder.encode([(":status", "200"), ("a", "b")])
    assert decoder.decode(first)[1] == (b"a", b"b")
    decoder.become_stateless()
    encoder.header_table_size = 0
    second = encoder.encode([(":status", "410"), ("a", "b")])
    assert second[0] == 0x20
    assert decoder.decode(second) == [(b":status", b"410"), (b"a", b"b")]


def test_a_status_is_three_digits_in_front() -> None:
    assert split_status([(b":status", b"200"), (b"a", b"b")]) == (200, ((b"a", b"b"),))
    for fields in (
        [],
        [(b"a", b"b"), (b":status", b"200")],
        [(b":status", b"2000")],
        [(b":status", b"099")],
        [(b":status", b"abc")],
        [(b":status", b"200"), (b":status", b"404")],
        [(b":status", b"200"), (b"Upper", b"x")],
    ):
        assert split_status(fields) == (0, ())
