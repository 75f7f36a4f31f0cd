#!/bin/sh
# The demo of `scripts/demo`. A fleet of three workers on this machine counts primes while one worker is killed. Then it
# counts the words of the licence texts. At its end the demo stops the fleet. The exit status is 0 only if every answer
# is right.
#     examples/demo.sh [BUILD]        BUILD: the build folder, build by default
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
folder=$(mktemp -d) || exit 1
fleet= job=

clean_up() {
    trap - EXIT
    [ -z "$job" ] || kill "$job" 2> /dev/null
    if [ -n "$fleet" ]; then
        kill "$fleet" 2> /dev/null
        wait "$fleet" 2> /dev/null
    fi
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*"; }
fail() {
    say "demo: $*" >&2
    [ ! -s "$folder/fleet.err" ] || sed 's/^/  fleet: /' "$folder/fleet.err" | tail -n 20 >&2
    exit 1
}
# until_true SECONDS COMMAND...
until_true() {
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}
shorten() { sed 's/^/  /; s/\(.\{112\}\)..*/\1 .../'; }
first() { sed -n "s/.*$1.*/\\1/p" "$2" | head -n 1; }

# ---- A fleet ----
: > "$folder/fleet.out"
: > "$folder/primes"
"$build/bin/fantail" local --tasks "$build/tasks" --workers 3 --processes 1 --port 0 \
    > "$folder/fleet.out" 2> "$folder/fleet.err" &
fleet=$!
is_ready_or_dead() { grep -q 'ready at' "$folder/fleet.out" || ! kill -0 "$fleet" 2> /dev/null; }
until_true 60 is_ready_or_dead
url=$(first 'ready at \(http[^ ]*\)' "$folder/fleet.out")
[ -n "$url" ] || fail "the fleet did not become ready"
say "A coordinator and 3 workers are ready at $url"

# ---- Primes, while a worker is killed ----
request='{"task": "primes", "spans": {"start": 0, "stop": 5000000, "size": 250},
  "chunk_size": 1, "reduce": "sum"}'
say
say "How many primes are below 5,000,000? One job counts them in 20,000 spans, one span per request, and adds up the counts:"
say "  curl $url/v1/jobs -d '$request'"
curl -sSN "$url/v1/jobs?progress_s=0.02" -H 'Accept: application/x-ndjson' -d "$request" > "$folder/primes" 2>&1 &
job=$!
is_over() { grep -q '"type":"end"' "$folder/primes" || ! kill -0 "$job" 2> /dev/null; }
some_done_or_over() { grep -q '"succeeded":[1-9]' "$folder/primes" || is_over; }
some_more_done_or_over() { [ "$(grep -c '"type":"progress"' "$folder/primes")" -ge $((lines + 2)) ] || is_over; }
until_true 60 some_done_or_over
victim=$(pgrep -P "$fleet" -f fantail-worker | head -n 1)
[ -n "$victim" ] || fail "found no worker to kill"
# The spans are so short that a worker may have none at the moment when it is killed. So SIGSTOP suspends the worker
# first: the worker still gets spans, but finishes none.
kill -STOP "$victim"
lines=$(grep -c '"type":"progress"' "$folder/primes")
until_true 60 some_more_done_or_over
kill -9 "$victim"
! is_over || fail "the job ended before a worker could be killed"
when=$(sed -n 's/.*"succeeded":\([0-9]*\).*/\1/p' "$folder/primes" | tail -n 1)
say "  kill -9 $victim     (one of the workers, after about ${when:-0} of 20,000 spans)"
wait "$job"
job=
primes=$(first '"type":"result".*"value":\([0-9]*\)' "$folder/primes")
status=$(first '"type":"end".*"status":"\([a-z_]*\)"' "$folder/primes")
retried=$(first '"type":"end".*"retried":\([0-9]*\)' "$folder/primes")
[ "$primes" = 348513 ] || fail "expected 348513 primes, got '$primes': $(tail -n 3 "$folder/primes")"
[ "$status" = succeeded ] || fail "the job ended as '$status'"
say "  $primes        (the job $status; $retried spans were sent again; the killed worker is restarted)"

# ---- Words, streamed ----
cat /usr/share/common-licenses/* > "$folder/text" 2> /dev/null || cat LICENSE > "$folder/text"
lines=$(wc -l < "$folder/text")
say
say "How often does each word occur in the licence texts of this machine? Each of $lines lines is one item, streamed:"
say "  cat /usr/share/common-licenses/* | curl '$url/v1/jobs?task=wordcount' -T - -X POST \\"
say "      -H 'Content-Type: text/plain' -H 'Accept: application/x-ndjson'"
curl -sSN "$url/v1/jobs?task=wordcount" -X POST -T - -H 'Content-Type: text/plain' \
    -H 'Accept: application/x-ndjson' < "$folder/text" > "$folder/words" || fail "curl failed"
grep -m 1 '"value":{"' "$folder/words" | shorten
tail -n 1 "$folder/words" | shorten
python3 -B - "$folder/text" "$folder/words" << 'PYTHON' || fail "the word counts are wrong"
import collections, json, sys
sys.path.insert(0, "examples/tasks/wordcount")
import wordcount

total, indexes = collections.Counter(), []
for line in open(sys.argv[2], encoding="utf-8"):
    line = json.loads(line)
    if line["type"] == "result":
        indexes.append(line["index"])
        total.update(line["value"])
with open(sys.argv[1], encoding="utf-8", errors="replace", newline="\n") as text:
    lines = text.read().removesuffix("\n").split("\n")
expected = collections.Counter()
for line in lines:
    expected.update(wordcount.count(line))
if indexes != list(range(len(lines))) or total != expected:
    sys.exit(f"{len(indexes)} results for {len(lines)} lines; {sum(total.values())} words of {sum(expected.values())}")
print(f"  {sum(total.values()):,} words; the most frequent:",
      ", ".join(f"{word} {count:,}" for word, count in total.most_common(5)))
PYTHON

say
kill "$fleet"
wait "$fleet"
status=$?
fleet=
[ "$status" -eq 0 ] || [ "$status" -eq 143 ] || [ "$status" -eq 130 ] || fail "the fleet ended with status $status"
say "The fleet has ended. Next: read README.md, and make your own task in tasks/NAME."
