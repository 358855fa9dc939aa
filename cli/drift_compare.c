/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidemill drift compare: two files, column by column. The same profile, counts, statistics and rules as in the stream,
 * with a break-point for every value of the reference; what counts cannot give (where exactly KS lies, Wasserstein in
 * the feature's own unit) comes from the sorted values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/drift.h"

struct compare {
    const char *reference, *current, *view;
    int fail_word;
    int64_t samples_min;
    struct mill_cli_drift_options options;
};

static struct compare given;
static const char *const fail_words[] = {"never", "minor", "major", NULL};

static const struct mill_cli_option compare_options[] = {
    {"reference", 'r', MILL_CLI_STRING, &given.reference, "FILE", "rows of when all was well: .csv or .jsonl", 0, 0,
     NULL},
    {"current", 'i', MILL_CLI_STRING, &given.current, "FILE", "rows to compare with them", 0, 0, NULL},
    {"features", 'f', MILL_CLI_STRING, &given.options.features, "A,B,...", "only these columns", 0, 0, NULL},
    {"categorical", 0, MILL_CLI_STRINGS, &given.options.categorical, "COLUMN",
     "a column of numbers that are categories", 0, 0, NULL},
    {"bins", 0, MILL_CLI_STRING, &given.options.bins, "BINS",
     "of PSI: quantile:10 (default), uniform:N, edges:E1,E2,...; +atoms gives frequent values bins of their own", 0, 0,
     NULL},
    {"smoothing", 0, MILL_CLI_STRING, &given.options.smoothing, "KIND",
     "of empty bins: add:0.5 (default), floor:1e-4, none", 0, 0, NULL},
    {"rule", 0, MILL_CLI_WORD, &given.options.rule, "default|article", "what counts as drift", 0, 0,
     mill_cli_drift_rules},
    {"min-samples", 0, MILL_CLI_INTEGER, &given.samples_min, "N",
     "rows of the current file below which nothing is judged (default: the rule's)", 1, 1e15, NULL},
    {"view", 0, MILL_CLI_STRING, &given.view, "VIEW", "of a rows.jsonl: the rows of that feature view", 0, 0, NULL},
    {"fail-on", 0, MILL_CLI_WORD, &given.fail_word, "never|minor|major", "leave with status 1 from that severity on", 0,
     0, fail_words},
    {.name = NULL},
};

static const struct mill_cli_command compare_command = {
    .name = "drift compare",
    .arguments = "",
    .summary = "Compares the distributions of two files' columns: KS, PSI and others, worst first.",
    .examples = "  tidemill drift compare --reference january.csv --current february.csv\n"
                "  tidemill drift compare -r train.csv -i live.csv --bins uniform:20 --format json\n",
    .options = compare_options,
};

/* ---- the counts ---- */

struct count {
    struct mill_drift_counter *counter;
    uint64_t *live;
    int64_t *times;
};

static void count_chunk(void *context, const struct mill_column *const *columns, uint32_t rows)
{
    const struct count *count = context;

    mill_drift_counter_add(count->counter, columns, NULL, count->times, count->live, 0, rows);
}

struct apply {
    struct mill_drift_window *window;
    int rc;
    struct mill_error *err;
};

static void apply_part(void *context, const struct mill_drift_part *part)
{
    struct apply *apply = context;

    if (apply->rc == MILL_OK) {
        apply->rc = mill_drift_window_apply(apply->window, part->bytes, 1, apply->err);
    }
}

static int count_rows(const struct mill_profile *profile, const struct mill_profile_spec *spec,
                      const struct mill_cli_table *table, struct mill_cli_column *const *picked,
                      struct mill_drift_window *window, struct mill_error *err)
{
    static int64_t times[MILL_CLI_CHUNK_ROWS]; /* all in one pane */
    uint64_t live[MILL_CLI_CHUNK_ROWS / 64];
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = 1};
    struct count count = {mill_drift_counter_new(&options), live, times};
    struct apply apply = {window, MILL_OK, err};
    enum mill_type *types = mill_calloc(spec->field_count, sizeof(*types));

    memset(live, 0xff, sizeof(live));
    for (uint32_t f = 0; f < spec->field_count; f++) {
        types[f] = spec->fields[f].type;
    }
    mill_cli_table_each_chunk(table, picked, types, spec->field_count, count_chunk, &count);
    mill_drift_counter_take(count.counter, INT64_MAX, apply_part, &apply);
    mill_drift_counter_free(count.counter);
    free(types);
    return apply.rc;
}

