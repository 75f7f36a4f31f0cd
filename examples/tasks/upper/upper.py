"""A plain filter. Each input line is a JSON value. For each, it writes a line with a JSON value and flushes it."""
import json
import sys

for line in sys.stdin:
    print(json.dumps(json.loads(line).upper()), flush=True)
