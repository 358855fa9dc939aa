/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift: compare, profile, status, simulate, trigger. main.c calls the entry; the rest is shared by the
 * drift_*.c files. */
#ifndef MILL_CLI_DRIFT_H
#define MILL_CLI_DRIFT_H

#include "cli/cli_internal.h"
#include "drift/drift.h"

int mill_cli_drift(int argc, char **argv);

int mill_cli_drift_compare(int argc, char **argv);
int mill_cli_drift_profile(int argc, char **argv);
int mill_cli_drift_status(int argc, char **argv);
int mill_cli_drift_simulate(int argc, char **argv);
int mill_cli_drift_trigger(int argc, char **argv);

/* ------------------------------------------------------------------------------------------------
 * Rows of a file as columns (drift_table.c, drift_table_json.c)
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_column {
    const char *name;
    bool is_text;             /* some value is no number: at.s; else at.f */
    struct mill_column cells; /* MILL_FLOAT64 or MILL_STRING, of all rows; texts live in the table's arena */
    uint64_t value_count;     /* not missing */
};
struct mill_cli_table {
    struct mill_cli_column *columns;
    uint32_t column_count, column_capacity;
    uint32_t next_column; /* where the next cell of the row probably goes: rows name their columns in one order */
    size_t row_count, row_capacity;
    struct mill_arena arena;
};
/* .csv (header row; .csv.zst too) or .jsonl: scalars of each object, and those of "features" and other objects inside
 * ("features" under their own names, others as "object.name"), so rows.jsonl and scores.jsonl of an offline run are
 * read as they are. Empty CSV fields, null and NaN are missing. as_text: columns that are text whatever they hold.
 * view: of rows.jsonl, only rows of that view; NULL: all. */
struct mill_cli_table_options {
    const char *view;
    struct mill_cli_texts as_text;
};
int mill_cli_table_read(const char *path, const struct mill_cli_table_options *options,
                        struct mill_cli_table *ret_table, struct mill_error *err) MILL_MUST_CHECK;
void mill_cli_table_clear(struct mill_cli_table *table);
struct mill_cli_column *mill_cli_table_find(const struct mill_cli_table *table, const char *name);
/* Numbers become their shortest text. */
void mill_cli_table_make_text(struct mill_cli_table *table, struct mill_cli_column *column);
/* A further column; takes values (row_capacity + 1 of them, from malloc), none missing but NaN. */
void mill_cli_table_add_numbers(struct mill_cli_table *table, const char *name, double *values);
/* Readers add cells row by row: a column is made when its first cell comes. */
void mill_cli_table_put(struct mill_cli_table *table, struct mill_slice name, struct mill_slice text);
void mill_cli_table_end_row(struct mill_cli_table *table);
int mill_cli_table_read_json(const char *path, const struct mill_cli_table_options *options,
                             struct mill_cli_table *table, struct mill_error *err) MILL_MUST_CHECK;

/* Rows from..to-1 of the columns as a builder or counter wants them; row_max of struct mill_cli_chunk. */
enum { MILL_CLI_CHUNK_ROWS = 4096 };
/* Calls each() with columns[i] = the chunk of picked column i (NULL where picked[i] is NULL: all missing). */
void mill_cli_table_each_chunk(const struct mill_cli_table *table, struct mill_cli_column *const *picked,
                               const enum mill_type *types, uint32_t count,
                               void (*each)(void *context, const struct mill_column *const *columns, uint32_t rows),
                               void *context);

/* ------------------------------------------------------------------------------------------------
 * Options that several commands take (drift_options.c)
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_drift_options {
    const char *bins, *smoothing, *features;
    const char *not_picked; /* a column that is no feature unless --features names it; or NULL */
    struct mill_cli_texts categorical;
    int64_t break_points;
    int rule; /* index into mill_cli_drift_rules */
    struct mill_binning binning;
    struct mill_smoothing smoothed;
    bool has_smoothing;
    struct mill_arena arena;
};
extern const char *const mill_cli_drift_rules[]; /* "default", "article", NULL: by enum mill_rule_kind */
/* Reads bins and smoothing; MILL_EUSAGE. */
int mill_cli_drift_options_check(struct mill_cli_drift_options *options, struct mill_error *err) MILL_MUST_CHECK;
/* The fields of the table as a profile's columns, those of --features or all; picked gets one entry a field. All: but
 * for the columns of an offline run's files that are no features (event_time, offset, key.*, ...). */
