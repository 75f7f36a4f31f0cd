#include "hosts/exec_options.h"

#include <getopt.h>

#include "common/json/byte_text.h"

static const char help[] =
    "usage: fantail-host-exec [OPTIONS] -- COMMAND [ARGUMENTS]\n"
    "Each line of stdin is one JSON value. Runs COMMAND once for each line, and writes one answer line.\n"
    "{} in the arguments is replaced by the item. Without {} the item is the command's stdin.\n"
    "\n"
    "  --text          write a string to stdin without its quotes and escapes\n"
    "  --append        if no argument has {}, add the item as the last argument\n"
    "  --row           each item is an array [index, value, ...]; the arguments may have {.} {/} {//} {/.} {#} {%} "
    "{1}\n"
    "  --blanks        if the row lacks the value of a placeholder, remove the placeholder; by default it stays as it "
    "is\n"
    "  --repeat        an argument with a placeholder for all values is repeated for each value\n"
    "  --shell PATH    run the words, joined with spaces, with this shell; the values are quoted\n"
    "  --plus          there are more placeholders, such as {..} and {%.txt}\n"
    "  --total N       the number of all rows, for {##}\n"
    "  --column NAME   with --results: the name of the next column's folder, instead of the column's number\n"
    "  --code          with --shell: the values are not quoted\n"
    "  --quote-words   with --shell: each word is quoted after the values have been put into it\n"
    "  --ignore-item   the command does not get the item\n"
    "  --parallel-variables  set PARALLEL_SEQ to the number of the item, and PARALLEL_JOBSLOT to the number of the "
    "slot\n"
    "  --placeholder S this text stands for the item in the arguments, instead of {}\n"
    "  --output HOW    read stdout as json, as text (one string), as lines (an array of strings), or as\n"
    "                  auto (json if it is valid, else text; this is the default)\n"
    "  --raw           in the command, in strings of items and in the output, each character from U+0000 to U+00FF\n"
    "                  stands for one byte\n"
    "  --record        the value is an object with the output, the exit status, the times and more\n"
    "  --tag S         write S and a tab before each line of the output; S may have placeholders\n"
    "  --timeout S     kill the command after S seconds\n"
    "  --error-bytes N an error has the last N bytes of stdout and of stderr; the default is 2048\n"
    "  --slot-variable NAME  set this variable to the number of the slot, from 0 on\n"
    "  --dry-run-quoted  like --dry-run, and the command line is quoted for a shell\n"
    "  --nice N        add N to the niceness of the command\n"
    "  --gate FILE     FILE is the gate of a fantail map run; the gate decides when a command may start\n"
    "  --lines PIPE    write each line of the output to this named pipe as soon as the line is complete\n"
    "  --blocks PATH   with --row: each row names a block, which becomes the stdin of the command. [index, offset,\n"
    "                  bytes] is a part of the file PATH. [index, offset, bytes, name] is a whole file in the folder\n"
    "                  PATH\n"
    "  --block-header OFFSET:BYTES  these bytes of the file come before each block that is a part of the file\n"
    "  --results DIR   also write stdout and stderr of each command to files, in a folder below DIR that is named\n"
    "                  after the values of the item\n"
    "  --dry-run       the output is the command line, and the command does not run\n";

static uint64_t parse_timeout(const char *word)
{
    char *end;
    double seconds = strtod(word, &end);
    if (end == word || *end || !(seconds > 0 && seconds < 1e9))
        die(2, "--timeout must be a number of seconds above 0, not %s", word);
    return (uint64_t)(seconds * 1000) + 1;
}

static size_t parse_error_bytes(const char *word)
{
    char *end;
    unsigned long bytes = strtoul(word, &end, 10);
    if (end == word || *end || bytes > LIMIT_ERROR_TAIL_BYTES)
        die(2, "--error-bytes must be a number from 0 to %u, not %s", LIMIT_ERROR_TAIL_BYTES, word);
    return bytes;
}

static int parse_nice(const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);
    if (end == word || *end || n < -40 || n > 40) die(2, "--nice must be a whole number from -40 to 40, not %s", word);
    return (int)n;
}

static void add_column(struct exec_options *o, char *name)
{
    o->columns = xrealloc(o->columns, (o->columns_count + 1) * sizeof *o->columns);
    o->columns[o->columns_count++] = name;
}

static char *parse_placeholder(char *word)
{
    if (!*word) die(2, "--placeholder must not be empty");
    return word;
}

