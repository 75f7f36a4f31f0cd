/*
 * The caps and defaults of fantail, with their units. A cap protects the service from a peer or a job. A default
 * applies if the user sets no other value. If a constant is the default of an option, the comment of the constant names
 * the option. The code that defines this option gets its default from the constant (TEXT_OF). A default that only one
 * option needs is written where the option is defined, not here. docs/options.md lists all defaults.
 */
#ifndef FANTAIL_COMMON_BASE_LIMITS_H
#define FANTAIL_COMMON_BASE_LIMITS_H

#define KIB 1024u
#define MIB (1024u * 1024u)
#define GIB (1024ull * MIB)

/* HTTP, both services. */
#define LIMIT_HEADER_BYTES     (32 * KIB) /* size of request line and headers; a longer head is answered with 431 */
#define LIMIT_HEADER_FIELDS    256        /* header lines of a request; a request with more is answered with 431 */
#define LIMIT_TRAILER_BYTES    (8 * KIB)  /* total size of the trailers; longer trailers are answered with 431 */
#define LIMIT_EXTENSION_BYTES  256        /* chunk extensions of one chunk; longer ones are answered with 400 */
#define LIMIT_EXTENSIONS_BYTES (64 * KIB) /* chunk extensions of a whole body; longer ones are answered with 400 */
#define LIMIT_URI_BYTES        (8 * KIB)  /* a longer URI is answered with 414 */
#define LIMIT_BODY_GIB         1 /* a longer request body is answered with 413; --max-body-bytes of the coordinator */
#define LIMIT_BODY_BYTES       (LIMIT_BODY_GIB * GIB)
#define LIMIT_CONNECTIONS      4096  /* connections of a worker that may be open at the same time */
#define LIMIT_HEADER_MS        10000 /* time from the first byte of a request to the end of its headers */
#define LIMIT_UPLOAD_PAUSE_S   300   /* a longer pause in a request's body is answered with 408; --upload-pause-s */
#define LIMIT_KEEPALIVE_S      620   /* an idle connection is closed after this time; --keepalive-timeout-s */
#define LIMIT_ARRIVE_MS        30    /* how long a drain waits for connections that are being established */
#define LIMIT_CLOSE_IDLE_MS    300   /* how long a drain waits for peers to close idle connections */
#define LIMIT_CONNECTION_BYTES                                                                                         \
    (128 * KIB) /* a connection's head, read buffer and write buffer; the library zeroes them at each request */
#define LIMIT_WORKER_CONNECTION_BYTES (64 * KIB) /* memory of a worker's connection; enough for the largest head */
#define LIMIT_IDLE_MEMORY_MS          1000 /* the memory of an idle connection is returned to the kernel after this time */
#define LIMIT_PULL_BYTES              (256 * KIB) /* room that one call to an answer's pull() gets */
#define LIMIT_PEM_BYTES               (1 * MIB)   /* size of a file with certificates or a key */
#define LIMIT_TLS_LOG_LINES           20 /* failed handshakes logged in a minute; further ones are only counted */

#define LIMIT_LINGER_MS    2000      /* time to read an answer, for a client whose body was not read whole */
#define LIMIT_LINGER_BYTES (1 * MIB) /* bytes of an unread body that are received and dropped after the answer */
#define LIMIT_LINGERING    256       /* connections whose unread bodies are dropped at the same time */

/* Access. */
#define LIMIT_TOKEN_LEAST_BYTES 16  /* shorter tokens can be guessed */
#define LIMIT_TOKEN_BYTES       512 /* every token is padded to this length */
#define LIMIT_TOKENS            64
#define LIMIT_TOKEN_FILE_BYTES  (64 * KIB)

/* JSON. */
#define LIMIT_JSON_DEPTH    512                /* depth of nested arrays and objects in a body, an item or an answer */
#define LIMIT_JSON_INTEGER  9007199254740992.0 /* 2^53; a double cannot hold every larger integer */
#define LIMIT_OPTIONS_BYTES (4 * MIB)          /* the job object without its items, but with `common` */

/* Options of a job. All programs and task.json have the same limits, so no program refuses what another one accepts. */
#define LIMIT_TIME_S             31622400                        /* 366 days: item_timeout_s, deadline_s */
#define LIMIT_CHUNK_ITEMS        1000000000                      /* chunk_size */
#define LIMIT_CONCURRENCY        1000000000                      /* max_concurrency */
#define LIMIT_RATE               1000000000                      /* max_rate, items per second */
#define LIMIT_ATTEMPTS           1000                            /* retry.max_attempts */
#define LIMIT_CHUNK_HEADER_BYTES (LIMIT_OPTIONS_BYTES + 8 * KIB) /* `common`, a pipeline's tasks, item_timeout_s */

