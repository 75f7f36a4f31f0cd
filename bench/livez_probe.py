"""Sends GET /livez every 10 ms on one connection until standard input closes or the service ends. Prints a line after
the first answer. At the end, prints the number of answers, and the median, 99th percentile and maximum of their times
in ms, as one line of JSON."""
import http.client
import json
import select
import sys
import time

PERIOD_S = 0.01



def ask(connection):
    """Returns how long the answer took, in ms."""
    begun = time.perf_counter()
    connection.request("GET", "/livez")
    connection.getresponse().read()
    return (time.perf_counter() - begun) * 1e3


def main():
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=120)
    times, due = [ask(connection)], time.perf_counter()
    print("asking", flush=True)
    while not select.select([sys.stdin], [], [], max(0, due - time.perf_counter()))[0]:
        try:
            times.append(ask(connection))
        except (OSError, http.client.HTTPException):
            break  # the service has ended
        due = max(due + PERIOD_S, time.perf_counter())
    times.sort()
    print(json.dumps({"asked": len(times), "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
                      "p100": times[-1]}))


if __name__ == "__main__":
    main()
