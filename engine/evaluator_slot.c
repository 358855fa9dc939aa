/* SPDX-License-Identifier: Apache-2.0 */
/* What an evaluator knows of one partition of the panes topic; see evaluator_internal.h. Evaluator thread. */
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"
#include "engine/engine_internal.h"

/* ------------------------------------------------------------------------------------------------
 * Keys: fields with '|' between
 * --------------------------------------------------------------------------------------------- */

const char *const mill__part_names[MILL_PART_KIND_COUNT] = {
    [MILL_PART_COUNTS] = "p", [MILL_PART_SCORES] = "e", [MILL_PART_OUTCOMES] = "o"};

struct pane_key {
    struct mill_slice monitor, kind, topic;
    int64_t partition, start_us, part;
};

static struct mill_slice next_field(struct mill_slice *rest)
{
    const char *bar = rest->n == 0 ? NULL : memchr(rest->p, '|', rest->n);
    struct mill_slice field = {rest->p, bar == NULL ? rest->n : (size_t)(bar - rest->p)};

    rest->p += field.n + (bar != NULL);
    rest->n -= field.n + (bar != NULL);
    return field;
}

static int64_t next_number(struct mill_slice *rest)
{
    struct mill_slice field = next_field(rest);
    int64_t value;

    return field.n > 0 && mill_number_parse_int64(field.p, field.p + field.n, &value) == field.p + field.n ? value : -1;
}

static struct pane_key parse_key(struct mill_slice text)
{
    struct pane_key key = {0};

    key.monitor = next_field(&text);
    key.kind = next_field(&text);
    key.topic = next_field(&text);
    key.partition = next_number(&text);
    key.start_us = next_number(&text);
    key.part = next_number(&text);
    return key;
}

