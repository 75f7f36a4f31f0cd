"""Bytes that break the rules of RFC 9112, on all four ports. The service answers such bytes with an error, closes the
connection, and does not serve later bytes as a request. Odd requests that the rules allow are served, and so is the
next request."""
import contextlib
import os
import re
import socket
import ssl
import time

import fantail_testing as ft
from certificates import Authority
from fantail_testing import FantailTest, SharedFleetTest

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /livez HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
HIDDEN = b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)

# (what, bytes, status). In each case, the bytes are followed by SMUGGLED.
REQUEST_LINES = [
    ("no target", b"GET\r\nHost: x\r\n\r\n", 400),
    ("no version", b"GET /livez\r\nHost: x\r\n\r\n", 400),
    ("two spaces before the target", b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("two spaces before the version", b"GET /livez  HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a space after the version", b"GET /livez HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    ("a tab between", b"GET\t/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a space in the target", b"GET /livez a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("space before the method", b" GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a parenthesis in the method", b"G(T /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a colon in the method", b"GET: /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a byte above 127 in the method", b"G\xc3T /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a method beyond any", b"G" * 40 + b" /livez HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("a tunnel", b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("bare LF", b"GET /livez HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("only bare LF", b"GET /livez HTTP/1.1\nHost: x\n\n", 400),
    ("CR CR LF", b"GET /livez HTTP/1.1\r\r\nHost: x\r\n\r\n", 400),
    ("a bare CR in the target", b"GET /li\rvez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("NUL in the target", b"GET /livez\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a control character in the target", b"GET /livez\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("DEL in the target", b"GET /livez\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a fragment in the target", b"GET /livez#a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    *((f"{c!r} in the {part}", target % c + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400)
      for c in (b'"', b"<", b">", b"\\", b"^", b"`", b"{", b"|", b"}")
      for part, target in (("path", b"GET /livez%s"), ("query", b"GET /livez?a=%sb"), ("host", b"GET http://x%s/livez"))),
    ("a percent sign without digits", b"GET /livez?a=% HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a percent sign with one digit", b"GET /livez?a=%4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a percent sign with a letter that is not a digit", b"GET /livez?a=%4g HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("two percent signs", b"GET /livez?a=%%41 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a relative target", b"GET livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a star without OPTIONS", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI without a host", b"GET http:///livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with only a port", b"GET http://:80/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with nothing after its scheme", b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with only a query", b"GET http://?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with a user", b"GET http://u@x/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with a word as its port", b"GET http://x:http/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with an open bracket", b"GET http://[::1/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with empty brackets", b"GET http://[]/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI without a scheme", b"GET ://x/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a URI with one slash", b"GET http:/livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("small letters in the version", b"GET /livez http/1.1\r\nHost: x\r\n\r\n", 400),
    ("half a version", b"GET /livez HTTP/1\r\nHost: x\r\n\r\n", 400),
    ("two digits in the version", b"GET /livez HTTP/1.10\r\nHost: x\r\n\r\n", 400),
    ("a sign in the version", b"GET /livez HTTP/+1.1\r\nHost: x\r\n\r\n", 400),
    ("another protocol", b"GET /livez HTTQ/1.1\r\nHost: x\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/2 with a path", b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("HTTP/0.9", b"GET /livez HTTP/0.9\r\nHost: x\r\n\r\n", 505),
    ("two empty lines first", b"\r\n\r\n" + GET + b"\r\n", 400),
    ("an empty line of only LF first", b"\n" + GET + b"\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
]
FIELD_LINES = [
    ("space before the first field", b"GET /livez HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    ("a folded line", GET + b"A: b\r\n c\r\n\r\n", 400),
    ("a line folded with a tab", GET + b"A: b\r\n\tc\r\n\r\n", 400),
    ("a folded line of only space", GET + b"A: b\r\n \r\n\r\n", 400),
    ("space before the colon", GET + b"A : b\r\n\r\n", 400),
    ("a tab before the colon", GET + b"A\t: b\r\n\r\n", 400),
    ("no name", GET + b": b\r\n\r\n", 400),
    ("no colon", GET + b"nothing\r\n\r\n", 400),
    ("a space in a name", GET + b"a b: c\r\n\r\n", 400),
    ("a slash in a name", GET + b"a/b: c\r\n\r\n", 400),
    ("a byte above 127 in a name", GET + b"a\xe9: b\r\n\r\n", 400),
    ("NUL in a name", GET + b"a\0b: c\r\n\r\n", 400),
    ("NUL in a value", GET + b"a: b\0c\r\n\r\n", 400),
    ("a control character in a value", GET + b"a: b\x01c\r\n\r\n", 400),
    ("DEL in a value", GET + b"a: b\x7f\r\n\r\n", 400),
    ("a bare LF after a value", GET + b"a: b\n\r\n", 400),
    ("a bare LF that hides a field", GET + b"a: b\nContent-Length: 40\r\n\r\n", 400),
    ("a bare CR in a value", GET + b"a: b\rc: d\r\n\r\n", 400),
    ("a bare LF as the end of the head", GET + b"\n", 400),
    ("a bare CR as the end of the head", GET + b"\r\r\n", 400),
    ("no Host", b"GET /livez HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", GET + b"Host: x\r\n\r\n", 400),
    ("two different Hosts", GET + b"HOST: y\r\n\r\n", 400),
    ("a list as Host", b"GET /livez HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
    ("a path as Host", b"GET /livez HTTP/1.1\r\nHost: x/livez\r\n\r\n", 400),
    ("a user in Host", b"GET /livez HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
    ("a word as the port of Host", b"GET /livez HTTP/1.1\r\nHost: x:http\r\n\r\n", 400),
    ("an open bracket in Host", b"GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("empty brackets in Host", b"GET /livez HTTP/1.1\r\nHost: []\r\n\r\n", 400),
    ("a byte above 127 in Host", b"GET /livez HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400),
    ("too many fields", GET + b"a:b\r\n" * 300 + b"\r\n", 431),
]
LENGTHS = [
    ("a folded length", POST + b"Content-Length:\r\n %d\r\n\r\n" % len(SMUGGLED), 400),
    ("a length folded with a tab", POST + b"Content-Length:\r\n\t%d\r\n\r\n" % len(SMUGGLED), 400),
    ("a length that goes on", POST + b"Content-Length: 2\r\n 9\r\n\r\n", 400),
    ("a length that goes on after a tab", POST + b"Content-Length: 2\r\n\t9\r\n\r\n", 400),
    ("no length", POST + b"Content-Length:\r\n\r\n", 400),
    ("a plus sign", POST + b"Content-Length: +5\r\n\r\n", 400),
    ("a minus sign", POST + b"Content-Length: -5\r\n\r\n", 400),
    ("a hexadecimal length", POST + b"Content-Length: 0x5\r\n\r\n", 400),
    ("hexadecimal digits", POST + b"Content-Length: 1a\r\n\r\n", 400),
    ("a list of lengths", POST + b"Content-Length: 5,5\r\n\r\n", 400),
    ("a list of lengths with a space", POST + b"Content-Length: 5, 5\r\n\r\n", 400),
    ("two numbers", POST + b"Content-Length: 5 5\r\n\r\n", 400),
    ("a fraction", POST + b"Content-Length: 5.0\r\n\r\n", 400),
    ("quotes", POST + b"Content-Length: \"5\"\r\n\r\n", 400),
    ("digits of another script", POST + "Content-Length: \u0665\r\n\r\n".encode(), 400),
    ("a vertical tab", POST + b"Content-Length: \x0b5\r\n\r\n", 400),
    ("2^63", POST + b"Content-Length: 9223372036854775808\r\n\r\n", 413),
    ("2^64-1", POST + b"Content-Length: 18446744073709551615\r\n\r\n", 413),
    ("2^64+1", POST + b"Content-Length: 18446744073709551617\r\n\r\n", 413),
    ("2^63-1", POST + b"Content-Length: 9223372036854775807\r\n\r\n", 413),
    ("the length twice", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    ("two lengths", POST + b"Content-Length: 0\r\n" + HIDDEN, 400),
    ("two lengths in other letters", POST + b"content-length: 0\r\n" + HIDDEN, 400),
    ("space before the length's colon", POST + b"Content-Length : %d\r\n\r\n" % len(SMUGGLED), 400),
    ("a folded length in a GET", GET + b"Content-Length:\r\n %d\r\n\r\n" % len(SMUGGLED), 400),
]
ENCODINGS = [
    ("a length and chunks", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunks and a length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    ("a folded encoding", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ("an encoding folded with a tab", POST + b"Transfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n", 400),
    ("a folded encoding beside a length", POST + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    ("chunked twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked and identity", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    ("gzip", POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    ("gzip, then chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("a list of chunked", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked with a parameter", POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400),
    ("chunked in quotes", POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("almost chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked after a vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("space before the encoding's colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("no encoding", POST + b"Transfer-Encoding:\r\n\r\n", 400),
    ("chunks in HTTP/1.0", b"POST /livez HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
]
CHUNKS = [
    ("no size", CHUNKED + b"\r\n", 400),
    ("no hexadecimal digit", CHUNKED + b"g\r\n", 400),
    ("a plus sign", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    ("a minus sign", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", 400),
    ("space before the size", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", 400),
    ("space after the size", CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    ("a tab after the size", CHUNKED + b"3\t\r\nabc\r\n0\r\n\r\n", 400),
    ("0x", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("an underscore", CHUNKED + b"1_0\r\nabc\r\n0\r\n\r\n", 400),
    ("too many digits", CHUNKED + b"0" * 16 + b"3\r\nabc\r\n0\r\n\r\n", 400),
    ("a size of 2^63", CHUNKED + b"8000000000000000\r\nabc", 413),
    ("a size of 2^64-1", CHUNKED + b"FFFFFFFFFFFFFFFF\r\nabc", 413),
    ("a bare LF after the size", CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    ("a bare CR after the size", CHUNKED + b"3\rabc\r\n0\r\n\r\n", 400),
    ("a bare LF after the last size", CHUNKED + b"3\r\nabc\r\n0\n\r\n", 400),
    ("a bare LF after the data", CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400),
    ("a bare CR after the data", CHUNKED + b"3\r\nabc\r0\r\n\r\n", 400),
    ("nothing after the data", CHUNKED + b"3\r\nabc0\r\n\r\n", 400),
    ("more data than the size", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    ("an empty extension", CHUNKED + b"3;\r\nabc\r\n0\r\n\r\n", 400),
    ("space before an extension", CHUNKED + b"3 ;a=b\r\nabc\r\n0\r\n\r\n", 400),
    ("space in an extension", CHUNKED + b"3;a =b\r\nabc\r\n0\r\n\r\n", 400),
    ("an extension without a value", CHUNKED + b"3;a=\r\nabc\r\n0\r\n\r\n", 400),
    ("an extension without a name", CHUNKED + b"3;=b\r\nabc\r\n0\r\n\r\n", 400),
    ("two values", CHUNKED + b"3;a=b=c\r\nabc\r\n0\r\n\r\n", 400),
    ("a quote that does not end", CHUNKED + b"3;a=\"b\r\nabc\r\n0\r\n\r\n", 400),
    ("a bare LF in an extension", CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", 400),
    ("a bare LF in quotes", CHUNKED + b"3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", 400),
    ("a bare CR in an extension", CHUNKED + b"3;a\rabc\r\n0\r\n\r\n", 400),
    ("NUL in an extension", CHUNKED + b"3;a\0\r\nabc\r\n0\r\n\r\n", 400),
    ("an extension of 300 bytes", CHUNKED + b"3;" + b"a" * 300 + b"\r\nabc\r\n0\r\n\r\n", 400),
    ("an extension of 300,000 bytes", CHUNKED + b"3;" + b"a" * 300_000, 400),
    ("too many extensions", CHUNKED + b"1;abcdefgh=ijklmnop\r\nx\r\n" * 5000 + b"0\r\n\r\n", 400),
]
TRAILERS = [
    ("a bare LF as their end", CHUNKED + b"0\r\n\n", 400),
    ("a bare CR as their end", CHUNKED + b"0\r\n\rX", 400),
    ("a bare LF in a value", CHUNKED + b"0\r\nA: b\nC: d\r\n\r\n", 400),
    ("a bare CR in a value", CHUNKED + b"0\r\nA: b\rC: d\r\n\r\n", 400),
    ("space at the start", CHUNKED + b"0\r\n A: b\r\n\r\n", 400),
    ("a folded line", CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n", 400),
    ("space before the colon", CHUNKED + b"0\r\nA : b\r\n\r\n", 400),
    ("no colon", CHUNKED + b"0\r\nAb\r\n\r\n", 400),
    ("no name", CHUNKED + b"0\r\n: b\r\n\r\n", 400),
    ("NUL in a value", CHUNKED + b"0\r\nA: b\0\r\n\r\n", 400),
    ("a request instead", CHUNKED + b"0\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a length", CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", 400),
    ("an encoding", CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("a Host", CHUNKED + b"0\r\nHost: x\r\n\r\n", 400),
    ("too long", CHUNKED + b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n", 431),
    ("too many", CHUNKED + b"0\r\n" + b"A: b\r\n" * 300 + b"\r\n", 431),
]

# Requests that are odd but well-formed: (what, bytes, status). The request SMUGGLED follows each odd request and is
# served.
ODD = [
    ("an empty line first", b"\r\n" + GET + b"\r\n", 200),
    ("no space after the colon", b"GET /livez HTTP/1.1\r\nHost:x\r\n\r\n", 200),
    ("an empty Host", b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 200),
    ("an address as Host", b"GET /livez HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    ("an absolute target", b"GET http://y:80/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ("an absolute target with an address", b"GET HTTP://[::1]:80/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ("all other characters in the query", b"GET /livez?a=%41-._~!$&'()*+,;=:@/?[]\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ("a higher minor version", b"GET /livez HTTP/1.7\r\nHost: x\r\n\r\n", 200),
    ("a tab and bytes above 127 in a value", GET + b"A: \tb\tc\xff \r\n\r\n", 200),
    ("an empty value", GET + b"A:\r\n\r\n", 200),
    ("200 fields", GET + b"a: b\r\n" * 200 + b"\r\n", 200),
    ("a length of 0", GET + b"Content-Length: 0\r\n\r\n", 200),
    ("a length with zeros in front", GET + b"Content-Length: 0003\r\n\r\nabc", 200),
    ("another method", b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("chunks", GET + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n", 200),
    ("extensions", GET + b"Transfer-Encoding: chunked\r\n\r\n3;a;b=c;d=\"e \\\" f\"\r\nabc\r\n0;z\r\n\r\n", 200),
    ("trailers", GET + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n", 200),
]


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-9]\d\d) ", received)]


class RawRequests(SharedFleetTest):
    """Runs each case on the main and the admin port of a coordinator and of a worker."""

    TIME_LIMIT_S = 240
    fleet_options = {}

    def ports(self):
        worker = self.shared.workers[0]
        return (("coordinator", self.shared.port), ("coordinator's admin port", self.shared.coordinator.admin_port),
                ("worker", worker.port), ("worker's admin port", worker.admin_port))

    def refuse(self, cases):
        for name, port in self.ports():
            for what, data, status in cases:
                with self.subTest(what, port=name):
                    received = ft.raw_request(port, data + SMUGGLED)
                    self.assertEqual(statuses(received), [status], received)
                    self.assertIn(b"application/problem+json", received)

    def test_malformed_request_lines_are_refused(self):
        self.refuse(REQUEST_LINES)

    def test_malformed_field_lines_are_refused(self):
        self.refuse(FIELD_LINES)

    def test_doubtful_lengths_are_refused(self):
        self.refuse(LENGTHS)

    def test_doubtful_encodings_are_refused(self):
        self.refuse(ENCODINGS)

    def test_malformed_chunks_are_refused(self):
        self.refuse(CHUNKS)

    def test_malformed_trailers_are_refused(self):
        self.refuse(TRAILERS)

    def test_what_is_odd_but_well_formed_is_served_and_so_is_the_next_request(self):
        last = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        for name, port in self.ports():
            for what, data, status in ODD:
                with self.subTest(what, port=name):
                    received = ft.raw_request(port, data + last)
                    self.assertEqual(statuses(received), [status, 200], received)

    def test_a_fault_after_good_requests_is_refused_when_they_are_answered(self):
        for name, port in self.ports():
            for what, data, status in REQUEST_LINES[:5] + LENGTHS[:3] + CHUNKS[:3] + TRAILERS[:2]:
                with self.subTest(what, port=name):
                    received = ft.raw_request(port, GET + b"\r\n" + SMUGGLED + data + SMUGGLED)
                    self.assertEqual(statuses(received), [200, 200, status], received)

    def test_a_half_closed_connection_ends_after_its_answer(self):
        """The keep-alive time is far longer than the time limit of the test, so it does not end the connection."""
        for name, port in self.ports():
            for first in (True, False):
                with self.subTest(port=name, before_the_answer=first), \
                        socket.create_connection(("127.0.0.1", port), timeout=ft.LIMIT_S) as s:
                    s.sendall(GET + b"\r\n")
                    received = b"" if first else s.recv(65536)
                    s.shutdown(socket.SHUT_WR)
                    while piece := s.recv(65536):
                        received += piece
                    self.assertEqual(statuses(received), [200], received)

    def test_bytes_that_come_one_by_one_are_read_alike(self):
        port = self.shared.port
        for cases in (REQUEST_LINES, FIELD_LINES, LENGTHS, ENCODINGS, CHUNKS, TRAILERS):
            for what, data, status in cases[:4]:
                with self.subTest(what), socket.create_connection(("127.0.0.1", port), timeout=ft.LIMIT_S) as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    received = b""
                    with contextlib.suppress(ConnectionError):
                        for byte in data + SMUGGLED:
                            s.sendall(bytes([byte]))
                            time.sleep(0.0002)
                    with contextlib.suppress(ConnectionError):
                        while piece := s.recv(65536):
                            received += piece
                    self.assertEqual(statuses(received), [status], received)

    def test_refusals_are_counted(self):
        coordinator = self.shared.coordinator

        def count():
            return self.shared.metric(coordinator, "fantail_http_requests_total", route="none", code="4xx")
        before = count()
        ft.raw_request(self.shared.port, b"GET /livez\r\n\r\n")
        self.assertEqual(count(), before + 1)


class Tls(FantailTest):
    """The reader of raw bytes also checks the bytes that come through TLS."""

    def test_malformed_requests_are_refused_and_good_ones_served(self):
        folder = os.path.join(self.folder, "certificates")
        authority = Authority(folder)
        cert, key = authority.issue("server")
        coordinator = self.coordinator("static://127.0.0.1:1", "--tls-cert", cert, "--tls-key", key)
        context = ssl.create_default_context(cafile=authority.ca)

        def ask(data):
            raw = socket.create_connection(("localhost", coordinator.port), timeout=ft.LIMIT_S)
            received = b""
            with context.wrap_socket(raw, server_hostname="localhost") as s:
                s.sendall(data)
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    while piece := s.recv(65536):
                        received += piece
            return statuses(received)
        for cases in (REQUEST_LINES, FIELD_LINES, LENGTHS, ENCODINGS, CHUNKS, TRAILERS):
            for what, data, status in cases[:4]:
                with self.subTest(what):
                    self.assertEqual(ask(data + SMUGGLED), [status])
                    self.assertEqual(ask(GET + b"\r\n" + data + SMUGGLED), [200, status])
        last = GET + b"Connection: close\r\n\r\n"
        for what, data, status in ODD:
            with self.subTest(what):
                self.assertEqual(ask(data + last), [status, 200])


if __name__ == "__main__":
    ft.main()
