#!/usr/bin/env python3
"""Fetches many pages in one process of a task that has `concurrency`, and compares this with one event loop of aiohttp.

    fetch_pages.py serve           serves pages on a free port, and prints the URL; ends when standard input ends
    fetch_pages.py aiohttp URL     fetches the pages in this process, and prints the seconds that it took, as JSON

aiohttp comes from PyPI, like the other peers.
"""
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PAGES, IN_FLIGHT, PAGE_BYTES = 10_000, 500, 2_000
MOST = 1.3  # our time divided by the time of aiohttp
TIMEOUT_S = 120


# ---- The server -----------------------------------------------------------------------------------------------------

class Page(asyncio.Protocol):
    """Answers each GET with a page. The server does not parse requests: it only finds the end of each request's
    head."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % PAGE_BYTES + b"x" * PAGE_BYTES

    def connection_made(self, transport):
        self.transport, self.rest = transport, b""

    def data_received(self, data):
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        self.transport.write(self.ANSWER * len(heads))


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Page, "127.0.0.1", 0, backlog=4096)
    print("http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


# ---- The two sides --------------------------------------------------------------------------------------------------

async def fetch_all(url):
    """Fetches all pages in one event loop, IN_FLIGHT at the same time. Returns the seconds that this takes. The
    connections are opened beforehand, like those of the task."""
    import fetch_page
    await fetch_page.connect()
    pages = iter(range(PAGES))
    sizes = []

    async def some():
        for page in pages:
            sizes.append(await fetch_page.fetch(url + str(page)))

    await asyncio.gather(*(fetch_page.fetch(url) for _ in range(IN_FLIGHT)))
    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))
    taken = time.perf_counter() - begun
    await fetch_page.session.close()
    assert sizes == [PAGE_BYTES] * PAGES, "a wrong page"
    return taken


def write_task(folder, environment):
    os.makedirs(os.path.join(folder, "fetch"))
    shutil.copy(os.path.join(HERE, "fetch_page.py"), os.path.join(folder, "fetch"))
    with open(os.path.join(folder, "fetch", "task.json"), "w", encoding="utf-8") as out:
        json.dump({"mode": "python", "command": "fetch_page:fetch", "setup": "fetch_page:connect", "venv": environment, "processes": 1,
                   "concurrency": IN_FLIGHT}, out)


def fetch(report, folder, start_fleet):
    import peers
    why = peers.package_fault("aiohttp")
    if why:
        print(f"fetch     skipped: {why}")
        return
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        url = server.stdout.readline().decode().strip()
        tasks, items = os.path.join(folder, "tasks"), os.path.join(folder, "urls")
        write_task(tasks, peers.ENVIRONMENT)
        with open(items, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(url + str(page)) + "\n" for page in range(PAGES))
        with start_fleet(tasks, 1) as fleet:
            checked = os.path.join(folder, "sizes")
            with open(checked, "wb") as out:
                fleet.map("fetch", items, out)
            with open(checked, encoding="utf-8") as sizes:
                assert [int(size) for size in sizes] == [PAGE_BYTES] * PAGES, "a wrong page"
            ours, theirs = report.alternate(
                lambda: fleet.map("fetch", items),
                lambda: json.loads(subprocess.check_output([peers.python(), __file__, "aiohttp", url], timeout=TIMEOUT_S)))
    finally:
        server.stdin.close()
        server.wait()
    report.add("fetch", "fantail map fetch, 10,000 pages, 500 in flight", ours, "s")
    report.add("fetch", "aiohttp in one event loop, 500 in flight", theirs, "s")
    report.ratio("fetch", "ours / aiohttp (aim)", ours / theirs, most=MOST)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["aiohttp"] and len(sys.argv) == 3:
        print(json.dumps(asyncio.run(fetch_all(sys.argv[2]))))
    else:
        sys.exit(__doc__)
