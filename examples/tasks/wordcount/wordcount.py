"""Counts how often each word occurs in a line of text: the classic example of map and reduce."""
import re
from collections import Counter

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def count(line):
    return Counter(WORD.findall(line.lower()))
