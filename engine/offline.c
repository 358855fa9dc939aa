/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline runs: files in, files out, through the same passes as the stream and without Kafka, Redis or RocksDB. Inputs
 * are merged by event time, each in its own order; equal times go by the order of the sources in the project.
 * Deterministic: the same files give the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/admit_internal.h"
#include "engine/encode_internal.h"
#include "engine/offline_drift_internal.h"
#include "engine/pass_internal.h"

enum { OUT_FLUSH_BYTES = 1 << 20 };

struct out_file {
    const char *path;
    int fd;
    struct mill_buffer buffer;
};

struct input {
    struct mill_file_source *file;
    struct mill__admission admission;
    struct mill__pass pass;
    bool at_end;
};

struct offline {
    const struct mill_project *project;
    const struct mill_offline_options *options;
    struct mill__plan *plan;
    struct mill__encoder *encoder;
    struct mill_view_table **tables;
    struct input *inputs; /* in the order of the project's sources */
    uint32_t input_count;
    struct out_file rows, scores, dead_letters; /* scores: of a run for vectors the vectors */
    struct mill__offline_drift *drift;          /* NULL: no monitors */
    struct out_file reports, alerts, triggers, labels;
    struct mill_offline_summary summary;
    struct mill__sink sink;
    int out_rc; /* first failure of a write, seen at the next batch */
    struct mill_error out_err;
};

static int out_open(struct out_file *out, const char *dir, const char *name, struct mill_arena *arena,
                    struct mill_error *err)
{
    out->path = mill_arena_printf(arena, "%s/%s", dir, name);
    out->fd = open(out->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd < 0) {
        return mill_fail(err, MILL_EIO, "cannot write '%s': %s", out->path, strerror(errno));
    }
    return MILL_OK;
}

static int out_flush(struct out_file *out, struct mill_error *err)
{
    for (size_t done = 0; done < out->buffer.n;) {
        ssize_t n = write(out->fd, out->buffer.p + done, out->buffer.n - done);
        if (n < 0 && errno != EINTR) {
            return mill_fail(err, MILL_EIO, "cannot write '%s': %s", out->path, strerror(errno));
        }
        done += n < 0 ? 0 : (size_t)n;
    }
    mill_buffer_reset(&out->buffer);
    return MILL_OK;
}

static void end_line(struct offline *o, struct out_file *out)
{
    mill_buffer_add_byte(&out->buffer, '\n');
    if (out->buffer.n >= OUT_FLUSH_BYTES && o->out_rc == MILL_OK) {
        o->out_rc = out_flush(out, &o->out_err);
    }
}

static void on_row(void *context, struct mill__pass *pass, uint32_t use, uint32_t row, bool newest)
{
    struct offline *o = context;

    (void)newest;
    mill__encode_row(o->encoder, pass->uses[use], pass->flow->source, &pass->batch, row, &o->rows.buffer);
    end_line(o, &o->rows);
    o->summary.rows++;
}

/* event_time,offset, then the service's features in order; empty where null. Strings are quoted. */
static void write_vector(struct offline *o, const struct mill__plan_model *model, const struct mill_batch *batch,
                         uint32_t row)
{
    struct mill_buffer *out = &o->scores.buffer;

    out->n += mill_timestamp_print(batch->event_time_us[row], mill_buffer_reserve(out, 32));
    mill_buffer_printf(out, ",%lld", (long long)batch->offset[row]);
    for (uint32_t f = 0; f < model->input.feature_count; f++) {
        const struct mill_column *column = &batch->columns[model->input.column[f]];
        mill_buffer_add_byte(out, ',');
        if (mill_bit_get(column->valid, row)) {
            mill__encode_value(column, row, out);
        }
    }
}

static void write_vector_header(struct offline *o)
{
    const struct mill_service_config *service = &o->project->services[o->plan->models[0].config->service];

    mill_buffer_add_string(&o->scores.buffer, "event_time,offset");
    for (uint32_t f = 0; f < service->feature_count; f++) {
        mill_buffer_printf(&o->scores.buffer, ",%s", service->features[f].name);
    }
    mill_buffer_add_byte(&o->scores.buffer, '\n');
}