/* Reads OFFSET:BYTES. */
static void parse_header(struct exec_options *o, const char *word)
{
    char *colon, *end;
    o->header_at = strtoull(word, &colon, 10);
    if (colon == word || *colon != ':') die(2, "--block-header must be OFFSET:BYTES, not %s", word);
    o->header_bytes = strtoull(colon + 1, &end, 10);
    if (end == colon + 1 || *end) die(2, "--block-header must be OFFSET:BYTES, not %s", word);
}

static void read_option(struct exec_options *o, int letter, char *value)
{
    switch (letter) {
    case 't': o->text = true; break;
    case 'a': o->append = true; break;
    case 'r': o->row = true; break;
    case 'x': o->repeat = true; break;
    case 'S': o->shell = value; break;
    case 'B': o->blanks = true; break;
    case 'c': o->code = true; break;
    case 'P': o->plus = true; break;
    case 'Q': o->quote_words = true; break;
    case 'N': o->total = strtoull(value, NULL, 10); break;
    case 'C': add_column(o, value); break;
    case 'i': o->ignore_item = true; break;
    case 'V': o->parallel_variables = true; break;
    case 'd': o->dry_run = true; break;
    case 'D': o->dry_run = o->quoted = true; break;
    case 'L': o->slot_variable = value; break;
    case 'R': o->record = true; break;
    case 'b': o->raw = true; break;
    case 'p': o->placeholder = parse_placeholder(value); break;
    case 'g': o->gate = value; break;
    case 'T': o->tag = value; break;
    case 'f': o->results = value; break;
    case 'l': o->lines = value; break;
    case 'k': o->blocks = value; break;
    case 'H': parse_header(o, value); break;
    case 'n': o->nice = parse_nice(value); break;
    case 'e': o->error_bytes = parse_error_bytes(value); break;
    case 's': o->timeout_ms = parse_timeout(value); break;
    case 'o':
        if (!exec_output_parse(value, &o->output)) die(2, "--output must be auto, json, text or lines, not %s", value);
        break;
    case 'h': fputs(help, stdout); exit(0);
    case 'v': puts("fantail-host-exec " FANTAIL_VERSION); exit(0);
    default: fputs(help, stderr); exit(2);
    }
}

static void decode(char *word)
{
    size_t len = byte_text_to_bytes(word, strlen(word));
    if (len == SIZE_MAX) die(2, "with --raw, the characters of a word must be below U+0100");
    word[len] = '\0';
}

static void make_raw(struct exec_options *o)
{
    o->output = EXEC_OUTPUT_RAW;
    for (char **word = o->command; *word; word++) decode(*word);
    if (o->placeholder) decode(o->placeholder);
    if (o->tag) decode(o->tag);
    if (o->slot_variable) decode(o->slot_variable);
    if (o->results) decode(o->results);
    for (size_t i = 0; i < o->columns_count; i++) decode(o->columns[i]);
}

void exec_options_read(struct exec_options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"text", no_argument, NULL, 't'},
        {"append", no_argument, NULL, 'a'},
        {"placeholder", required_argument, NULL, 'p'},
        {"row", no_argument, NULL, 'r'},
        {"repeat", no_argument, NULL, 'x'},
        {"shell", required_argument, NULL, 'S'},
        {"blanks", no_argument, NULL, 'B'},
        {"code", no_argument, NULL, 'c'},
        {"plus", no_argument, NULL, 'P'},
        {"quote-words", no_argument, NULL, 'Q'},
        {"total", required_argument, NULL, 'N'},
        {"column", required_argument, NULL, 'C'},
        {"ignore-item", no_argument, NULL, 'i'},
        {"parallel-variables", no_argument, NULL, 'V'},
        {"output", required_argument, NULL, 'o'},
        {"tag", required_argument, NULL, 'T'},
        {"results", required_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'l'},
        {"blocks", required_argument, NULL, 'k'},
        {"block-header", required_argument, NULL, 'H'},
        {"timeout", required_argument, NULL, 's'},
        {"error-bytes", required_argument, NULL, 'e'},
        {"nice", required_argument, NULL, 'n'},
        {"gate", required_argument, NULL, 'g'},
        {"dry-run", no_argument, NULL, 'd'},
        {"dry-run-quoted", no_argument, NULL, 'D'},
        {"slot-variable", required_argument, NULL, 'L'},
        {"record", no_argument, NULL, 'R'},
        {"raw", no_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    *o = (struct exec_options){.error_bytes = DEFAULT_ERROR_TAIL_BYTES};
    for (int letter; (letter = getopt_long(argc, argv, "+", known, NULL)) != -1;) read_option(o, letter, optarg);
    if (optind == argc) die(2, "the command is missing; see --help");
    if (o->blocks && !o->row) die(2, "--blocks needs --row");
    o->command = argv + optind;
    if (o->raw) make_raw(o);
}
