"""What a client sends to a coordinator, and what the answers mean. Nothing here does I/O or reads a clock: bytes and
the time come in as arguments. The blocking client (_client.py) and the asynchronous one (aio.py) share this code.

    http      requests and answers as bytes
    lines     the lines of a stream of results; errors of items
    outage    how long, and how often, something is tried again
    run       the interface between this code and the two clients
    map_job   one job of a map: which items have an answer
    map_run   a map: its jobs, and what follows when a coordinator is lost
    results_run  the results of a durable job
    calls     all other requests
    objects   what these requests return

    job_object, facts, task_list and pace serve map_run. arguments checks what the caller has given.
"""