static void on_score(void *context, struct mill__pass *pass, const struct mill__plan_model *model, uint32_t row,
                     const double *values)
{
    struct offline *o = context;

    if (model->model == NULL) {
        write_vector(o, model, &pass->batch, row);
    } else {
        mill__encode_score(o->encoder, model, &pass->batch, row, values, 0, &o->scores.buffer);
    }
    end_line(o, &o->scores);
    o->summary.scores++;
}

static void on_scored(void *context, struct mill__pass *pass, const struct mill__plan_model *model,
                      const struct mill_column *score, uint32_t from, uint32_t to)
{
    struct offline *o = context;

    if (o->drift != NULL) {
        mill__offline_drift_count(o->drift, model, &pass->batch, score, from, to);
    }
}

static void on_forward(void *context, struct mill__pass *pass, const struct mill__stage *stage, uint32_t row)
{
    (void)context;
    (void)pass;
    (void)stage;
    (void)row;
    mill_assert(!"offline runs have all stages in one pass");
}

static void write_rejects(struct offline *o, struct input *in)
{
    for (uint32_t i = 0; i < in->pass.rejects.count; i++) {
        const struct mill_reject *reject = &in->pass.rejects.at[i];
        struct mill__dead_letter letter = {
            .source = in->admission.source->spec.name,
            .offset = in->pass.batch.offset[reject->row],
            .reason = reject->reason,
            .detail = reject->detail,
            .value = mill_file_source_raw(in->file, reject->row),
        };
        mill__encode_dead_letter(o->encoder, &letter, &o->dead_letters.buffer);
        end_line(o, &o->dead_letters);
        o->summary.dead_letters++;
    }
}

static void report_progress(struct offline *o)
{
    uint64_t done = 0, total = 0;

    if (o->options->progress == NULL) {
        return;
    }
    for (uint32_t i = 0; i < o->input_count; i++) {
        uint64_t input_done, input_total;
        mill_file_source_progress(o->inputs[i].file, &input_done, &input_total);
        done += input_done;
        total += input_total;
    }
    o->options->progress(o->options->context, done, total, o->summary.events);
}

/* Reads batches until one has a live row or the file ends. */
static int load(struct offline *o, struct input *in, struct mill_error *err)
{
    while (!in->at_end && !mill__pass_has_rows(&in->pass)) {
        mill__pass_begin(&in->pass, o->project->engine.batch_rows);
        int rc = mill_file_source_next(in->file, &in->pass.batch, &in->pass.rejects, err);
        if (rc == MILL_EEND) {
            in->at_end = true;
            return MILL_OK;
        }
        MILL_TRY(rc);
        mill__admit(&in->admission, &in->pass.batch, &in->pass.rejects, in->pass.newest_before);
        mill__admission_log(&in->admission);
        write_rejects(o, in);
        o->summary.events += in->pass.batch.row_count;
        report_progress(o);
        mill__pass_prepare(&in->pass);
        mill__pass_skip_dead(&in->pass);
    }
    return MILL_OK;
}

static struct input *pick(struct offline *o)
{
    struct input *best = NULL;

    for (uint32_t i = 0; i < o->input_count; i++) {
        struct input *in = &o->inputs[i];
        if (mill__pass_has_rows(&in->pass) &&
            (best == NULL || mill__pass_head_time(&in->pass) < mill__pass_head_time(&best->pass))) {
            best = in;
        }
    }
    return best;
}

/* The earliest head of the other inputs, which bounds how far `in` may run; *ret_tie: it comes first at equal times. */
static int64_t rival_time(struct offline *o, const struct input *in, bool *ret_tie)
{
    int64_t rival = INT64_MAX;

    *ret_tie = true;
    for (uint32_t i = 0; i < o->input_count; i++) {
        struct input *other = &o->inputs[i];
        if (other != in && mill__pass_has_rows(&other->pass) && mill__pass_head_time(&other->pass) < rival) {
            rival = mill__pass_head_time(&other->pass);
            *ret_tie = in < other;
        }
    }
    return rival;
}

static int step_until(struct input *in, int64_t rival, bool tie, struct mill_error *err)
{
    do {
        MILL_TRY(mill__pass_step(&in->pass, err));
        mill__pass_skip_dead(&in->pass);
    } while (mill__pass_has_rows(&in->pass) &&
             (mill__pass_head_time(&in->pass) < rival || (tie && mill__pass_head_time(&in->pass) == rival)));
    return MILL_OK;
}

