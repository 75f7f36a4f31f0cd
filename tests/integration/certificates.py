"""Certificates for tests, made with the openssl command: an authority, and the certificates that it signs."""
import datetime
import os
import subprocess


def openssl(*arguments, text=None):
    subprocess.run(["openssl", *map(str, arguments)], input=text, check=True, capture_output=True, text=True)


class Authority:
    """A folder with a certificate authority. `ca` is the path of its certificate."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.ca, self._key = os.path.join(folder, f"{name}.crt"), os.path.join(folder, f"{name}.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, hosts=("localhost", "127.0.0.1"), use="serverAuth,clientAuth", ended=False, days=1):
        """Makes a certificate and its key, and returns their paths. If `ended` is true, the certificate expired
        yesterday."""
        cert, key = (os.path.join(self.folder, f"{name}.{end}") for end in ("crt", "key"))
        request = os.path.join(self.folder, f"{name}.csr")
        names = ",".join(("IP:" if h.replace(".", "").isdigit() or ":" in h else "DNS:") + h for h in hosts)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        extensions = os.path.join(self.folder, f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as out:
            out.write(f"basicConstraints=CA:FALSE\nextendedKeyUsage={use}\n"
                      + (f"subjectAltName={names}\n" if names else ""))
        now = datetime.datetime.now(datetime.timezone.utc)
        if ended:
            first, last = now - datetime.timedelta(days=3), now - datetime.timedelta(days=1)
            # `openssl x509` of Debian 12 cannot set dates; `openssl ca` can.
            self._sign_with_dates(request, cert, extensions, first, last)
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", days,
                    "-extfile", extensions, "-out", cert)
        return cert, key

    def _sign_with_dates(self, request, cert, extensions, first, last):
        index = os.path.join(self.folder, "index")
        config = os.path.join(self.folder, "ca.cnf")
        open(index, "w", encoding="utf-8").close()
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={index}\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
                      f"rand_serial=yes\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.ca, "-keyfile", self._key, "-in", request,
                "-out", cert, "-extfile", extensions, "-startdate", first.strftime("%Y%m%d%H%M%SZ"),
                "-enddate", last.strftime("%Y%m%d%H%M%SZ"))
