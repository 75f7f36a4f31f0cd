#!/usr/bin/env python3
"""Counts the words of text files: each process counts the words of some lines, and the program adds the counts.

    python3 word_count.py FILE...               prints the ten most frequent words
    python3 word_count.py --kill N FILE...      kills the process that counts block N; block 0 has the first 100 lines

With `buffersize`, map() reads the files only a little ahead of the counts. So the files may be larger than the memory.
"""
import argparse
import collections
import fileinput
import itertools
import os
import re
import signal

import fantail

LINES = 100


def count_words(numbered, killer):
    number, lines = numbered
    if number == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    return collections.Counter(word for line in lines for word in re.findall(r"[a-z]+", line.lower()))


def blocks(lines):
    while block := list(itertools.islice(lines, LINES)):
        yield block


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill", type=int, metavar="N")
    parser.add_argument("files", nargs="*", metavar="FILE")
    return parser.parse_args()


def print_most_frequent(total):
    for word, count in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))[:10]:
        print(f"{count:8} {word}")


def main():
    arguments = read_arguments()
    total = collections.Counter()
    with fileinput.input(arguments.files) as lines, fantail.Executor() as executor:
        numbered = enumerate(blocks(iter(lines)))
        found = executor.map(count_words, numbered, itertools.repeat(arguments.kill), buffersize=16, return_exceptions=True)
        for number, counts in enumerate(found):
            if isinstance(counts, fantail.ItemError):
                print(f"lines {number * LINES + 1} to {(number + 1) * LINES} are not counted: {counts.name}, "
                      f"signal {counts.signal}")
            else:
                total += counts
    print_most_frequent(total)


if __name__ == "__main__":
    main()