static int flush_drift(struct offline *o, struct mill_error *err)
{
    MILL_TRY(out_flush(&o->reports, err));
    MILL_TRY(out_flush(&o->alerts, err));
    MILL_TRY(out_flush(&o->triggers, err));
    return o->labels.fd < 0 ? MILL_OK : out_flush(&o->labels, err);
}

/* The whole batch has been stepped: all its events are up to the newest that was admitted. */
static int emit(struct offline *o, struct input *in, struct mill_error *err)
{
    mill__pass_emit(&in->pass, &o->sink);
    if (o->drift == NULL) {
        return MILL_OK;
    }
    mill__offline_drift_labels(o->drift, in->pass.flow->source, &in->pass.batch);
    mill__offline_drift_advance(o->drift, in->pass.flow->source, in->admission.newest_us);
    return flush_drift(o, err);
}

/* The next batch, or the end of the file. */
static int next(struct offline *o, struct input *in, struct mill_error *err)
{
    MILL_TRY(load(o, in, err));
    if (!in->at_end || o->drift == NULL) {
        return MILL_OK;
    }
    mill__offline_drift_end(o->drift, in->pass.flow->source);
    return flush_drift(o, err);
}

static int run(struct offline *o, struct mill_error *err)
{
    for (uint32_t i = 0; i < o->input_count; i++) {
        MILL_TRY(next(o, &o->inputs[i], err));
    }
    for (struct input *in = pick(o); in != NULL; in = pick(o)) {
        bool tie;
        int64_t rival = rival_time(o, in, &tie);
        MILL_TRY(step_until(in, rival, tie, err));
        if (!mill__pass_has_rows(&in->pass)) {
            MILL_TRY(emit(o, in, err));
            MILL_TRY(next(o, in, err));
        }
        if (o->out_rc < 0) {
            *err = o->out_err;
            return o->out_rc;
        }
    }
    for (uint32_t i = 0; i < o->input_count; i++) {
        struct mill__admission *admission = &o->inputs[i].admission;
        admission->warning_count = mill_null_watch_finish(admission->nulls, admission->warnings, 16);
        mill__admission_log(admission);
    }
    if (o->drift != NULL) {
        mill__offline_drift_log(o->drift);
    }
    MILL_TRY(out_flush(&o->rows, err));
    MILL_TRY(out_flush(&o->scores, err));
    return out_flush(&o->dead_letters, err);
}

static const char *input_path(const struct mill_offline_options *options, const char *source)
{
    for (uint32_t i = 0; i < options->input_count; i++) {
        if (strcmp(options->inputs[i].source, source) == 0) {
            return options->inputs[i].path;
        }
    }
    return NULL;
}

static int open_inputs(struct offline *o, struct mill_error *err)
{
    o->inputs = mill_calloc(o->project->source_count, sizeof(*o->inputs));
    for (uint32_t s = 0; s < o->project->source_count; s++) {
        const struct mill_source_config *source = &o->project->sources[s];
        const char *path = input_path(o->options, source->spec.name);
        if (path == NULL) {
            continue;
        }
        struct input *in = &o->inputs[o->input_count];
        MILL_TRY(mill_file_source_open(&source->spec, path, &in->file, err));
        mill__admission_init(&in->admission, source, INT64_MIN);
        mill__pass_init(&in->pass, o->plan, &o->plan->flows[s], 0, o->plan->flows[s].stage_count - 1, o->tables);
        o->input_count++;
    }
    return MILL_OK;
}

static int open_tables(struct offline *o, struct mill_error *err)
{
    o->tables = mill_calloc(o->project->view_count, sizeof(struct mill_view_table *));
    for (uint32_t v = 0; v < o->project->view_count; v++) {
        struct mill_view_table_options options = {.view_id = (uint16_t)v,
                                                  .entities_max = o->project->engine.entities_max};
        MILL_TRY(mill_view_table_open(o->plan->views[v], &options, &o->tables[v], err));
    }
    return MILL_OK;
}

static bool has_labels(const struct mill_project *project)
{
    bool any = false;

    for (uint32_t m = 0; m < project->monitor_count; m++) {
        any |= project->monitors[m].has_labels;
    }
    return any;
}

