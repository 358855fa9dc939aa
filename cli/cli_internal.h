/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, inside: the table of subcommands (main.c), options (options.c), errors and problems on the terminal
 * (report.c), progress bars (progress.c), a small HTTP client (http_client.c).
 *
 * A subcommand is a function of (argc, argv) with argv[0] its own name; it describes itself in a struct
 * mill_cli_command, calls mill_cli_parse first, and returns the exit status.
 */
#ifndef MILL_CLI_INTERNAL_H
#define MILL_CLI_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/engine.h"

/* ------------------------------------------------------------------------------------------------
 * Options (options.c)
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_texts {
    const char **at; /* ends in NULL; never NULL itself */
    uint32_t count;
};

enum mill_cli_type {
    MILL_CLI_FLAG,    /* bool */
    MILL_CLI_STRING,  /* const char * */
    MILL_CLI_STRINGS, /* struct mill_cli_texts; may be given several times */
    MILL_CLI_INTEGER, /* int64_t, min to max where max > min */
    MILL_CLI_NUMBER,  /* double, the same */
    MILL_CLI_WORD,    /* int: index into words */
};

/* target keeps its value where the option is not given. */
struct mill_cli_option {
    const char *name; /* NULL ends the table */
    char letter;      /* of the short form, or 0 */
    enum mill_cli_type type;
    void *target;
    const char *argument; /* "FILE": how --help calls the value */
    const char *help;
    double min, max;
    const char *const *words;
};

struct mill_cli_command {
    const char *name;
    const char *arguments; /* "VIEW KEY...", "" */
    const char *summary;   /* a sentence or two */
    const char *examples;  /* lines, or NULL */
    const struct mill_cli_option *options;
    bool project; /* takes -c FILE and --set */
    unsigned arguments_min, arguments_max;
};

/* What every command is told. Lives until the process ends. */
struct mill_cli {
    const struct mill_cli_command *command;
    bool json;          /* --format json */
    const char *config; /* -c */
    struct mill_cli_texts sets;
    char *const *arguments;
    unsigned argument_count;
};

/* Reads the options and sets logging and colours up. False: leave with *ret_status (--help, or a usage error that has
 * been reported). */
bool mill_cli_parse(const struct mill_cli_command *command, int argc, char **argv, struct mill_cli *cli,
                    int *ret_status);

/* A command that has commands (subcommand.c): finds argv[1] in the table (name NULL ends it) and runs it, prints help,
 * or suggests. arguments and more: for the help; more ends in a newline or is empty. */
struct mill_cli_subcommand {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};
int mill_cli_dispatch(const char *parent, const struct mill_cli_subcommand *subcommands, const char *arguments,
                      const char *more, int argc, char **argv);

/* ------------------------------------------------------------------------------------------------
 * Reports (report.c)
 * --------------------------------------------------------------------------------------------- */

/* "tidemill: ..." on standard error, or {"error": ...} with --format json; returns the exit status. */
int mill_cli_fail(const struct mill_cli *cli, const struct mill_error *err);
/* The same for one's own words: `return mill_cli_fail_with(&cli, MILL_EUSAGE, "...")`. */
int mill_cli_fail_with(const struct mill_cli *cli, int code, const char *fmt, ...) MILL_PRINTF(3, 4);
/* file:line:col: error: ... for each, on standard error, in colour on a terminal. */
void mill_cli_print_problems(const struct mill_problems *problems);
void mill_cli_problems_json(const struct mill_problems *problems, struct mill_json_writer *w);
/* Loads the project named by -c, prints problems and warnings; 0, or the exit status. */
int mill_cli_load(const struct mill_cli *cli, bool offline, struct mill_project **ret_project);
/* Writes the buffer to standard output and empties it; the exit status: 0, or 74 where it cannot be written. */
int mill_cli_write(struct mill_buffer *out);
/* The words for a color on standard output / error, "" where there is none. */
enum mill_cli_color { MILL_CLI_PLAIN, MILL_CLI_BOLD, MILL_CLI_RED, MILL_CLI_YELLOW, MILL_CLI_GREEN, MILL_CLI_DIM };
const char *mill_cli_color(int fd, enum mill_cli_color color);

