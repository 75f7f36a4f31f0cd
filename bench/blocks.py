"""Measures `fantail map --pipe` and `--pipepart`: a large file is cut into blocks, and `wc -l` counts the lines of each."""
import os
import shutil
import subprocess
import time

BYTES = 2_000_000_000
FREE_BYTES = 4_000_000_000  # the disk of the temporary folder must have this much free space
LINES_AT_ONCE = 1_000_000


def write_lines(path):
    """Writes the file, and returns how many lines it has. Afterwards it is in the page cache."""
    piece = "".join(f"{n}\n" for n in range(1, LINES_AT_ONCE + 1)).encode()
    times = -(-BYTES // len(piece))
    with open(path, "wb") as out:
        for _ in range(times):
            out.write(piece)
    with open(path, "rb") as written:
        while written.read(1 << 20):
            pass
    return times * LINES_AT_ONCE


def rate_of(command, lines):
    """Runs shell code, whose output has numbers of lines, and returns MB/s."""
    begun = time.perf_counter()
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - begun
    counted = sum(int(line.split()[0]) for line in done.stdout.splitlines())
    assert counted == lines, f"{command}: {counted} lines of {lines}"
    return BYTES / seconds / 1e6


def pipe(report, folder, fantail):
    if shutil.disk_usage(folder).free < FREE_BYTES:
        print(f"pipe      skipped: less than {FREE_BYTES / 1e9:.0f} GB are free in {folder}")
        return
    path = os.path.join(folder, "lines")
    lines = write_lines(path)
    mapped = f"{fantail} map -j 2 --order completion"
    commands = {
        "wc -l itself, one process": f"wc -l < {path}",
        "--pipepart --block 50M": f"{mapped} --pipepart -a {path} --block 50M -- wc -l",
        "--pipepart --block 10M": f"{mapped} --pipepart -a {path} --block 10M -- wc -l",
        "--pipe --block 10M": f"cat {path} | {mapped} --pipe --block 10M -- wc -l",
    }
    if shutil.which("parallel"):
        commands["GNU parallel --pipepart --block 10M"] = (
            f"parallel --will-cite -j 2 --pipepart -a {path} --block 10M wc -l")
    else:
        print("pipe      GNU parallel is missing, so it is not measured (package parallel)")
    rates = report.alternate(*(lambda command=command: rate_of(command, lines) for command in commands.values()))
    for name, rate in zip(commands, rates):
        report.add("pipe", f"wc -l over 2 GB, {name}", rate, "MB/s")
    report.ratio("pipe", "--pipepart --block 50M / wc -l", rates[1] / rates[0], least=0.9)
    if len(rates) == 5:
        report.ratio("pipe", "--pipe / --pipepart of GNU parallel", rates[3] / rates[4], least=0.8)
