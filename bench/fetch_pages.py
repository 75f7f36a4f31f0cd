#!/usr/bin/env python3
"""Fetches many pages in one process of a task that has `concurrency`, and compares this with one event loop of aiohttp.

    fetch_pages.py serve           serves pages on a free port, and prints the URL; ends when standard input ends
    fetch_pages.py FUNCTION URL [executor]
                                   fetches the pages in this process, or with fantail.Executor on two processes, and prints the
                                   seconds that it took, as JSON. FUNCTION is fetch or fetch_and_work

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
IN_FLIGHT, PAGE_BYTES = 500, 2_000
PAGES = {"fetch": 10_000, "fetch_and_work": 4_000}
PROCESSES = {"fetch": 1, "fetch_and_work": 2}
MOST = 1.3  # our time divided by the time of aiohttp
LEAST = 1.5  # with work after each fetch, the time of aiohttp divided by our time on two processes
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

async def fetch_all(function, url):
    """Fetches all pages in one event loop, IN_FLIGHT at the same time. Returns the seconds that this takes. The
    connections are opened beforehand, like those of the task."""
    import fetch_page
    await fetch_page.connect()
    fetch = getattr(fetch_page, function)
    pages = iter(range(PAGES[function]))
    sizes = []

    async def some():
        for page in pages:
            sizes.append(await fetch(url + str(page)))

    await asyncio.gather(*(fetch_page.fetch(url) for _ in range(IN_FLIGHT)))
    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))
    taken = time.perf_counter() - begun
    await fetch_page.session.close()
    assert sizes == [PAGE_BYTES] * PAGES[function], "a wrong page"
    return taken


def fetch_all_with_executor(function, url):
    """Fetches all pages on two processes of a fantail.Executor. Returns the seconds that this takes. The processes have
    opened their connections beforehand."""
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "clients", "python"))
    import fantail
    import fetch_page
    with fantail.Executor(2, initializer=fetch_page.connect) as executor:
        list(executor.map(fetch_page.fetch, [url] * 2 * IN_FLIGHT, chunksize=IN_FLIGHT))
        begun = time.perf_counter()
        sizes = list(executor.map(getattr(fetch_page, function), [url + str(page) for page in range(PAGES[function])]))
        taken = time.perf_counter() - begun
    assert sizes == [PAGE_BYTES] * PAGES[function], "a wrong page"
    return taken


def write_task(folder, function, environment):
    os.makedirs(os.path.join(folder, "fetch"))
    shutil.copy(os.path.join(HERE, "fetch_page.py"), os.path.join(folder, "fetch"))
    with open(os.path.join(folder, "fetch", "task.json"), "w", encoding="utf-8") as out:
        json.dump({"mode": "python", "command": f"fetch_page:{function}", "setup": "fetch_page:connect", "venv": environment,
                   "processes": PROCESSES[function], "concurrency": IN_FLIGHT}, out)


def compare(report, folder, start_fleet, programs, function, url):
    """Returns the seconds that a task takes, those of an executor, and those of aiohttp in one event loop."""
    import peers
    tasks, items = os.path.join(folder, function), os.path.join(folder, f"urls-{function}")
    write_task(tasks, function, peers.ENVIRONMENT)
    with open(items, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(url + str(page)) + "\n" for page in range(PAGES[function]))
    with start_fleet(tasks, PROCESSES[function]) as fleet:
        checked = os.path.join(folder, "sizes")
        with open(checked, "wb") as out:
            fleet.map("fetch", items, out)
        with open(checked, encoding="utf-8") as sizes:
            assert [int(size) for size in sizes] == [PAGE_BYTES] * PAGES[function], "a wrong page"
        other = [peers.python(), __file__, function, url]
        environment = {**os.environ, "FANTAIL_BIN": programs}
        return report.alternate(
            lambda: fleet.map("fetch", items),
            lambda: json.loads(subprocess.check_output([*other, "executor"], env=environment, timeout=TIMEOUT_S)),
            lambda: json.loads(subprocess.check_output(other, timeout=TIMEOUT_S)))


def fetch(report, folder, start_fleet, programs):
    import peers
    why = peers.package_fault("aiohttp")
    if why:
        print(f"fetch     skipped: {why}")
        return
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        url = server.stdout.readline().decode().strip()
        ours, executor, theirs = compare(report, folder, start_fleet, programs, "fetch", url)
        report.add("fetch", "fantail map fetch, 10,000 pages, 500 in flight", ours, "s")
        report.add("fetch", "fantail.Executor, two processes", executor, "s")
        report.add("fetch", "aiohttp in one event loop, 500 in flight", theirs, "s")
        report.ratio("fetch", "ours / aiohttp (aim)", ours / theirs, most=MOST)
        report.ratio("fetch", "executor / aiohttp (aim)", executor / theirs, most=MOST)
        ours, executor, theirs = compare(report, folder, start_fleet, programs, "fetch_and_work", url)
        report.add("fetch", "with work: fantail map fetch, 4,000 pages, two processes", ours, "s")
        report.add("fetch", "with work: fantail.Executor, two processes", executor, "s")
        report.add("fetch", "with work: aiohttp in one event loop", theirs, "s")
        report.ratio("fetch", "with work: aiohttp / ours (aim)", theirs / ours, least=LEAST)
        report.ratio("fetch", "with work: aiohttp / executor (aim)", theirs / executor, least=LEAST)
    finally:
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif len(sys.argv) == 4 and sys.argv[1] in PAGES and sys.argv[3] == "executor":
        print(json.dumps(fetch_all_with_executor(*sys.argv[1:3])))
    elif len(sys.argv) == 3 and sys.argv[1] in PAGES:
        print(json.dumps(asyncio.run(fetch_all(*sys.argv[1:]))))
    else:
        sys.exit(__doc__)
