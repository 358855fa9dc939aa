/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift simulate: how often a rule fires on rows that have not drifted. The rows of one file are shuffled and
 * dealt into references and windows. */
#include <stdlib.h>

#include "cli/drift.h"

struct simulate {
    const char *reference, *view;
    int64_t window, evaluations, seed, samples_min;
    struct mill_cli_drift_options options;
};
static struct simulate given;

static const struct mill_cli_option simulate_options[] = {
    {"reference", 'r', MILL_CLI_STRING, &given.reference, "FILE", "rows: .csv or .jsonl", 0, 0, NULL},
    {"rule", 0, MILL_CLI_WORD, &given.options.rule, "default|article", "the rule that is tried", 0, 0,
     mill_cli_drift_rules},
    {"window", 'w', MILL_CLI_INTEGER, &given.window, "ROWS", "rows of a window (default: a tenth of the file)", 1, 1e12,
     NULL},
    {"evaluations", 'n', MILL_CLI_INTEGER, &given.evaluations, "N", "windows that are judged (1000)", 1, 1e7, NULL},
    {"seed", 0, MILL_CLI_INTEGER, &given.seed, "N", "of the shuffle (1)", 0, 1e15, NULL},
    {"features", 'f', MILL_CLI_STRING, &given.options.features, "A,B,...", "only these columns", 0, 0, NULL},
    {"categorical", 0, MILL_CLI_STRINGS, &given.options.categorical, "COLUMN",
     "a column of numbers that are categories", 0, 0, NULL},
    {"bins", 0, MILL_CLI_STRING, &given.options.bins, "BINS", "of PSI (quantile:10+atoms, as monitors have it)", 0, 0,
     NULL},
    {"smoothing", 0, MILL_CLI_STRING, &given.options.smoothing, "KIND", "add:0.5 (default), floor:1e-4, none", 0, 0,
     NULL},
    {"break-points", 0, MILL_CLI_INTEGER, &given.options.break_points, "N", "of the profile at most (2000)", 2,
     MILL_PROFILE_BREAKS_MAX, NULL},
    {"min-samples", 0, MILL_CLI_INTEGER, &given.samples_min, "N",
     "rows below which nothing is judged (default: the rule's)", 1, 1e15, NULL},
    {"view", 0, MILL_CLI_STRING, &given.view, "VIEW", "of a rows.jsonl: the rows of that feature view", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command simulate_command = {
    .name = "drift simulate",
    .arguments = "",
    .summary = "Shuffles the rows of a file, so that nothing drifts, and counts how often a rule fires all the same.",
    .examples = "  tidemill drift simulate --reference train.csv --rule article --window 1000\n",
    .options = simulate_options,
};

static void write_result(const struct mill_drift_simulation *r, bool json, struct mill_buffer *out)
{
    double any = (double)r->any / (double)r->evaluations, major = (double)r->major / (double)r->evaluations;
    struct mill_json_writer w;

    if (!json) {
        mill_buffer_printf(out,
                           "%llu evaluations by the %s rule where nothing had drifted: %llu with a finding (%.2f %%), "
                           "%llu with a major one (%.2f %%)\nof %llu features judged: %llu minor, %llu major\n",
                           (unsigned long long)r->evaluations, mill_cli_drift_rules[given.options.rule],
                           (unsigned long long)r->any, 100 * any, (unsigned long long)r->major, 100 * major,
                           (unsigned long long)r->result_count, (unsigned long long)r->results_minor,
                           (unsigned long long)r->results_major);
        return;
    }
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"evaluations", r->evaluations},
                  {"any", r->any},
                  {"major", r->major},
                  {"results", r->result_count},
                  {"results_minor", r->results_minor},
                  {"results_major", r->results_major}};
    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "rule");
    mill_json_write_cstr(&w, mill_cli_drift_rules[given.options.rule]);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        mill_json_write_key(&w, counts[i].name);
        mill_json_write_int64(&w, (int64_t)counts[i].value);
    }
    mill_json_write_key(&w, "any_rate");
    mill_json_write_double(&w, any);
    mill_json_write_key(&w, "major_rate");
    mill_json_write_double(&w, major);
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(out, '\n');
}

static int simulate(const struct mill_cli_table *table, struct mill_drift_simulation *ret_result,
                    struct mill_error *err)
{
    struct mill_arena arena;
    struct mill_profile_spec spec;
    struct mill_cli_column **picked;

    mill_arena_init(&arena, 0);
    int rc = mill_cli_drift_pick(&given.options, table, &arena, &spec, &picked, err);
    if (rc == MILL_OK) {
        struct mill_column *columns = mill_arena_array(&arena, struct mill_column, spec.field_count);
        for (uint32_t f = 0; f < spec.field_count; f++) {
            columns[f] = picked[f]->cells;
        }
        struct mill_drift_simulation_options options = {
            .spec = &spec,
            .columns = columns,
            .row_count = table->row_count,
            .window_rows = given.window > 0 ? (uint64_t)given.window : (table->row_count + 9) / 10,
            .evaluations = (uint32_t)given.evaluations,
            .splits = 10,
            .seed = (uint64_t)given.seed,
        };
        mill_drift_rule_init(&options.rule, (enum mill_rule_kind)given.options.rule);
        options.rule.smoothing = given.options.has_smoothing ? given.options.smoothed : options.rule.smoothing;
        options.rule.samples_min = given.samples_min > 0 ? (uint64_t)given.samples_min : options.rule.samples_min;
        rc = mill_drift_simulate(&options, ret_result, err);
    }
    mill_arena_clear(&arena);
    return rc;
}

static int run(const struct mill_cli *cli, struct mill_buffer *out, struct mill_error *err)
{
    struct mill_cli_table_options options = {.view = given.view, .as_text = given.options.categorical};
    struct mill_drift_simulation result;
    struct mill_cli_table table;

    MILL_TRY(mill_cli_drift_options_check(&given.options, err));
    MILL_TRY(mill_cli_table_read(given.reference, &options, &table, err));
    int rc = simulate(&table, &result, err);
    mill_cli_table_clear(&table);
    if (rc == MILL_OK) {
        write_result(&result, cli->json, out);
    }
    return rc;
}

int mill_cli_drift_simulate(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    int status = 0;

    given.options.bins = "quantile:10+atoms";
    given.options.break_points = MILL_PROFILE_BREAKS_DEFAULT;
    given.evaluations = 1000;
    given.seed = 1;
    if (!mill_cli_parse(&simulate_command, argc, argv, &cli, &status)) {
        return status;
    }
    if (given.reference == NULL) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "expected a file of rows; hint: --reference R.csv");
    }
    mill_arena_init(&given.options.arena, 0);
    status = run(&cli, &out, &err) < 0 ? mill_cli_fail(&cli, &err) : mill_cli_write(&out);
    mill_buffer_clear(&out);
    mill_arena_clear(&given.options.arena);
    return status;
}
