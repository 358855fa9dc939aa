/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels through a run on files: what was joined and what the reports measure, against a naive join of scores.jsonl
 * with the labels that were written, and the definitions of the measures.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "stream_fixture.h"
#include "tests/base/random.h"

enum { EVENTS = 4000, LABELS_MAX = 2 * EVENTS };

static const int64_t BEGIN = INT64_C(1700006400) * MILL_US_PER_SECOND; /* 2023-11-15 */
static const int64_t HORIZON = 9 * MILL_US_PER_HOUR, EVERY = 3 * MILL_US_PER_HOUR, WINDOW = 12 * MILL_US_PER_HOUR;

static const char project_text[] =
    "project: shop\n"
    "engine: {batch_rows: 64}\n"
    "entities:\n"
    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
    "sources:\n"
    "  - name: events\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, user_id: string, ts: timestamp, amount: float64}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 10m\n"
    "  - name: verdicts\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, ts: timestamp, loss: float64}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 30m\n"
    "feature_views:\n"
    "  - name: user_stats\n"
    "    entities: [user]\n"
    "    source: events\n"
    "    features:\n"
    "      - {name: hour, expr: hour(ts)}\n"
    "      - {name: is_weekend, expr: \"day_of_week(ts) in (5, 6)\"}\n"
    "      - {name: amount_log, expr: log1p(amount)}\n"
    "      - {name: amount_half, expr: amount / 2}\n"
    "      - {name: amount_double, expr: amount * 2}\n"
    "    aggregations:\n"
    "      - {column: amount, function: [sum, mean], time_window: [1h, 24h]}\n"
    "feature_services:\n"
    "  - {name: fraud_v1, features: [{user_stats: [hour, is_weekend, amount_log, amount_sum_1h, amount_sum_24h, "
    "amount_mean_1h, amount_mean_24h, amount_half, amount_double]}]}\n"
    "models:\n"
    "  - {name: fraud, feature_service: fraud_v1, uri: \"file:${SHOP_MODEL}\", threshold: 0.4}\n"
    "monitors:\n"
    "  - model: fraud\n"
    "    window: 12h\n"
    "    every: 3h\n"
    "    features: [hour, amount_log]\n"
    "    reference: {from: 2023-11-15, to: 2023-11-15T12:00Z}\n"
    "    labels: {source: verdicts, key: order_id, label: loss > 10, horizon: 9h}\n"
    "    rule: {min_samples: 50, min_labelled: 100, auc_min: 0.55}\n";

struct verdict {
    int64_t order, us;
    double loss; /* NaN: null */
};
struct row {
    int64_t order, us, label_us; /* label_us INT64_MIN: none */
    double score;
    int label;
};
struct fixture {
    struct stream *stream;
    struct verdict *verdicts; /* in order of arrival */
    uint32_t verdict_count;
    struct row *rows; /* of scores.jsonl */
    uint32_t row_count;
};

static double unit(void)
{
    return (double)(random_u64() >> 11) * 0x1p-53;
}

static int set_up(void **state)
{
    static const char *const no_topics[] = {NULL};
    struct fixture *f = calloc(1, sizeof(*f));

    f->stream = stream_open(no_topics, 1);
    stream_write_model(f->stream);
    stream_write_project(f->stream, project_text);
    f->verdicts = calloc(LABELS_MAX, sizeof(*f->verdicts));
    f->rows = calloc(EVENTS, sizeof(*f->rows));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stream_close(f->stream);
    free(f->verdicts);
    free(f->rows);
    free(f);
    return 0;
}

