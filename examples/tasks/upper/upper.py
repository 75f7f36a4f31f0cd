"""A plain filter. Each input line is a JSON string. For each input line, the program writes the string in upper
case as a line of JSON, and flushes the output."""
import json
import sys

for line in sys.stdin:
    print(json.dumps(json.loads(line).upper()), flush=True)