/* ---- exact values ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted_values(const struct mill_cli_table *table, const struct mill_cli_column *column,
                             uint64_t *ret_count)
{
    double *values = mill_malloc((column->value_count + 1) * sizeof(*values));
    uint64_t n = 0;

    for (size_t row = 0; row < table->row_count; row++) {
        if (mill_bit_get(column->cells.valid, (uint32_t)row)) {
            values[n++] = column->cells.at.f[row] + 0.0; /* -0.0 counts as 0.0 */
        }
    }
    qsort(values, n, sizeof(*values), compare_doubles);
    *ret_count = n;
    return values;
}

/* Mean and population standard deviation of the values themselves; the stream has them in fixed point. */
static void fill_moments(const double *values, uint64_t n, struct mill_drift_result *result)
{
    long double sum = 0, squares = 0;

    for (uint64_t i = 0; i < n; i++) {
        sum += values[i];
    }
    long double mean = sum / n;
    for (uint64_t i = 0; i < n; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    result->mean = n == 0 ? (double)NAN : (double)mean;
    result->stddev = n == 0 ? (double)NAN : (double)sqrtl(squares / n);
}

static void fill_exact(const struct mill_cli_comparisons *all, struct mill_cli_comparison *c,
                       struct mill_drift_result *result)
{
    c->reference_sorted = sorted_values(all->reference, c->reference, &c->reference_count);
    if (c->current != NULL) {
        c->current_sorted = sorted_values(all->current, c->current, &c->current_count);
    }
    fill_moments(c->current_sorted, c->current_count, result);
    mill_ks_2samp(c->reference_sorted, c->reference_count, c->current_sorted, c->current_count, &result->ks);
    result->ks_pvalue = mill_ks_pvalue(&result->ks, MILL_KS_AUTO);
    c->wasserstein = mill_wasserstein(c->reference_sorted, c->reference_count, c->current_sorted, c->current_count);
}

/* ---- the two files ---- */

/* A column is numbers where it is so in both files. */
static void match_columns(struct mill_cli_table *reference, struct mill_cli_table *current,
                          struct mill_cli_comparison *at, struct mill_cli_column **picked,
                          struct mill_cli_column **matched, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        matched[i] = mill_cli_table_find(current, picked[i]->name);
        at[i] = (struct mill_cli_comparison){.reference = picked[i], .current = matched[i], .wasserstein = (double)NAN};
        if (matched[i] != NULL && matched[i]->is_text != picked[i]->is_text) {
            if (matched[i]->value_count > 0 && picked[i]->value_count > 0) {
                at[i].type_changed = true;
            }
            mill_cli_table_make_text(reference, picked[i]);
            mill_cli_table_make_text(current, matched[i]);
        }
    }
}

static void list_extra(struct mill_cli_comparisons *all, struct mill_arena *arena)
{
    const char **names = mill_arena_array(arena, const char *, all->current->column_count + 1);

    for (uint32_t c = 0; c < all->current->column_count; c++) {
        if (given.options.features == NULL &&
            mill_cli_table_find(all->reference, all->current->columns[c].name) == NULL) {
            names[all->extra_count++] = all->current->columns[c].name;
        }
    }
    all->extra = names;
}

static int evaluate(struct mill_cli_comparisons *all, const struct mill_profile_spec *spec,
                    struct mill_cli_column **picked, struct mill_cli_column **matched,
                    struct mill_profile **ret_profile, struct mill_arena *arena, struct mill_error *err)
{
    struct mill_drift_report *report = mill_arena_zalloc(arena, sizeof(*report));
    struct mill_drift_rule rule;

    mill_drift_rule_init(&rule, (enum mill_rule_kind)given.options.rule);
    rule.smoothing = given.options.has_smoothing ? given.options.smoothed : rule.smoothing;
    all->smoothing = rule.smoothing;
    rule.samples_min = given.samples_min > 0 ? (uint64_t)given.samples_min : rule.samples_min;
    MILL_TRY(mill_cli_drift_build(spec, all->reference, picked, NULL, NULL, ret_profile, err));
    struct mill_drift_window *window = mill_drift_window_new(*ret_profile);
    int rc = count_rows(*ret_profile, spec, all->current, matched, window, err);
    if (rc == MILL_OK) {
        mill_drift_evaluate(window, *ret_profile, &rule, true, arena, report);
        all->report = report;
    }
    mill_drift_window_free(window);
    return rc;
}

