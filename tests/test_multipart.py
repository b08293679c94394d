"""Multipart uploads in the forms that real clients send: file names, other fields, line ends and boundaries."""

import json
from typing import Any

import pytest
from client import Api
from hypothesis import given
from hypothesis import strategies as some
from media import image

from tertulia.server.http.multipart import MalformedForm, MultipartReader, PartBegins

PNG = image()
FILE = b'name="file"; '
NAMES: dict[bytes, str] = {
    FILE + b'filename="a.png"': "a.png",
    FILE + b"filename*=UTF-8''%e2%82%ac%20a.png": "€ a.png",
    FILE + b"filename*=iso-8859-1'en'%e9.png": "é.png",
    FILE + b"filename*=\"UTF-8''%e2%82%ac.png\"": "€.png",
    FILE + b"filename=\"e.png\"; filename*=UTF-8''%e2%82%ac.png": "€.png",
    FILE + b"filename*=klingon''a.png; filename=b.png": "b.png",
    FILE + b"filename*=%zz.png": "file.png",
    FILE + b'filename*0="a"; filename*1="b.png"': "ab.png",
    FILE + b"filename*0*=UTF-8''%e2%82; filename*1*=%ac.png": "€.png",
    b'name="file"': "file.png",
    FILE + b'filename=""': "file.png",
    b"name=file; filename=a.png": "a.png",
    b"name='file'; filename='a.png'": "a.png",
    FILE + b'filename="a\\"b;c.png"': 'a"b;c.png',
    FILE + b'filename="a%22b%0D%0A.png"': 'a"b.png',
    FILE + b'filename="C:\\fakepath\\a.png"': "a.png",
    FILE + b'filename="../../etc/a.png"': "a.png",
    FILE + 'filename="€.png"'.encode(): "€.png",
    FILE + 'filename="é.png"'.encode("latin-1"): "é.png",
    FILE + b'filename="=?UTF-8?B?4oKsLnBuZw==?="': "€.png",
    FILE + b'filename="=?utf-8?Q?=E2=82=AC.png?="': "€.png",
    b'FILENAME="a.png"; NAME="file"': "a.png",
}  # fmt: skip
END = b"--xx--\r\n"


def part(disposition: bytes, data: bytes = PNG, headers: bytes = b"Content-Type: image/png\r\n") -> bytes:
    return b"--xx\r\nContent-Disposition: form-data; %b\r\n%b\r\n%b\r\n" % (disposition, headers, data)


WHOLE = part(FILE + b'filename="a.png"')
FIELD = part(b'name="purpose"', b"vision", b"")
FORMS: dict[str, bytes] = {
    "a field before": FIELD + WHOLE + END,
    "a field after": WHOLE + FIELD + END,
    "another file before": part(b'name="other"; filename="o.png"') + WHOLE + END,
    "a preamble": b"A message in several parts.\r\n" + WHOLE + END,
    "an epilogue": WHOLE + END + b"The end.",
    "no last line end": WHOLE + b"--xx--",
    "spaces after a boundary": WHOLE.replace(b"--xx\r\n", b"--xx \t\r\n") + END,
    "folded headers": WHOLE.replace(b"form-data; ", b"form-data;\r\n ") + END,
    "other headers first": b"--xx\r\nContent-Transfer-Encoding: binary\r\nCONTENT-DISPOSITION: " + WHOLE[27:] + END,
    "lines that end in LF": b'--xx\nContent-Disposition: form-data; name="file"; filename="a.png"\n\n%b\n--xx--\n' % PNG,
    "the boundary in the file": part(FILE + b'filename="a.png"', PNG + b"\n--xx\n\r\n--xxx\r\n--x") + END,
}  # fmt: skip


def upload(api: Api, body: bytes, content_type: str = "multipart/form-data; boundary=xx") -> Any:
    return api.http.post("/attachments", content=body, headers={"content-type": content_type})