int mill_cli_drift_pick(const struct mill_cli_drift_options *options, const struct mill_cli_table *table,
                        struct mill_arena *arena, struct mill_profile_spec *ret_spec,
                        struct mill_cli_column ***ret_picked, struct mill_error *err) MILL_MUST_CHECK;
/* The spec's fields are those columns, as they are now. */
void mill_cli_drift_name_fields(struct mill_profile_spec *spec, struct mill_cli_column *const *picked, uint32_t count,
                                struct mill_arena *arena);
/* The profile of a table's rows. segment (text) and times may be NULL. */
int mill_cli_drift_build(const struct mill_profile_spec *spec, const struct mill_cli_table *table,
                         struct mill_cli_column *const *picked, struct mill_cli_column *segment, const int64_t *times,
                         struct mill_profile **ret_profile, struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Status (drift_status.c; performance by drift_status_performance.c, nothing where no monitor has labels)
 * --------------------------------------------------------------------------------------------- */

void mill_cli_drift_performance_text(const struct mill_cli_scrape *scrape, struct mill_buffer *out);
void mill_cli_drift_performance_json(const struct mill_cli_scrape *scrape, struct mill_json_writer *w);
/* "-" and null where it is NaN. */
void mill_cli_drift_number(struct mill_buffer *out, double value, int width);
void mill_cli_drift_json_number(struct mill_json_writer *w, const char *key, double value);
void mill_cli_drift_json_label(struct mill_json_writer *w, const char *key, struct mill_slice value);

/* ------------------------------------------------------------------------------------------------
 * Comparison (drift_compare.c; shown by drift_compare_text.c and drift_compare_json.c)
 * --------------------------------------------------------------------------------------------- */

struct mill_cli_level {
    struct mill_slice name;
    uint64_t reference, current;
};
/* One feature of two files. */
struct mill_cli_comparison {
    const struct mill_drift_result *result;
    const struct mill_cli_column *reference, *current; /* current NULL: the file has no such column */
    double wasserstein;                                /* as scipy gives it, not normed */
    double *reference_sorted, *current_sorted;         /* numeric: values without missing ones */
    struct mill_cli_level *levels;                     /* categorical: of both files, in byte order */
    uint32_t level_count;
    uint64_t reference_count, current_count; /* values */
    bool type_changed;                       /* numbers on one side, text on the other */
};
struct mill_cli_comparisons {
    const char *reference_path, *current_path, *rule;
    const struct mill_cli_table *reference, *current;
    const struct mill_drift_report *report;
    struct mill_smoothing smoothing;
    struct mill_cli_comparison *at; /* in the reference's order */
    uint32_t count;
    const char *const *extra; /* columns that only the current file has */
    uint32_t extra_count;
};
/* Levels of both files (drift_compare_levels.c), and the statistics over all of them: the stream, and so the rule,
 * counts levels that the reference does not have as one. */
void mill_cli_compare_levels(const struct mill_cli_comparisons *all, struct mill_smoothing smoothing,
                             struct mill_cli_comparison *c, struct mill_drift_result *result);
/* "stable", "minor drift", "major drift", "not judged: too_few_samples". text: at least 96 bytes. */
const char *mill_cli_drift_verdict(const struct mill_drift_result *result, char *text, size_t size);
void mill_cli_compare_write_text(const struct mill_cli_comparisons *all, struct mill_buffer *out);
void mill_cli_compare_write_json(const struct mill_cli_comparisons *all, struct mill_buffer *out);

#endif