static FILE *create(const struct fixture *f, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->stream->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

static const char *time_text(int64_t us, char text[static 40])
{
    text[mill_timestamp_print(us, text)] = 0;
    return text;
}

/* An order a minute, late by up to nine of them; every 20th number comes twice. */
static void write_events(struct fixture *f)
{
    FILE *file = create(f, "events.jsonl");
    char text[40];

    for (int64_t i = 0; i < EVENTS; i++) {
        int64_t us = BEGIN + i * MILL_US_PER_MINUTE - (int64_t)random_below(540) * MILL_US_PER_SECOND;
        us = us < BEGIN ? BEGIN : us;
        fprintf(file, "{\"order_id\":%lld,\"user_id\":\"u%d\",\"ts\":\"%s\",\"amount\":%.2f}\n",
                (long long)(i % 20 == 19 ? i - 7 : i), (int)random_below(40), time_text(us, text),
                unit() * (double)(i < EVENTS / 2 ? 100 : 300));
    }
    fclose(file);
}

static int compare_verdicts(const void *a, const void *b)
{
    const struct verdict *x = a, *y = b;
    return (x->us > y->us) - (x->us < y->us);
}

/* Most orders get a verdict within the horizon, some later, some a second one, some none, some null. */
static void write_verdicts(struct fixture *f)
{
    FILE *file = create(f, "verdicts.jsonl");
    char text[40];

    for (int64_t i = 0; i < EVENTS; i++) {
        for (uint32_t n = (uint32_t)random_below(8) == 0 ? 2 : random_below(10) > 0; n > 0; n--) {
            int64_t us = BEGIN + i * MILL_US_PER_MINUTE + (int64_t)random_below(10 * 3600) * MILL_US_PER_SECOND;
            f->verdicts[f->verdict_count++] =
                (struct verdict){i, us, random_below(30) == 0 ? (double)NAN : unit() * 20};
        }
    }
    qsort(f->verdicts, f->verdict_count, sizeof(*f->verdicts), compare_verdicts);
    for (uint32_t i = 0; i < f->verdict_count; i++) {
        const struct verdict *v = &f->verdicts[i];
        fprintf(file, "{\"order_id\":%lld,\"ts\":\"%s\",\"loss\":", (long long)v->order, time_text(v->us, text));
        fprintf(file, isnan(v->loss) ? "null}\n" : "%.17g}\n", v->loss);
    }
    fclose(file);
}

/* input_count 1: without the verdicts. */
static void run(const struct fixture *f, const char *out_name, unsigned batch_rows, uint32_t input_count)
{
    char batch[64], events[160], verdicts[160], out[160];
    const char *sets[] = {batch, NULL};
    struct mill_project_options project_options = {.offline = true, .sets = sets};
    struct mill_problems problems;
    struct mill_project *project;
    struct mill_offline_summary summary;
    struct mill_error err = {0};

    snprintf(batch, sizeof(batch), "engine.batch_rows=%u", batch_rows);
    snprintf(events, sizeof(events), "%s/events.jsonl", f->stream->dir);
    snprintf(verdicts, sizeof(verdicts), "%s/verdicts.jsonl", f->stream->dir);
    snprintf(out, sizeof(out), "%s/%s", f->stream->dir, out_name);
    if (mill_project_load(f->stream->project_file, &project_options, &project, &problems, &err) != MILL_OK) {
        fail_msg("%s", problems.count > 0 ? problems.at[0].message : err.msg);
    }
    mill_problems_clear(&problems);
    const struct mill_offline_input inputs[] = {{"events", events}, {"verdicts", verdicts}};
    struct mill_offline_options options = {.inputs = inputs, .input_count = input_count, .output_dir = out};
    assert_int_equal(mill_offline_run(project, &options, &summary, &err), MILL_OK);
    assert_int_equal(summary.scores, EVENTS);
    assert_int_equal(summary.dead_letters, 0);
    mill_project_free(project);
}

/* ------------------------------------------------------------------ reading back */

static void read_bytes(const struct fixture *f, const char *out, const char *name, struct mill_buffer *bytes)
{
    struct mill_error err;
    char path[192];

    snprintf(path, sizeof(path), "%s/%s/%s", f->stream->dir, out, name);
    assert_int_equal(mill_file_read(path, 1 << 28, bytes, &err), MILL_OK);
}

/* Lines as an array of objects. */
static json_t *read_lines(const struct fixture *f, const char *name)
{
    struct mill_buffer bytes = {0};
    json_t *lines = json_array();

    read_bytes(f, "out", name, &bytes);
    for (const char *p = bytes.p, *end = bytes.p + bytes.n; bytes.n > 0 && p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        json_t *line = json_loadb(p, (size_t)(stop - p), 0, NULL);
        assert_non_null(line);
        json_array_append_new(lines, line);
        p = stop + 1;
    }
    mill_buffer_clear(&bytes);
    return lines;
}

static int64_t time_of(const json_t *object, const char *name)
{
    int64_t us;
    assert_int_equal(mill_timestamp_parse(mill_slice_of(json_string_value(json_object_get(object, name))), &us),
                     MILL_OK);
    return us;
}

/* Scores with the first label within the horizon. The order is in the events, by offset. */
static void read_rows(struct fixture *f)
{
    json_t *lines = read_lines(f, "scores.jsonl");

    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        int64_t n = json_integer_value(json_object_get(line, "offset"));
        struct row *row = &f->rows[f->row_count++];
        *row = (struct row){.order = n % 20 == 19 ? n - 7 : n,
                            .us = time_of(line, "event_time"),
                            .label_us = INT64_MIN,
                            .score = json_number_value(json_object_get(line, "score"))};
        for (uint32_t v = 0; v < f->verdict_count && row->label_us == INT64_MIN; v++) {
            const struct verdict *verdict = &f->verdicts[v];
            if (verdict->order == row->order && !isnan(verdict->loss) && verdict->us >= row->us &&
                verdict->us <= row->us + HORIZON) {
                row->label_us = verdict->us;
                row->label = verdict->loss > 10;
            }
        }
    }
    json_decref(lines);
    assert_int_equal(f->row_count, EVENTS);
}