@pytest.mark.parametrize("disposition", NAMES)
def test_a_file_name_is_decoded_from_every_form(api: Api, disposition: bytes) -> None:
    response = upload(api, part(disposition) + END)
    assert (response.status_code, response.json().get("filename")) == (201, NAMES[disposition])


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_real_clients_are_read(api: Api, form: str) -> None:
    response = upload(api, FORMS[form])
    assert (response.status_code, response.json().get("filename")) == (201, "a.png")
    expected = PNG + b"\n--xx\n\r\n--xxx\r\n--x" if form == "the boundary in the file" else PNG
    assert api.http.get(response.json()["url"]).content == expected


@pytest.mark.parametrize("kind", ['multipart/form-data; boundary="xx"', "Multipart/Form-Data;BOUNDARY=xx",
    "multipart/form-data; charset=utf-8; boundary=xx"])  # fmt: skip
def test_every_form_of_a_boundary_is_read(api: Api, kind: str) -> None:
    assert upload(api, WHOLE + END, kind).status_code == 201


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "cut off"),
        (WHOLE, "cut off"),
        (WHOLE[:-3], "cut off"),
        (END, "must have a part `file`"),
        (FIELD + END, "must have a part `file`"),
        (WHOLE + WHOLE + END, "more than one"),
        (FIELD * 101 + END, "at most 100 parts"),
        (part(b'filename="a.png"') + END, "Content-Disposition"),
        (b"--xx\r\n\r\n" + PNG + b"\r\n" + END, "Content-Disposition"),
        (part(FILE + b'filename="' + b"x" * 20_000 + b'"') + END, "headers of a part"),
        (b"--xx\r\n" + b"x" * 20_000, "headers of a part"),
    ],
)
def test_an_unreadable_form_is_refused_with_a_reason(api: Api, body: bytes, says: str) -> None:
    response = upload(api, body)
    assert response.status_code == 422
    assert says in response.json()["error"]["message"]


@pytest.mark.parametrize("name", [b"", b'; filename="x.jsonl"', b"; filename*=UTF-8''x.jsonl"])
def test_an_import_is_read_with_any_file_name(api: Api, name: bytes) -> None:
    line = json.dumps({"type": "tertulia-export", "version": 1, "exported_at": "2026-01-01T00:00:00Z"}).encode()
    body = FIELD + part(b'name="file"' + name, line, b"") + END
    response = api.http.post("/import", content=body, headers={"content-type": "multipart/form-data; boundary=xx"})
    assert (response.status_code, response.json().get("conversation_ids")) == (201, [])


@given(
    some.lists(some.binary(max_size=40) | some.sampled_from([b"\r\n--x", b"\r\n", b"\r", b"--xx", b""]), max_size=4),
    some.sampled_from([b"\r\n", b"\n"]),
    some.data(),
)
def test_parts_do_not_depend_on_how_the_body_is_split(
    contents: list[bytes], newline: bytes, data: some.DataObject
) -> None:
    contents = [content for content in contents if newline + b"--xx" not in newline + content]
    head = b'--xx%bContent-Disposition: form-data; name="%d"%b' + newline
    parts = [head % (newline, number, newline) + content + newline for number, content in enumerate(contents)]
    body = b"".join(parts) + b"--xx--"
    cuts = sorted(data.draw(some.lists(some.integers(0, len(body)), max_size=8)))
    reader = MultipartReader("multipart/form-data; boundary=xx")
    parsed: list[bytearray] = []
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        for piece in reader.feed(body[begin:end]):
            if isinstance(piece, PartBegins):
                assert piece == PartBegins(str(len(parsed)), None)
                parsed.append(bytearray())
            else:
                parsed[-1] += piece
    reader.close()
    assert parsed == contents


@given(some.binary(max_size=200))
def test_arbitrary_bytes_are_parsed_or_refused(body: bytes) -> None:
    reader = MultipartReader("multipart/form-data; boundary=xx")
    try:
        list(reader.feed(b"--xx\r\nContent-Disposition: " + body))
        reader.close()
    except MalformedForm:
        pass
