"""Requests that servers and proxies have read differently, each as bytes. Knows no answer but whether one is allowed.

Most carry a second request where a careless reader of the first would find one.
"""

from dataclasses import dataclass

from attack.raw import GET, POST

BODY = b'{"text": "Once", "model": "bundled", "top_k": 3}'
LENGTH = b"content-length: %d\r\n" % len(BODY)
HIDDEN = b"GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
WHOLE = b"%x\r\n%b\r\n" % (len(BODY), BODY)  # the body as one chunk
LAST = b"0\r\n\r\n"


@dataclass(frozen=True)
class Odd:
    """What is sent, and whether it may be answered as asked; if not, it is refused or the connection ends."""

    data: bytes
    allowed: bool = False


def post(headers: bytes, body: bytes = BODY) -> bytes:
    """A question with these header lines before its body."""
    return POST + headers + b"\r\n" + body


def get(headers: bytes) -> bytes:
    """A plain request with these further header lines."""
    return GET + headers + b"\r\n"


def line(first: bytes) -> bytes:
    """A request with this first line."""
    return first + b"\r\nhost: localhost\r\n\r\n"


def chunks(body: bytes) -> bytes:
    """A question with this chunked body."""
    return post(CHUNKED, body)


LENGTHS = {
    "length and chunks": Odd(post(LENGTH + CHUNKED, LAST + HIDDEN)),
    "chunks and length": Odd(post(CHUNKED + b"content-length: 5\r\n", LAST + HIDDEN)),
    "two lengths": Odd(post(LENGTH + b"content-length: 0\r\n", BODY + HIDDEN)),
    "two lengths, the first 0": Odd(post(b"content-length: 0\r\n" + LENGTH, HIDDEN)),
    "the same length twice": Odd(post(LENGTH + LENGTH), allowed=True),
    "a list of lengths": Odd(post(b"content-length: 48, 0\r\n")),
    "the same length in a list": Odd(post(b"content-length: 48, 48\r\n"), allowed=True),
    "a positive length": Odd(post(b"content-length: +48\r\n")),
    "a negative length": Odd(post(b"content-length: -1\r\n")),
    "a length in hexadecimal": Odd(post(b"content-length: 0x30\r\n")),
    "a length with a blank": Odd(post(b"content-length: 4 8\r\n")),
    "a length with letters": Odd(post(b"content-length: 48abc\r\n")),
    "a length with an underscore": Odd(post(b"content-length: 4_8\r\n")),
    "a length in floating point": Odd(post(b"content-length: 48.0\r\n")),
    "a length of Arabic digits": Odd(post("content-length: ٤٨\r\n".encode())),
    "an empty length": Odd(post(b"content-length:\r\n", HIDDEN)),
    "a length beyond 64 bits": Odd(post(b"content-length: 18446744073709551664\r\n")),
    "a length beyond any machine's": Odd(post(b"content-length: " + b"9" * 500 + b"\r\n")),
    "a length behind a folded line": Odd(post(b"content-length:\r\n 48\r\n")),
    "a length after a blank name": Odd(post(b"content-length : 48\r\n", HIDDEN)),
}
CODINGS = {
    "chunked twice": Odd(post(b"transfer-encoding: chunked, chunked\r\n", WHOLE + LAST)),
    "chunked not last": Odd(post(b"transfer-encoding: chunked, identity\r\n", WHOLE + LAST)),
    "identity": Odd(post(b"transfer-encoding: identity\r\n" + LENGTH)),
    "nearly chunked": Odd(post(b"transfer-encoding: xchunked\r\n", WHOLE + LAST)),
    "chunked in quotes": Odd(post(b'transfer-encoding: "chunked"\r\n', WHOLE + LAST)),
    "chunked and a vertical tab": Odd(post(b"transfer-encoding: chunked\x0b\r\n", WHOLE + LAST)),
    "chunked after a vertical tab": Odd(post(b"transfer-encoding: \x0bchunked\r\n", WHOLE + LAST)),
    "chunked and NUL": Odd(post(b"transfer-encoding: chunked\x00\r\n", WHOLE + LAST)),
    "gzip, then chunked": Odd(post(b"transfer-encoding: gzip, chunked\r\n", WHOLE + LAST), allowed=True),
    "two codings": Odd(post(CHUNKED + b"transfer-encoding: identity\r\n", WHOLE + LAST)),
    "an unknown and a known coding": Odd(post(b"transfer-encoding: x\r\n" + CHUNKED, WHOLE + LAST), allowed=True),
    "a blank before the colon": Odd(post(b"transfer-encoding : chunked\r\n", WHOLE + LAST)),
    "a folded coding": Odd(post(b"transfer-encoding:\r\n chunked\r\n", WHOLE + LAST)),
    "chunked in capitals": Odd(post(b"Transfer-Encoding: CHUNKED\r\n", WHOLE + LAST), allowed=True),
    "chunks in HTTP/1.0": Odd(POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + WHOLE + LAST, allowed=True),
}
CHUNKS = {
    "no hexadecimal size": Odd(chunks(b"zz\r\n" + BODY + b"\r\n" + LAST)),
    "a negative size": Odd(chunks(b"-1\r\n" + BODY + b"\r\n" + LAST)),
    "a size with 0x": Odd(chunks(b"0x30\r\n" + BODY + b"\r\n" + LAST)),
    "a size with a plus": Odd(chunks(b"+30\r\n" + BODY + b"\r\n" + LAST)),
    "a size beyond 64 bits": Odd(chunks(b"10000000000000030\r\n" + BODY + b"\r\n" + LAST)),
    "an empty size": Odd(chunks(b"\r\n" + BODY + b"\r\n" + LAST)),
    "a size with a blank inside": Odd(chunks(b"3 0\r\n" + BODY + b"\r\n" + LAST)),
    "more than the size": Odd(chunks(b"5\r\n" + BODY + b"\r\n" + LAST)),
    "no line end after a chunk": Odd(chunks(b"30\r\n" + BODY + b"30\r\n" + LAST)),
    "NUL in a size": Odd(chunks(b"3\x000\r\n" + BODY + b"\r\n" + LAST)),
    "an extension with a carriage return": Odd(chunks(b"30;a\rb\r\n" + BODY + b"\r\n" + LAST)),
    "an extension with a line end": Odd(chunks(b"30;a\nb\r\n" + BODY + b"\r\n" + LAST)),
    "an extension": Odd(chunks(b"30;a=b\r\n" + BODY + b"\r\n" + LAST), allowed=True),
    "chunks of one byte": Odd(chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + LAST), allowed=True),
    "trailers that name a length": Odd(chunks(WHOLE + b"0\r\ncontent-length: 5\r\n\r\n"), allowed=True),
    "trailers that name a coding": Odd(chunks(WHOLE + b"0\r\ntransfer-encoding: chunked\r\n\r\n"), allowed=True),
    "a folded trailer": Odd(chunks(WHOLE + b"0\r\na: b\r\n c\r\n\r\n"), allowed=True),
}
HEADERS = {
    "a folded line": Odd(get(b"x-a: b\r\n c\r\n"), allowed=True),
    "a first line that is folded": Odd(b"GET /healthz HTTP/1.1\r\n x-a: b\r\nhost: localhost\r\n\r\n"),
    "a carriage return in a value": Odd(get(b"x-a: b\rc\r\n")),
    "a request after a carriage return": Odd(get(b"x-a: b\r\r\n" + HIDDEN)),
    "bare line ends": Odd(get(b"").replace(b"\r\n", b"\n"), allowed=True),
    "bare carriage returns": Odd(get(b"").replace(b"\r\n", b"\r") + b"\r\n\r\n"),
    "NUL in a name": Odd(get(b"x\x00a: b\r\n")),
    "NUL in a value": Odd(get(b"x-a: b\x00c\r\n")),
    "a bell in a name": Odd(get(b"x\x07a: b\r\n")),
    "a name with a blank": Odd(get(b"x a: b\r\n")),
    "an empty name": Odd(get(b": b\r\n")),
    "no colon": Odd(get(b"x-a\r\n")),
    "a name beyond ASCII": Odd(get("ä: b\r\n".encode())),
    "a name in brackets": Odd(get(b"x(a): b\r\n")),
    "a thousand headers": Odd(get(b"".join(b"x-%d: y\r\n" % at for at in range(1000))), allowed=True),
    "a session beyond ASCII": Odd(get(b"x-session: \xff\xfe\r\n"), allowed=True),
    "what is expected is unknown": Odd(post(LENGTH + b"expect: miracles\r\n"), allowed=True),
    "another protocol offered": Odd(get(b"connection: upgrade\r\nupgrade: websocket\r\n"), allowed=True),
    "a body with a GET": Odd(get(b"content-length: 4\r\n") + b"abcd", allowed=True),
}
LINES = {
    "a lower-case method": Odd(line(b"get /healthz HTTP/1.1")),
    "an unknown method": Odd(line(b"BREW /healthz HTTP/1.1")),
    "a long method": Odd(line(b"G" * 10_000 + b" /healthz HTTP/1.1")),
    "a method with NUL": Odd(line(b"G\x00T /healthz HTTP/1.1")),
    "TRACE": Odd(line(b"TRACE /healthz HTTP/1.1")),
    "CONNECT": Odd(line(b"CONNECT localhost:80 HTTP/1.1")),
    "no version": Odd(line(b"GET /healthz"), allowed=True),
    "version 0.9": Odd(line(b"GET /healthz HTTP/0.9"), allowed=True),
    "version 1.2": Odd(line(b"GET /healthz HTTP/1.2"), allowed=True),
    "version 1.1 and more": Odd(line(b"GET /healthz HTTP/1.1x")),
    "version 11": Odd(line(b"GET /healthz HTTP/1.11")),
    "another protocol's name": Odd(line(b"GET /healthz HTTTP/1.1")),
    "no path": Odd(line(b"GET HTTP/1.1")),
    "two blanks": Odd(line(b"GET  /healthz HTTP/1.1"), allowed=True),
    "tabs": Odd(line(b"GET\t/healthz\tHTTP/1.1")),
    "a blank in the path": Odd(line(b"GET /health z HTTP/1.1")),
    "NUL in the path": Odd(line(b"GET /health\x00z HTTP/1.1")),
    "a carriage return in the path": Odd(line(b"GET /health\rz HTTP/1.1")),
    "the whole address": Odd(line(b"GET http://localhost/healthz HTTP/1.1"), allowed=True),
    "an asterisk": Odd(line(b"GET * HTTP/1.1")),
    "an asterisk with OPTIONS": Odd(line(b"OPTIONS * HTTP/1.1"), allowed=True),
    "an address without a path": Odd(line(b"GET localhost:80 HTTP/1.1")),
    "a path out of the root": Odd(line(b"GET /../../../etc/passwd HTTP/1.1")),
    "an encoded path out of the root": Odd(line(b"GET /core/%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1")),
    "a path with backslashes": Odd(line(rb"GET /scripts\..\..\pyproject.toml HTTP/1.1")),
    "an encoded NUL": Odd(line(b"GET /main.js%00 HTTP/1.1")),
    "bytes that are no text": Odd(line(b"GET /core/%ff%fe HTTP/1.1")),
    "a name too long for a file": Odd(line(b"GET /core/" + b"a" * 5000 + b" HTTP/1.1")),
    "two slashes": Odd(line(b"GET //evil.example/healthz HTTP/1.1")),
    "empty lines first": Odd(b"\r\n\r\n" + get(b""), allowed=True),
    "HTTP/2 without asking": Odd(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": Odd(bytes.fromhex("1603010005010000010303") + b"\r\n\r\n"),
}
ODD = LENGTHS | CODINGS | CHUNKS | HEADERS | LINES
