"""Measures `fantail map -- COMMAND`, which starts a program for each item, beside xargs and GNU parallel."""
import os
import shutil
import subprocess
import time

COUNT = 3000
ITEM = "hello"
LOGGED = 1_000_000  # items in the log of the run that goes on
COMMAND = ["/usr/bin/wc", "-c"]


def rate_of(command, stdin, lines=COUNT):
    """Runs the command, which must print this many lines, and returns the runs per second."""
    with open(stdin, "rb") as items:
        begun = time.perf_counter()
        done = subprocess.run(command, stdin=items, stdout=subprocess.PIPE, check=True)
        seconds = time.perf_counter() - begun
    assert len(done.stdout.splitlines()) == lines, done.stdout[-300:]
    return lines / seconds


def write_inputs(folder):
    """Writes the items. For tools that pass an argument, also writes the path of a file with an item, once for each item."""
    items, paths, file = (os.path.join(folder, name) for name in ("items", "paths", "file"))
    for path, text in ((items, f"{ITEM}\n" * COUNT), (paths, f"{file}\n" * COUNT), (file, ITEM)):
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    return items, paths


def measure(report, fantail, bare, folder):
    """`bare` measures a bare spawn loop."""
    items, paths = write_inputs(folder)
    log = os.path.join(folder, "joblog")
    mine = [fantail, "map", "-j", "2", "--stdin"]
    tools = {"xargs -P 2": ["xargs", "-P", "2", "-n", "1", *COMMAND]}
    if shutil.which("parallel"):
        tools["parallel -j 2"] = ["parallel", "--will-cite", "-j", "2", *COMMAND]
    else:
        print("spawn: GNU parallel is not installed", flush=True)
    measures = [bare, lambda: rate_of([*mine, "--", *COMMAND], items),
                lambda: rate_of([*mine, "--joblog", log, "--", *COMMAND], items)]
    measures += [lambda command=command: rate_of(command, paths) for command in tools.values()]
    loop, plain, logged, *others = report.alternate(*measures)
    report.add("spawn", "fantail map -j 2 -- /usr/bin/wc -c", plain, "runs/s")
    report.add("spawn", "the same with --joblog", logged, "runs/s")
    for name, rate in zip(tools, others):
        report.add("spawn", f"{name} /usr/bin/wc -c", rate, "runs/s")
    report.ratio("spawn", "fantail map -- / bare", plain / loop, least=0.95)
    report.ratio("spawn", "fantail map --joblog -- / bare", logged / loop, least=0.85)


def resume(report, fantail, folder):
    """Measures how long a run takes if the log of an earlier run has all items but one."""
    log, items = os.path.join(folder, "long-log"), os.path.join(folder, "long-items")
    with open(log, "w", encoding="ascii") as out:
        out.writelines(f"{i + 1}\t:\t1796069861.105\t     0.014\t0\t6\t0\t0\techo {i}\t{i}\tlocal-1\t1\t1724416\n"
                       for i in range(LOGGED - 1))
    with open(items, "w", encoding="ascii") as out:
        out.writelines(f"{i}\n" for i in range(LOGGED))
    begun = time.perf_counter()
    done = subprocess.run([fantail, "map", "--joblog", log, "--resume", "-a", items, "--", "echo"],
                          stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - begun
    assert done.stdout == f"{LOGGED - 1}\n".encode(), done.stdout[-300:]
    report.add("spawn", "--resume with 999,999 of 1,000,000 items in the log", seconds, "s", "below 2", seconds < 2)
