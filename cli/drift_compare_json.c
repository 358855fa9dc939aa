/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as JSON. Values that are not defined are null. */
#include <math.h>

#include "cli/drift.h"

static void number(struct mill_json_writer *w, const char *key, double value)
{
    mill_json_write_key(w, key);
    if (isnan(value)) {
        mill_json_write_null(w);
    } else {
        mill_json_write_double(w, value);
    }
}

static void text(struct mill_json_writer *w, const char *key, const char *value)
{
    mill_json_write_key(w, key);
    if (value == NULL) {
        mill_json_write_null(w);
    } else {
        mill_json_write_cstr(w, value);
    }
}

static void integer(struct mill_json_writer *w, const char *key, uint64_t value)
{
    mill_json_write_key(w, key);
    mill_json_write_int64(w, (int64_t)value);
}

static void begin(struct mill_json_writer *w, const char *key)
{
    mill_json_write_key(w, key);
    mill_json_write_object_begin(w);
}

static void pair(struct mill_json_writer *w, const char *key, double reference, double current)
{
    begin(w, key);
    number(w, "reference", reference);
    number(w, "current", current);
    mill_json_write_object_end(w);
}

static void write_numeric(struct mill_json_writer *w, const struct mill_cli_comparison *c)
{
    const struct mill_drift_result *r = c->result;

    begin(w, "ks");
    number(w, "statistic", r->ks.statistic);
    number(w, "pvalue", r->ks_pvalue);
    number(w, "qvalue", r->ks_qvalue);
    number(w, "location", r->ks.location);
    mill_json_write_key(w, "sign");
    mill_json_write_int64(w, r->ks.sign);
    mill_json_write_object_end(w);
    number(w, "psi", r->psi);
    number(w, "psi_article", r->psi_density);
    number(w, "wasserstein", c->wasserstein);
    number(w, "wasserstein_normed", c->wasserstein / r->feature->stddev);
    number(w, "jensen_shannon", r->jensen_shannon);
    number(w, "hellinger", r->hellinger);
    number(w, "total_variation", r->total_variation);
    pair(w, "mean", r->feature->mean, r->mean);
    pair(w, "stddev", r->feature->stddev, r->stddev);
    pair(w, "out_of_range_share", r->out_of_range_reference, r->out_of_range_current);
}

static void write_categorical(struct mill_json_writer *w, const struct mill_drift_result *r)
{
    begin(w, "chi2");
    number(w, "statistic", r->chi2.statistic);
    number(w, "pvalue", r->chi2.pvalue);
    number(w, "qvalue", r->ks_qvalue);
    integer(w, "dof", r->chi2.dof);
    mill_json_write_object_end(w);
    number(w, "g", r->g.statistic);
    number(w, "g_pvalue", r->g.pvalue);
    number(w, "psi", r->psi);
    number(w, "jensen_shannon", r->jensen_shannon);
    number(w, "hellinger", r->hellinger);
    number(w, "total_variation", r->total_variation);
    number(w, "unseen_share", r->unseen_share);
}

static void write_conditions(struct mill_json_writer *w, const struct mill_cli_comparison *c)
{
    mill_json_write_key(w, "conditions");
    mill_json_write_array_begin(w);
    for (unsigned i = 0; i < MILL_CONDITION_COUNT; i++) {
        if ((c->result->conditions & (1u << i)) != 0 && (1u << i) != MILL_CONDITION_APPROXIMATE) {
            mill_json_write_cstr(w, mill_drift_condition_name((enum mill_drift_condition)(1u << i)));
        }
    }
    if (c->current == NULL) {
        mill_json_write_cstr(w, "missing_column");
    }
    if (c->type_changed) {
        mill_json_write_cstr(w, "type_changed");
    }
    mill_json_write_array_end(w);
}

static void write_feature(struct mill_json_writer *w, const struct mill_cli_comparison *c)
{
    const struct mill_drift_result *r = c->result;
    char verdict[96];

    begin(w, c->reference->name);
    text(w, "type", r->feature->kind == MILL_DRIFT_NUMERIC ? "numeric" : "categorical");
    text(w, "severity", mill_severity_name(r->severity));
    text(w, "verdict", mill_cli_drift_verdict(r, verdict, sizeof(verdict)));
    text(w, "reason", r->reason);
    if (r->reason != NULL) {
        number(w, "value", r->value);
        number(w, "threshold", r->threshold);
    }
    write_conditions(w, c);
    begin(w, "count");
    integer(w, "reference", r->feature->row_count - r->feature->null_count);
    integer(w, "current", r->row_count - r->null_count);
    mill_json_write_object_end(w);
    pair(w, "null_share", r->null_share_reference, r->null_share_current);
    if (r->feature->kind == MILL_DRIFT_NUMERIC) {
        write_numeric(w, c);
    } else {
        write_categorical(w, r);
    }
    mill_json_write_object_end(w);
}

static void write_file(struct mill_json_writer *w, const char *key, const char *path,
                       const struct mill_cli_table *table)
{
    begin(w, key);
    text(w, "path", path);
    integer(w, "rows", table->row_count);
    mill_json_write_object_end(w);
}

void mill_cli_compare_write_json(const struct mill_cli_comparisons *all, struct mill_buffer *out)
{
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, true);
    mill_json_write_object_begin(&w);
    write_file(&w, "reference", all->reference_path, all->reference);
    write_file(&w, "current", all->current_path, all->current);
    text(&w, "rule", all->rule);
    text(&w, "severity", mill_severity_name(all->report->severity));
    text(&w, "verdict",
         all->report->severity == MILL_SEVERITY_NONE    ? "stable"
         : all->report->severity == MILL_SEVERITY_MINOR ? "minor drift"
                                                        : "major drift");
    mill_json_write_key(&w, "extra_columns");
    mill_json_write_array_begin(&w);
    for (uint32_t i = 0; i < all->extra_count; i++) {
        mill_json_write_cstr(&w, all->extra[i]);
    }
    mill_json_write_array_end(&w);
    begin(&w, "features");
    for (uint32_t i = 0; i < all->count; i++) {
        write_feature(&w, &all->at[i]);
    }
    mill_json_write_object_end(&w);
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(out, '\n');
}