/* ------------------------------------------------------------------------------------------------
 * Progress (progress.c): one line on standard error, redrawn at most ten times a second; nothing where that is no
 * terminal.
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_progress {
    const char *label;
    int64_t started_ns, drawn_ns;
    bool on;
};
void mill_cli_progress_begin(struct mill_cli_progress *progress, const char *label);
/* total 0: not known. items: records so far, for the rate. */
void mill_cli_progress_update(struct mill_cli_progress *progress, uint64_t done, uint64_t total, uint64_t items);
void mill_cli_progress_end(struct mill_cli_progress *progress);

/* ------------------------------------------------------------------------------------------------
 * HTTP (http_client.c)
 * --------------------------------------------------------------------------------------------- */

/* GET; appends the body. *ret_status is the HTTP status. MILL_EUNAVAIL where nobody answers. */
int mill_cli_http_get(const char *url, int timeout_ms, struct mill_buffer *body, long *ret_status,
                      struct mill_error *err) MILL_MUST_CHECK;

/* "http://127.0.0.1:6566" of the running engine: url where it is given, else from the project's server.listen. 0, or
 * the exit status (endpoint.c). */
int mill_cli_endpoint(const struct mill_cli *cli, const char *url, struct mill_buffer *ret_base);

/* ------------------------------------------------------------------------------------------------
 * Metrics of a running engine (scrape.c)
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_sample {
    const char *name, *labels; /* labels as written, without the braces: topic="a",partition="0" */
    double value;
};
/* One answer of /metrics. */
struct mill_cli_scrape {
    struct mill_cli_sample *samples;
    uint32_t count, capacity;
    int64_t at_ns; /* monotonic */
    struct mill_arena arena;
};
void mill_cli_scrape_parse(struct mill_cli_scrape *scrape, struct mill_slice text);
/* GETs base/metrics of an engine. */
int mill_cli_scrape_read(const char *base, struct mill_cli_scrape *ret_scrape, struct mill_error *err) MILL_MUST_CHECK;
void mill_cli_scrape_clear(struct mill_cli_scrape *scrape);
/* The value of a label, n = 0 where it is not there; as written. */
struct mill_slice mill_cli_sample_label(const struct mill_cli_sample *sample, const char *label);
/* Sum of the series of that name whose label has that value (label NULL: of all). */
double mill_cli_scrape_sum(const struct mill_cli_scrape *scrape, const char *name, const char *label,
                           struct mill_slice value);
/* Upper bound of the share q of what a histogram counted between two scrapes, interpolated; NaN where that is nothing.
 */
double mill_cli_scrape_quantile(const struct mill_cli_scrape *before, const struct mill_cli_scrape *now,
                                const char *name, double q);

/* Texts of schemas/, put into the program by cmake/schemas.cmake. */
extern const struct mill_slice mill_cli_schemas[];
extern const uint32_t mill_cli_schema_count;

/* ------------------------------------------------------------------------------------------------
 * Subcommands
 * --------------------------------------------------------------------------------------------- */

int mill_cmd_broker(int argc, char **argv);
int mill_cmd_config(int argc, char **argv);
int mill_cmd_get(int argc, char **argv);
int mill_cmd_healthcheck(int argc, char **argv);
int mill_cmd_init(int argc, char **argv);
int mill_cmd_replay(int argc, char **argv);
int mill_cmd_run(int argc, char **argv);
int mill_cmd_tap(int argc, char **argv);
int mill_cmd_top(int argc, char **argv);
int mill_cmd_validate(int argc, char **argv);
int mill_cmd_version(int argc, char **argv);

#endif