static int open_drift(struct offline *o, struct mill_error *err)
{
    const struct mill__offline_drift_lines lines = {&o->reports.buffer, &o->alerts.buffer, &o->triggers.buffer,
                                                    &o->labels.buffer};
    const char *dir = o->options->output_dir;

    if (o->plan->monitor_count == 0) {
        return MILL_OK;
    }
    MILL_TRY(out_open(&o->reports, dir, "drift_reports.jsonl", &o->plan->arena, err));
    MILL_TRY(out_open(&o->alerts, dir, "alerts.jsonl", &o->plan->arena, err));
    MILL_TRY(out_open(&o->triggers, dir, "retrain.jsonl", &o->plan->arena, err));
    if (has_labels(o->project)) {
        MILL_TRY(out_open(&o->labels, dir, "labels.jsonl", &o->plan->arena, err));
    }
    o->drift = mill__offline_drift_new(o->plan, &lines);
    for (uint32_t s = 0; s < o->project->source_count; s++) {
        if (input_path(o->options, o->project->sources[s].spec.name) == NULL) {
            mill__offline_drift_end(o->drift, s);
        }
    }
    return MILL_OK;
}

static int open_all(struct offline *o, struct mill_error *err)
{
    struct mill__plan_options options = {.vectors_of = o->options->vectors_of};

    MILL_TRY(mill__plan_open(o->project, &options, &o->plan, err));
    o->encoder = mill__encoder_new(o->plan, false);
    MILL_TRY(mill_file_make_dirs(o->options->output_dir, err));
    MILL_TRY(out_open(&o->rows, o->options->output_dir, "rows.jsonl", &o->plan->arena, err));
    const char *scores =
        options.vectors_of == NULL ? "scores.jsonl" : mill_arena_printf(&o->plan->arena, "%s.csv", options.vectors_of);
    MILL_TRY(out_open(&o->scores, o->options->output_dir, scores, &o->plan->arena, err));
    if (options.vectors_of != NULL) {
        write_vector_header(o);
    }
    MILL_TRY(out_open(&o->dead_letters, o->options->output_dir, "dead_letter.jsonl", &o->plan->arena, err));
    MILL_TRY(open_drift(o, err));
    MILL_TRY(open_tables(o, err));
    return open_inputs(o, err);
}

static void out_close(struct out_file *out)
{
    if (out->fd >= 0) {
        close(out->fd);
    }
    mill_buffer_clear(&out->buffer);
}

static void close_all(struct offline *o)
{
    for (uint32_t i = 0; i < o->input_count; i++) {
        mill_file_source_close(o->inputs[i].file);
        mill__admission_clear(&o->inputs[i].admission);
        mill__pass_clear(&o->inputs[i].pass);
    }
    free(o->inputs);
    for (uint32_t v = 0; o->tables != NULL && v < o->project->view_count; v++) {
        mill_view_table_close(o->tables[v]);
    }
    free(o->tables);
    out_close(&o->rows);
    out_close(&o->scores);
    out_close(&o->dead_letters);
    out_close(&o->reports);
    out_close(&o->alerts);
    out_close(&o->triggers);
    out_close(&o->labels);
    mill__offline_drift_free(o->drift);
    mill__encoder_free(o->encoder);
    mill__plan_close(o->plan);
}

int mill_offline_run(const struct mill_project *project, const struct mill_offline_options *options,
                     struct mill_offline_summary *ret_summary, struct mill_error *err)
{
    struct offline o = {
        .project = project,
        .options = options,
        .rows.fd = -1,
        .scores.fd = -1,
        .dead_letters.fd = -1,
        .reports.fd = -1,
        .alerts.fd = -1,
        .triggers.fd = -1,
        .labels.fd = -1,
    };
    int64_t wall_ns = mill_clock_mono_ns();
    int64_t cpu_ns = mill_clock_process_cpu_ns();

    o.sink = (struct mill__sink){
        .context = &o, .row = on_row, .score = on_score, .scored = on_scored, .forward = on_forward};
    int rc = open_all(&o, err);
    if (rc == MILL_OK) {
        rc = run(&o, err);
    }
    close_all(&o);
    if (rc == MILL_OK) {
        o.summary.wall_ns = mill_clock_mono_ns() - wall_ns;
        o.summary.cpu_ns = mill_clock_process_cpu_ns() - cpu_ns;
        *ret_summary = o.summary;
    }
    return rc;
}