/* The contributor of that topic and partition; false where the plan has none such. */
static bool find_contributor(const struct mill__watch *watch, const struct pane_key *key, uint32_t *ret_contributor)
{
    const struct mill__plan_monitor *monitor = watch->plan;

    for (uint32_t s = 0; s < monitor->stage_count && key->partition <= INT32_MAX; s++) {
        if (mill_slice_is(key->topic, monitor->stages[s]->topic)) {
            return mill__monitor_contributor(monitor, monitor->stages[s], (int32_t)key->partition, ret_contributor);
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Records
 * --------------------------------------------------------------------------------------------- */

static int64_t furthest(const struct mill__watch *watch, uint32_t count)
{
    int64_t most_us = INT64_MIN;

    for (uint32_t i = 0; i < count; i++) {
        most_us = watch->progress_us[i] > most_us ? watch->progress_us[i] : most_us;
    }
    return most_us;
}

/* Those that sleep count as far as the furthest. Only partitions of the source say that they sleep. A later stage
 * sleeps where all of those do and it has come as far; what joins labels goes on with the labels. */
static void pass_on_progress(struct mill__watch *watch)
{
    const struct mill__plan_monitor *plan = watch->plan;
    uint32_t sources = plan->stage_partitions[0], last = plan->contributor_count;
    int64_t source_us = furthest(watch, sources), most_us = furthest(watch, last);
    bool all_sleep = true;

    last -= plan->join != NULL ? plan->stage_partitions[plan->stage_count - 1] : 0;
    for (uint32_t i = 0; i < sources; i++) {
        all_sleep &= watch->is_idle[i];
    }
    for (uint32_t i = 0; i < plan->contributor_count; i++) {
        int64_t us = watch->progress_us[i];
        bool sleeps = watch->is_idle[i] || (all_sleep && i < last && us >= source_us);
        mill_drift_monitor_progress(watch->monitor, i, sleeps ? most_us : us);
    }
    watch->has_news = true;
}

static void take_progress(struct mill__watch *watch, uint32_t contributor, struct mill_slice value)
{
    struct mill_cursor c = mill_cursor_of(value);
    int64_t watermark_us = mill_cursor_zigzag(&c);
    bool is_idle = mill_cursor_byte(&c) != 0;

    if (!c.bad) {
        int64_t *at = &watch->progress_us[contributor];
        *at = watermark_us > *at ? watermark_us : *at;
        watch->is_idle[contributor] = is_idle;
    }
}

static void take_part(struct mill__watch *watch, enum mill_part_kind kind, uint32_t contributor,
                      const struct pane_key *key, struct mill_slice value)
{
    struct mill_drift_part part = {.start_us = key->start_us, .part = (uint32_t)key->part, .bytes = value};
    struct mill_error err;

    if (key->part >= 0 && mill_drift_monitor_part(watch->monitor, kind, contributor, &part, &err) < 0) {
        mill_log(MILL_LOG_DEBUG, "drift", "monitor '%s': a part is passed over: %s", watch->plan->spec.name, err.msg);
    }
}

static void take(struct mill__watch *watch, const struct pane_key *key, struct mill_slice value)
{
    uint32_t contributor;

    if (value.p != NULL && mill_slice_is(key->kind, "m")) {
        watch->is_asked = watch->has_news = true;
    }
    if (value.p == NULL || !find_contributor(watch, key, &contributor)) {
        return;
    }
    if (mill_slice_is(key->kind, "w")) {
        take_progress(watch, contributor, value);
    }
    for (unsigned kind = 0; kind < MILL_PART_KIND_COUNT; kind++) {
        if (mill_slice_is(key->kind, mill__part_names[kind])) {
            take_part(watch, (enum mill_part_kind)kind, contributor, key, value);
        }
    }
}

static struct mill__watch *find_watch(struct mill__slot *slot, struct mill_slice monitor)
{
    for (uint32_t i = 0; i < slot->watch_count; i++) {
        if (mill_slice_is(monitor, slot->watches[i].plan->spec.name)) {
            return &slot->watches[i];
        }
    }
    return NULL;
}

static struct mill_slice keep(struct mill__slot *slot, struct mill_slice bytes)
{
    if (bytes.p == NULL) {
        return bytes;
    }
    return (struct mill_slice){mill_arena_strndup(&slot->arena, bytes.p, bytes.n), bytes.n};
}

static void remember(struct mill__slot *slot, struct mill_slice key, struct mill_slice value)
{
    if (slot->record_count == slot->record_capacity) {
        slot->record_capacity = slot->record_capacity == 0 ? 256 : slot->record_capacity * 2;
        slot->records = mill_realloc(slot->records, slot->record_capacity * sizeof(*slot->records));
    }
    slot->records[slot->record_count] =
        (struct mill__pane_record){keep(slot, key), keep(slot, value), slot->record_count};
    slot->record_count++;
}

void mill__slot_take(struct mill__slot *slot, struct mill_slice key, struct mill_slice value)
{
    struct pane_key parsed = parse_key(key);
    struct mill__watch *watch = find_watch(slot, parsed.monitor);

    if (watch == NULL) {
        return; /* of a monitor that is no longer in the project */
    }
    if (!slot->is_restored) {
        remember(slot, key, value);
        return;
    }
    take(watch, &parsed, value);
    if (mill_slice_is(parsed.kind, "w")) {
        pass_on_progress(watch);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Restoring
 * --------------------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
    const struct mill__pane_record *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int order = memcmp(x->key.p, y->key.p, n);

    if (order == 0 && x->key.n != y->key.n) {
        order = x->key.n < y->key.n ? -1 : 1;
    }
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static bool is_last_of_key(const struct mill__slot *slot, uint32_t i)
{
    return i + 1 == slot->record_count || !mill_slice_equal(slot->records[i].key, slot->records[i + 1].key);
}

/* The state of the last window. A process that was thought dead may have written an older one behind it. */
static struct mill_slice find_state(const struct mill__slot *slot, struct mill__watch *watch)
{
    struct mill_slice best = {0};

    for (uint32_t i = 0; i < slot->record_count; i++) {
        struct pane_key key = parse_key(slot->records[i].key);
        struct mill_cursor c = mill_cursor_of(slot->records[i].value);
        if (!mill_slice_is(key.kind, "s") || !mill_slice_is(key.monitor, watch->plan->spec.name) || c.p == NULL) {
            continue;
        }
        int64_t end_us = mill_cursor_zigzag(&c);
        if (!c.bad && end_us >= watch->evaluated_us) {
            watch->evaluated_us = end_us;
            best = (struct mill_slice){c.p, (size_t)(c.end - c.p)};
        }
    }
    return best;
}

static void open_watch(struct mill__slot *slot, struct mill__watch *watch)
{
    struct mill_engine *engine = watch->evaluator->engine;
    const struct mill_profile *profile = mill__reference_of(&engine->references, watch->evaluator->plan, watch->number);
    struct mill_slice state = find_state(slot, watch);
    struct mill_error err;

    watch->monitor = mill_drift_monitor_new(&watch->plan->spec, profile, watch->plan->contributor_count);
    if (state.p != NULL && mill_drift_monitor_load(watch->monitor, state, &err) < 0) {
        mill_log(MILL_LOG_WARNING, "drift", "monitor '%s' begins anew, what it had said is of another definition: %s",
                 watch->plan->spec.name, err.msg);
        mill_drift_monitor_free(watch->monitor);
        watch->monitor = mill_drift_monitor_new(&watch->plan->spec, profile, watch->plan->contributor_count);
    }
}

static void put_firing(void *context, const struct mill_drift_alert *alert)
{
    mill__alertmanager_put(context, alert);
}

/* What fired before is said from here on by this process. */
static void open_alertmanager(struct mill__watch *watch)
{
    const char *labels[] = {"monitor", watch->plan->spec.name, NULL};
    struct mill__alertmanager_options options = {.url = watch->plan->config->alertmanager,
                                                 .project = watch->plan->spec.project};
    struct mill_error err;

    if (options.url == NULL) {
        return;
    }
    options.failures = mill_metrics_counter(watch->evaluator->engine->metrics, "drift_alertmanager_failures_total",
                                            "Times that Alertmanager did not take what fires.", labels);
    int rc = mill__alertmanager_open(&options, &watch->alertmanager, &err);
    mill_assert(rc == MILL_OK); /* the project file was checked */
    mill_drift_monitor_each_firing(watch->monitor, put_firing, watch->alertmanager);
}

void mill__slot_restore(struct mill__slot *slot)
{
    if (slot->record_count > 0) {
        qsort(slot->records, slot->record_count, sizeof(*slot->records), compare_records);
    }
    for (uint32_t i = 0; i < slot->watch_count; i++) {
        open_watch(slot, &slot->watches[i]);
    }
    for (uint32_t i = 0; i < slot->record_count; i++) {
        struct pane_key key = parse_key(slot->records[i].key);
        if (is_last_of_key(slot, i)) {
            take(find_watch(slot, key.monitor), &key, slot->records[i].value);
        }
    }
    for (uint32_t i = 0; i < slot->watch_count; i++) {
        pass_on_progress(&slot->watches[i]);
        open_alertmanager(&slot->watches[i]);
    }
    slot->is_restored = true;
    slot->record_count = 0;
    mill_arena_reset(&slot->arena);
}

struct mill__slot *mill__slot_new(struct mill__evaluator *evaluator, struct mill_partition *partition, int32_t number,
                                  int64_t end_offset)
{
    const struct mill__plan *plan = evaluator->plan;
    struct mill__slot *slot = mill_calloc(1, sizeof(*slot));

    slot->evaluator = evaluator;
    slot->partition = partition;
    slot->number = number;
    slot->end_offset = end_offset;
    mill_arena_init(&slot->arena, 0);
    slot->watches = mill_calloc(plan->monitor_count, sizeof(*slot->watches));
    for (uint32_t m = 0; m < plan->monitor_count; m++) {
        const struct mill__plan_monitor *monitor = &plan->monitors[m];
        if (mill__panes_partition(evaluator->engine, monitor->spec.name) != number) {
            continue;
        }
        struct mill__watch *watch = &slot->watches[slot->watch_count++];
        *watch = (struct mill__watch){.evaluator = evaluator, .plan = monitor, .number = m, .evaluated_us = INT64_MIN};
        watch->progress_us = mill_calloc(monitor->contributor_count, sizeof(*watch->progress_us));
        watch->is_idle = mill_calloc(monitor->contributor_count, sizeof(*watch->is_idle));
        for (uint32_t i = 0; i < monitor->contributor_count; i++) {
            watch->progress_us[i] = INT64_MIN;
        }
    }
    return slot;
}

void mill__slot_free(struct mill__slot *slot)
{
    for (uint32_t i = 0; i < slot->watch_count; i++) {
        mill__drift_metrics_unset(slot->evaluator->metrics, slot->watches[i].plan->spec.name);
        mill__alertmanager_close(slot->watches[i].alertmanager);
        mill_drift_monitor_free(slot->watches[i].monitor);
        free(slot->watches[i].progress_us);
        free(slot->watches[i].is_idle);
    }
    free(slot->watches);
    free(slot->records);
    mill_arena_clear(&slot->arena);
    free(slot);
}
