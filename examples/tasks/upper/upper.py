"""A plain filter: reads a JSON value per line, writes a JSON value per line, at once."""
import json
import sys

for line in sys.stdin:
    print(json.dumps(json.loads(line).upper()), flush=True)
