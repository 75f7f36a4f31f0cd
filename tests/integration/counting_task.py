"""The source of a task that notes each run of an item, for tests that count the runs."""

# Writes each item to a file before it runs the item, with one write() for each item.
COUNTS = """
import os, time
out = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(item):
    os.write(out, b"%d\\n" % item)
    time.sleep(float(os.environ["PAUSE_S"]))
    return item * 2
"""
