"""The address of a coordinator, and what every request to it needs: the token, TLS, a proxy."""
from __future__ import annotations

import base64
import os
import socket
import ssl
import urllib.parse
import urllib.request
from typing import Optional

from ._core.http import AnswerReader, request_bytes
from ._errors import FantailError, TlsError, Unreachable

CONNECT_S = 15.0


class Proxy:
    """A proxy for https. The TLS connection to the coordinator goes through the proxy (CONNECT)."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the proxy {url!r} in the environment cannot be used: only http://HOST:PORT is supported. "
                             "Set no_proxy, or unset the variable")
        self.host = parts.hostname
        self.port = parts.port or 80
        user = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}") if parts.username else None
        self._fields = {"Proxy-Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}

    def request(self, authority: str) -> bytes:
        return request_bytes("CONNECT", authority, {"Host": authority, **self._fields})

    def read(self, answer: bytes) -> bool:
        """Reads the bytes that the proxy has sent, and returns whether the tunnel is ready. Raises an Unreachable if
        the proxy refuses the connection."""
        reader = AnswerReader()
        reader.feed(answer)
        if reader.head and not 200 <= reader.head.status < 300:
            raise Unreachable(f"the proxy {self.host}:{self.port} refuses the connection (status {reader.head.status})")
        return reader.head is not None


class Target:
    def __init__(self, url: Optional[str], token: Optional[str], token_file: Optional[str], ca: Optional[str],
                 cert: Optional[str], key: Optional[str], context: Optional[ssl.SSLContext]) -> None:
        """If url, token or token_file, or ca is not given, the environment variable of the `fantail` command is used."""
        url = url or os.environ.get("FANTAIL_URL")
        if not url:
            raise ValueError("the URL of the coordinator is missing; give url= or set FANTAIL_URL")
        if token and token_file:
            raise ValueError("give token= or token_file=, not both")
        self.url = url
        self._token = token
        self._token_file = None if token else token_file or os.environ.get("FANTAIL_TOKEN_FILE")
        self.path: Optional[str] = None  # of a socket file
        self.host, self.port, self.prefix, self.authority = "", 0, "", "localhost"
        self.tls = False
        self._read_url(url)
        self.context = context or (self._make_context(ca, cert, key) if self.tls else None)
        self.proxy = self._find_proxy() if self.tls else None
        self.fields()  # so that a wrong token is noticed immediately

    def _read_url(self, url: str) -> None:
        if url.startswith("unix:"):
            self.path = url[5:][2:] if url[5:].startswith("//") else url[5:]
            if not self.path:
                raise ValueError(f"{url!r} has no path; a URL of a socket file is unix:PATH")
            return
        wrong = ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8080, https://HOST or unix:PATH")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise wrong
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise wrong
        self.tls = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (443 if self.tls else 80)
        self.authority = parts.netloc
        self.prefix = parts.path.rstrip("/")

    @staticmethod
    def _make_context(ca: Optional[str], cert: Optional[str], key: Optional[str]) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=ca or os.environ.get("FANTAIL_CACERT"))
            if cert:
                context.load_cert_chain(cert, key)
        except OSError as error:
            raise TlsError(f"cannot use the certificates of ca={ca!r}, cert={cert!r}, key={key!r}: {error}") from error
        return context

    def _find_proxy(self) -> Optional[Proxy]:
        proxies = urllib.request.getproxies_environment()
        found = proxies.get("https") or proxies.get("all")
        if not found or urllib.request.proxy_bypass(self.authority):
            return None
        return Proxy(found)

    @property
    def address(self) -> "tuple[str, int]":
        """Returns the host and the port to connect to."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def tunnel_authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def fields(self) -> dict[str, str]:
        """Returns the headers of every request. Reads the token file again, because its token may have changed."""
        fields = {"Host": self.authority}
        token = self._first_token(self._token_file) if self._token_file else self._token
        if token:
            if not (token.isascii() and token.isprintable()) or " " in token:
                raise ValueError("a token has only letters, digits and -._~+/=")
            fields["Authorization"] = f"Bearer {token}"
        return fields

    @staticmethod
    def _first_token(path: str) -> str:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    return line.strip()
        raise ValueError(f"the token file {path} has no token")

    def explain(self, error: BaseException) -> FantailError:
        """Turns an exception of a connection into an exception of this package."""
        if isinstance(error, FantailError):
            return error
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        made: FantailError
        if isinstance(cause, ssl.SSLCertVerificationError):
            made = TlsError(f"the certificate of {self.url} cannot be trusted: {cause.verify_message}; give the "
                            "certificate of its authority with ca=")
        elif isinstance(cause, ssl.SSLError):
            made = TlsError(f"the TLS connection to {self.url} failed: {cause.reason or cause}")
        elif isinstance(cause, (TimeoutError, socket.timeout)):
            made = Unreachable(f"{self.url} cannot be reached: no answer for {CONNECT_S:g} s")
        else:
            via = f" (through the proxy {self.proxy.host}:{self.proxy.port})" if self.proxy else ""
            made = Unreachable(f"the connection to {self.url}{via} failed: {error}")
        made.__cause__ = error
        return made
