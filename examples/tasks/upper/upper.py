"""A plain filter: for each line, which is a JSON value, it writes a line with a JSON value, and flushes it."""
import json
import sys

for line in sys.stdin:
    print(json.dumps(json.loads(line).upper()), flush=True)