/* ------------------------------------------------------------------ tests */

/* An order may have two rows at one time. */
static const struct row *find_row(const struct fixture *f, const char *order, int64_t us, double score)
{
    for (uint32_t i = 0; i < f->row_count; i++) {
        if (f->rows[i].us == us && f->rows[i].score == score && f->rows[i].order == strtoll(order, NULL, 10)) {
            return &f->rows[i];
        }
    }
    return NULL;
}

/* Everything with a label that is certain by the end of the input, and nothing else. */
static void compare_labels(const struct fixture *f)
{
    json_t *lines = read_lines(f, "labels.jsonl");
    int64_t last_us = f->verdicts[f->verdict_count - 1].us - 30 * MILL_US_PER_MINUTE;
    uint32_t expected = 0;

    for (uint32_t i = 0; i < f->row_count; i++) {
        expected += f->rows[i].label_us != INT64_MIN && f->rows[i].label_us < last_us;
    }
    assert_true(expected > EVENTS / 2 && expected < EVENTS);
    assert_int_equal(json_array_size(lines), expected);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const struct row *row =
            find_row(f, json_string_value(json_object_get(line, "key")), time_of(line, "event_time"),
                     json_number_value(json_object_get(line, "score")));
        assert_non_null(row);
        assert_int_equal(time_of(line, "label_time"), row->label_us);
        assert_int_equal(json_integer_value(json_object_get(line, "label")), row->label);
    }
    json_decref(lines);
}

static double number(const json_t *performance, const char *name)
{
    const json_t *value = json_object_get(performance, name);
    return json_is_null(value) ? (double)NAN : json_number_value(value);
}

static bool is_in_window(int64_t us, int64_t end_us)
{
    return us != INT64_MIN && us >= end_us - WINDOW && us < end_us;
}

/* By the definitions, over the rows whose label came in the window. */
static void compare_performance(const struct fixture *f, const json_t *performance, int64_t end_us)
{
    double brier = 0, loss = 0, correct = 0, ordered = 0, pairs = 0;
    int64_t labelled = 0, scored = 0, positives = 0;

    for (uint32_t i = 0; i < f->row_count; i++) {
        const struct row *a = &f->rows[i];
        scored += is_in_window(a->us, end_us);
        if (!is_in_window(a->label_us, end_us)) {
            continue;
        }
        labelled++;
        positives += a->label;
        brier += (a->score - a->label) * (a->score - a->label);
        loss -= log(a->label == 1 ? a->score : 1 - a->score);
        correct += (a->score >= 0.4) == (a->label == 1);
        for (uint32_t k = 0; k < f->row_count && a->label == 1; k++) {
            const struct row *b = &f->rows[k];
            if (is_in_window(b->label_us, end_us) && b->label == 0) {
                ordered += a->score > b->score ? 1 : a->score == b->score ? 0.5 : 0;
                pairs++;
            }
        }
    }
    assert_int_equal(json_integer_value(json_object_get(performance, "scored")), scored);
    assert_int_equal(json_integer_value(json_object_get(performance, "labelled")), labelled);
    assert_int_equal(json_integer_value(json_object_get(performance, "positives")), positives);
    if (labelled == 0) {
        return;
    }
    assert_true(fabs(number(performance, "brier") - brier / (double)labelled) < 1e-12);
    assert_true(fabs(number(performance, "log_loss") - loss / (double)labelled) < 1e-12);
    assert_true(fabs(number(performance, "accuracy") - correct / (double)labelled) < 1e-12);
    assert_true(fabs(number(performance, "auc") - ordered / pairs) <= number(performance, "auc_error_max") + 1e-12);
}

