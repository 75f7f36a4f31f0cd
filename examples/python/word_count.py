#!/usr/bin/env python3
"""Counts the words of text files: each process counts the words of some lines, and the program adds the counts.

    python3 word_count.py FILE...    prints the ten most frequent words

imap_unordered reads the files only a little ahead of the counts. So the files may be larger than the memory.
multiprocessing.Pool.imap_unordered does not promise this, because it reads its iterable as fast as it can.
"""
import collections
import fileinput
import itertools
import re
import sys

import fantail

LINES = 1000


def count_words(lines):
    return collections.Counter(word for line in lines for word in re.findall(r"[a-z]+", line.lower()))


def blocks(lines):
    while block := list(itertools.islice(lines, LINES)):
        yield block


def main():
    total = collections.Counter()
    with fileinput.input(sys.argv[1:]) as lines, fantail.Pool() as pool:
        for counts in pool.imap_unordered(count_words, blocks(iter(lines))):
            total += counts
    for word, count in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))[:10]:
        print(f"{count:8} {word}")


if __name__ == "__main__":
    main()
