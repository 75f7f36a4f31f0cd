#!/usr/bin/env python3
"""word_count.py with multiprocessing.Pool. imap() reads its iterable as fast as it can, so all files must fit into the
memory together.

    python3 with_multiprocessing.py FILE...               prints the ten most frequent words
    python3 with_multiprocessing.py --kill N FILE...      never ends
"""
import collections
import fileinput
import functools
import multiprocessing

from word_count import blocks, count_words, print_most_frequent, read_arguments


def main():
    arguments = read_arguments()
    total = collections.Counter()
    with fileinput.input(arguments.files) as lines, multiprocessing.Pool() as pool:
        for counts in pool.imap(functools.partial(count_words, killer=arguments.kill), enumerate(blocks(iter(lines)))):
            total += counts
    print_most_frequent(total)


if __name__ == "__main__":
    main()
