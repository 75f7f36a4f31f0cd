#!/usr/bin/python3
"""Writes an image's bill of materials as SPDX 2.3 JSON to /usr/share/sbom/NAME.spdx.json.

sbom.py --root DIR NAME VERSION   for the image in DIR: the packages that own the files listed in DIR.files
sbom.py --all NAME VERSION        for this image: every installed package
"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys


def installed():
    """Returns {package: fields} from the database of dpkg."""
    lines = subprocess.check_output(
        ["dpkg-query", "-W", "-f", "${binary:Package}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t"
                                   "${source:Version}\t${Maintainer}\t${db:Status-Status}\n"], text=True).splitlines()
    keys = ("binary", "name", "version", "arch", "source", "source_version", "maintainer", "status")
    rows = [dict(zip(keys, line.split("\t"))) for line in lines]
    return {row["binary"].split(":")[0]: row for row in rows if row["status"] == "installed"}


def owner(path):
    """Returns the package that owns a file. dpkg may list the file by its path from before the merge of /usr."""
    for name in (path, re.sub(r"^/usr(/(?:lib|bin|sbin))", r"\1", path)):
        found = subprocess.run(["dpkg-query", "-S", name], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            return found.stdout.split(":")[0].split(",")[0]
    if path == "/etc/ssl/certs/ca-certificates.crt":  # not in dpkg's lists: the installation of the package makes it
        return "ca-certificates"
    sys.exit(f"sbom.py: no package owns {path}")


def package(row):
    return {
        "SPDXID": "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", row["name"]),
        "name": row["name"],
        "versionInfo": row["version"],
        "supplier": "Person: " + row["maintainer"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": f"built from {row['source']} {row['source_version']}",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": "pkg:deb/debian/%s@%s?arch=%s" % (row["name"], row["version"].replace(":", "%3A")
                                                                  .replace("+", "%2B"), row["arch"])}],
    }


def document(name, version, rows):
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else \
        datetime.datetime.now(datetime.timezone.utc)
    itself = {"SPDXID": "SPDXRef-Package-" + name, "name": name, "versionInfo": version,
              "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "Apache-2.0",
              "licenseDeclared": "Apache-2.0", "copyrightText": "NOASSERTION", "primaryPackagePurpose": "CONTAINER"}
    packages = [package(row) for row in sorted(rows, key=lambda row: row["name"])]
    digest = hashlib.sha256(json.dumps(packages).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{digest}",
        "creationInfo": {"created": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: fantail-sbom"]},
        "packages": [itself] + packages,
        "relationships":
            [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": itself["SPDXID"]}] +
            [{"spdxElementId": itself["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": p["SPDXID"]}
             for p in packages],
    }


def main():
    packages = installed()
    if sys.argv[1] == "--all":
        root, (name, version) = "/", sys.argv[2:4]
    else:
        root, name, version = sys.argv[2:5]
        with open(root + ".files", encoding="utf-8") as listed:
            wanted = {owner(path) for path in set(listed.read().split())}
        packages = {p: packages[p] for p in wanted}
    path = os.path.join(root, "usr/share/sbom", name + ".spdx.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document(name, version, packages.values()), out, indent=1)


if __name__ == "__main__":
    main()