static void compare_reports(const struct fixture *f)
{
    json_t *lines = read_lines(f, "drift_reports.jsonl");
    int64_t last_us = 0;
    uint32_t measured = 0;

    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i), *performance = json_object_get(line, "performance");
        int64_t end_us = time_of(json_object_get(line, "window"), "end");
        assert_true(end_us > last_us);
        last_us = end_us;
        compare_performance(f, performance, end_us);
        measured += json_integer_value(json_object_get(performance, "labelled")) >= 100;
    }
    /* Labels are measured beyond the last score, to the last whole pane of theirs. */
    assert_true(last_us > BEGIN + EVENTS * MILL_US_PER_MINUTE + EVERY);
    assert_true(measured > 15);
    json_decref(lines);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint32_t sort_lines(struct mill_buffer *bytes, char **lines, uint32_t capacity)
{
    uint32_t count = 0;

    mill_buffer_cstr(bytes);
    for (char *rest = bytes->p, *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;) {
        assert_true(count < capacity);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(*lines), compare_lines);
    return count;
}

/* Labels come batch by batch, so their order depends on the size of batches; nothing else does. */
static void compare_files(const struct fixture *f, const char *name)
{
    struct mill_buffer a = {0}, b = {0};
    char **lines[2] = {calloc(EVENTS, sizeof(char *)), calloc(EVENTS, sizeof(char *))};

    read_bytes(f, "out", name, &a);
    read_bytes(f, "other", name, &b);
    uint32_t count = sort_lines(&a, lines[0], EVENTS);
    assert_true(count > 0);
    assert_int_equal(sort_lines(&b, lines[1], EVENTS), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(lines[0][i], lines[1][i]);
    }
    free(lines[0]);
    free(lines[1]);
    mill_buffer_clear(&a);
    mill_buffer_clear(&b);
}

static void test_against_naive(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"drift_reports.jsonl", "alerts.jsonl", "labels.jsonl"};

    write_events(f);
    write_verdicts(f);
    run(f, "out", 64, 2);
    read_rows(f);
    compare_labels(f);
    compare_reports(f);
    run(f, "other", 1000, 2);
    for (unsigned i = 0; i < 3; i++) {
        compare_files(f, names[i]);
    }
}

/* By the definition of CBPE: a score is the chance that its label is 1. */
static void compare_estimates(const struct fixture *f, const json_t *performance, int64_t end_us)
{
    double brier = 0, correct = 0;
    int64_t scored = 0;

    for (uint32_t i = 0; i < f->row_count; i++) {
        double score = f->rows[i].score;
        if (is_in_window(f->rows[i].us, end_us)) {
            scored++;
            brier += score * (1 - score);
            correct += score >= 0.4 ? score : 1 - score;
        }
    }
    assert_true(scored > 100);
    assert_int_equal(json_integer_value(json_object_get(performance, "scored")), scored);
    assert_int_equal(json_integer_value(json_object_get(performance, "labelled")), 0);
    assert_true(json_is_null(json_object_get(performance, "auc")));
    assert_true(fabs(number(performance, "estimated_brier") - brier / (double)scored) < 1e-12);
    assert_true(fabs(number(performance, "estimated_accuracy") - correct / (double)scored) < 1e-12);
}

/* No file of labels: nothing waits for them. */
static void test_without_labels(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer labels = {0};

    write_events(f);
    run(f, "out", 64, 1);
    read_rows(f);
    json_t *lines = read_lines(f, "drift_reports.jsonl");
    assert_true(json_array_size(lines) > 10);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        compare_estimates(f, json_object_get(line, "performance"), time_of(json_object_get(line, "window"), "end"));
    }
    json_decref(lines);
    read_bytes(f, "out", "labels.jsonl", &labels);
    assert_int_equal(labels.n, 0);
    mill_buffer_clear(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_against_naive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_labels, set_up, tear_down),
    };
    random_seed("labels");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