static int compare(struct mill_cli_comparisons *all, struct mill_cli_table *reference, struct mill_cli_table *current,
                   struct mill_profile **ret_profile, struct mill_arena *arena, struct mill_error *err)
{
    struct mill_profile_spec spec;
    struct mill_cli_column **picked, **matched;

    MILL_TRY(mill_cli_drift_pick(&given.options, reference, arena, &spec, &picked, err));
    all->count = spec.field_count;
    all->at = mill_arena_zarray(arena, struct mill_cli_comparison, spec.field_count);
    matched = mill_arena_zarray(arena, struct mill_cli_column *, spec.field_count);
    match_columns(reference, current, all->at, picked, matched, all->count);
    mill_cli_drift_name_fields(&spec, picked, all->count, arena);
    list_extra(all, arena);
    MILL_TRY(evaluate(all, &spec, picked, matched, ret_profile, arena, err));
    struct mill_drift_result *results = mill_arena_zarray(arena, struct mill_drift_result, all->count);
    mill_assert(all->report->result_count >= all->count);
    for (uint32_t i = 0; i < all->count; i++) {
        results[i] = all->report->results[i];
        all->at[i].result = &results[i];
        if (results[i].feature->kind == MILL_DRIFT_NUMERIC) {
            fill_exact(all, &all->at[i], &results[i]);
        } else {
            mill_cli_compare_levels(all, all->smoothing, &all->at[i], &results[i]);
        }
    }
    return MILL_OK;
}

const char *mill_cli_drift_verdict(const struct mill_drift_result *result, char *text, size_t size)
{
    if (result->severity != MILL_SEVERITY_NONE) {
        snprintf(text, size, "%s drift", mill_severity_name(result->severity));
    } else if ((result->conditions & MILL_CONDITIONS_UNJUDGED) != 0) {
        unsigned unjudged = result->conditions & MILL_CONDITIONS_UNJUDGED, lowest = unjudged & -unjudged;
        snprintf(text, size, "not judged: %s", mill_drift_condition_name((enum mill_drift_condition)lowest));
    } else {
        snprintf(text, size, "stable");
    }
    return text;
}

static int run(const struct mill_cli *cli, struct mill_buffer *out, enum mill_severity *ret_severity,
               struct mill_error *err)
{
    struct mill_cli_table_options options = {.view = given.view, .as_text = given.options.categorical};
    struct mill_cli_table reference = {0}, current = {0};
    struct mill_cli_comparisons all = {.reference_path = given.reference,
                                       .current_path = given.current,
                                       .rule = mill_cli_drift_rules[given.options.rule],
                                       .reference = &reference,
                                       .current = &current};
    struct mill_profile *profile = NULL;
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    int rc = mill_cli_table_read(given.reference, &options, &reference, err);
    rc = rc == MILL_OK ? mill_cli_table_read(given.current, &options, &current, err) : rc;
    rc = rc == MILL_OK ? compare(&all, &reference, &current, &profile, &arena, err) : rc;
    if (rc == MILL_OK) {
        *ret_severity = all.report->severity;
        if (cli->json) {
            mill_cli_compare_write_json(&all, out);
        } else {
            mill_cli_compare_write_text(&all, out);
        }
    }
    for (uint32_t i = 0; i < all.count; i++) {
        free(all.at[i].reference_sorted);
        free(all.at[i].current_sorted);
        free(all.at[i].levels);
    }
    mill_profile_free(profile);
    mill_cli_table_clear(&reference);
    mill_cli_table_clear(&current);
    mill_arena_clear(&arena);
    return rc;
}

int mill_cli_drift_compare(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    enum mill_severity severity = MILL_SEVERITY_NONE;
    int status = 0;

    given.options.bins = "quantile:10";
    given.options.break_points = MILL_PROFILE_BREAKS_MAX;
    if (!mill_cli_parse(&compare_command, argc, argv, &cli, &status)) {
        return status;
    }
    if (given.reference == NULL || given.current == NULL) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "expected two files; hint: --reference R.csv --current C.csv");
    }
    mill_arena_init(&given.options.arena, 0);
    int rc = mill_cli_drift_options_check(&given.options, &err);
    rc = rc == MILL_OK ? run(&cli, &out, &severity, &err) : rc;
    if (rc < 0) {
        status = mill_cli_fail(&cli, &err);
    } else {
        status = mill_cli_write(&out);
        if (status == 0 && given.fail_word > 0 && (int)severity >= given.fail_word) {
            status = 1;
        }
    }
    mill_buffer_clear(&out);
    mill_arena_clear(&given.options.arena);
    return status;
}