/* A job on the coordinator. */
#define LIMIT_ITEM_BYTES              (64 * MIB)
#define LIMIT_ITEMS                   1000000000000ull
#define LIMIT_UNDISPATCHED_BYTES      (8 * MIB) /* unsent bytes of complete items; beyond this an upload is suspended */
#define LIMIT_UNSTARTED_BYTES         (64 * MIB) /* item bytes that a job holds until its task is known */
#define LIMIT_EARLY_START_BYTES       (1 * MIB)  /* item bytes that must arrive before a job starts during its upload */
#define LIMIT_RESULT_MEMORY_MIB       16         /* answers of one job held in memory; --result-memory-bytes */
#define LIMIT_RESULT_MEMORY_TOTAL_MIB 256        /* answers of all jobs held in memory; --result-memory-total-bytes */
#define LIMIT_ITEM_MEMORY_TOTAL_MIB   256 /* total size of the unsent items of all jobs; --item-memory-total-bytes */
#define LIMIT_JOB_FLOOR_BYTES         (16 * KIB)  /* a job may always use this much of each memory total above */
#define LIMIT_SPILL_GIB               4           /* size of the temporary files of all jobs; --max-spill-bytes */
#define LIMIT_DOCUMENT_RESULTS        1000000000u /* most results in a document, even if --max-spill-bytes is larger */
#define LIMIT_UNANSWERED_ERRORS       1000000     /* --max-unanswered-errors */
#define LIMIT_TASK_SERIES             256         /* tasks that have their own series in /metrics */
#define LIMIT_RUNNING_JOBS            10000       /* a request for one more job is answered with 429; --max-jobs */
#define LIMIT_CLIENT_CONNECTIONS      12000       /* --max-connections of the coordinator */
#define DEFAULT_MAX_CHUNK_BYTES       (1 * MIB)
#define DEFAULT_ITEM_TIMEOUT_S        60.0
#define DEFAULT_START_TIMEOUT_S       UINT64_C(300) /* how long a process of a task may take to be ready */
#define DEFAULT_CHUNK_COST_NS         50000         /* processor time of a chunk in a service, until it is measured */
#define DEFAULT_CHUNK_TARGET_MS       250
#define DEFAULT_HEARTBEAT_S           15 /* --heartbeat-s */

/* The job store. */
#define LIMIT_BLOCK_BYTES    (256 * MIB) /* before compression; blocks are cut at about 1 MiB, never within a line */
#define LIMIT_REDUCED_BYTES  (4 * MIB)   /* size of the result of a durable job with `reduce` */
#define LIMIT_RECORDED_BYTES (2 * MIB)   /* size of a block of answers that holds more than one answer or piece */

/* Durable jobs. */
#define LIMIT_JOB_WAIT_S 3600 /* how long a request may wait for the end of a job */

/* Traces, both services. */
#define LIMIT_TRACE_QUEUE_BYTES (8 * MIB) /* spans that wait for the collector; spans beyond this are dropped */

/* For all programs: signals that ask a program to end. Some programs, such as timeout(1), signal a process and then its
 * group, so one request may arrive twice. A second signal of the same kind within this time counts as the same
 * request. */
#define SAME_SIGNAL_MS 500

/* An answer line of a worker or of a process. It has the answer to one item. */
#define LIMIT_ANSWER_BYTES       (64 * MIB)
#define DEFAULT_ERROR_TAIL_BYTES (2 * KIB)   /* the end of stderr that becomes part of an error; error_output_bytes */
#define LIMIT_ERROR_TAIL_BYTES   (256 * KIB) /* the largest error_output_bytes of a task.json */
#define LIMIT_ERROR_TEXT_BYTES   (480 * KIB) /* stderr's end as JSON; two such texts fit in LIMIT_OTHER_LINE_BYTES */

/* A worker. */
#define LIMIT_WORKER_CHUNKS       64 /* chunks of one task on a worker; one more is answered with 429; --max-chunks */
#define LIMIT_WORKER_QUEUED_BYTES (64 * MIB) /* item bytes of a worker; beyond this an upload is suspended */
#define LIMIT_WORKER_ANSWER_BYTES (16 * MIB) /* answer bytes held per chunk; beyond this the chunk's items wait */
#define LIMIT_HEAD_WAIT_MS        10         /* how long the head of an answer waits for the first value */
#define LIMIT_GATHER_MS           2          /* how long an answer waits for other answers of its chunk */
#define COST_LINE_NS              250000000  /* slot time between two cost lines in a chunk's answer */
#define LIMIT_GATHER_BYTES        (16 * KIB) /* answers of at least this size do not wait for others */
#define LIMIT_TASK_PROCESSES      1024       /* processes of one task on one worker */
#define LIMIT_TASK_BATCH          1024       /* items that a task's function gets in one call */
#define LIMIT_TASK_CONCURRENCY    10000      /* items that one process of a task runs at the same time */

#endif
