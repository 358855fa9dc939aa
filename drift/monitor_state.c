/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable state of a monitor: what was evaluated last and where alerts and triggers are; parts come again from
 * their topic. "MDMS", version, XXH3-64 of what follows, then: whose it is, profile, times, trigger, alerts that are
 * not at rest in ascending order. Bounded by the number of features and segments.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "drift/monitor_internal.h"

static const uint32_t MAGIC = 0x534d444dU; /* "MDMS" */
static const uint32_t VERSION = 1;
enum { HEAD_SIZE = 16 };

/* What may not change under a state. Thresholds may. */
static uint64_t owner_hash(const struct mill_drift_monitor *monitor)
{
    struct mill_buffer text = {0};
    const char *const names[] = {monitor->spec.project, monitor->spec.name, monitor->spec.model,
                                 monitor->spec.model_version};

    for (unsigned i = 0; i < 4; i++) {
        mill_buffer_add(&text, names[i], strlen(names[i]) + 1);
    }
    mill_buffer_add_zigzag(&text, monitor->spec.window_us);
    mill_buffer_add_zigzag(&text, monitor->spec.every_us);
    uint64_t hash = mill_hash64(text.p, text.n);
    mill_buffer_clear(&text);
    return hash;
}

static bool is_at_rest(const struct mill__alert_state *state)
{
    return state->severity == MILL_SEVERITY_NONE && state->above[0] == 0 && state->above[1] == 0 &&
           state->below[0] == 0 && state->below[1] == 0;
}

static void write_alert(const struct mill__alert_state *state, uint32_t index, struct mill_buffer *out)
{
    mill_buffer_add_varint(out, index);
    mill_buffer_add_byte(out, (unsigned char)state->severity);
    for (unsigned i = 0; i < 2; i++) {
        mill_buffer_add_varint(out, state->above[i]);
        mill_buffer_add_varint(out, state->below[i]);
    }
    mill_buffer_add_zigzag(out, state->since_us);
    mill_buffer_add_zigzag(out, state->said_us);
}

static void write_body(const struct mill_drift_monitor *monitor, struct mill_buffer *out)
{
    const struct mill__trigger_state *trigger = &monitor->trigger;
    uint64_t auc_bits;
    uint32_t count = 0;

    memcpy(&auc_bits, &monitor->auc_reference, sizeof(auc_bits));
    mill_buffer_add_u64(out, owner_hash(monitor));
    mill_buffer_add(out, monitor->profile == NULL ? "" : monitor->profile->sha256, monitor->profile == NULL ? 1 : 65);
    mill_buffer_add_zigzag(out, monitor->next_end_us);
    mill_buffer_add_zigzag(out, monitor->last_end_us);
    mill_buffer_add_varint(out, monitor->evaluations);
    mill_buffer_add_u64(out, auc_bits);
    mill_buffer_add_varint(out, trigger->streak);
    mill_buffer_add_zigzag(out, trigger->last_us);
    mill_buffer_add_zigzag(out, trigger->schedule_from_us);
    for (uint32_t i = 0; i < monitor->alert_count; i++) {
        count += !is_at_rest(&monitor->alerts[i]);
    }
    mill_buffer_add_varint(out, count);
    for (uint32_t i = 0; i < monitor->alert_count; i++) {
        if (!is_at_rest(&monitor->alerts[i])) {
            write_alert(&monitor->alerts[i], i, out);
        }
    }
}

void mill_drift_monitor_save(const struct mill_drift_monitor *monitor, struct mill_buffer *out)
{
    size_t begin = out->n;

    mill_buffer_add_u32(out, MAGIC);
    mill_buffer_add_u32(out, VERSION);
    mill_buffer_add_u64(out, 0);
    write_body(monitor, out);
    uint64_t checksum = mill_hash64(out->p + begin + HEAD_SIZE, out->n - begin - HEAD_SIZE);
    memcpy(out->p + begin + 8, &checksum, sizeof(checksum));
}

/* Times that nothing overflows on: not known, or less than 2^61 from 1970. */
static int64_t read_time(struct mill_cursor *cursor)
{
    int64_t us = mill_cursor_zigzag(cursor), limit = INT64_C(1) << 61;

    cursor->bad = cursor->bad || (us != INT64_MIN && (us < -limit || us > limit));
    return cursor->bad ? INT64_MIN : us;
}

static uint32_t read_u32(struct mill_cursor *cursor)
{
    uint64_t v = mill_cursor_varint(cursor);

    cursor->bad = cursor->bad || v > UINT32_MAX;
    return (uint32_t)v;
}

static void read_alerts(struct mill_cursor *cursor, struct mill__alert_state *alerts, uint32_t alert_count)
{
    uint64_t count = mill_cursor_varint(cursor), next = 0;

    for (uint64_t n = 0; n < count && !cursor->bad; n++) {
        uint64_t index = mill_cursor_varint(cursor);
        if (cursor->bad || index < next || index >= alert_count) {
            cursor->bad = true;
            return;
        }
        struct mill__alert_state *state = &alerts[index];
        uint8_t severity = mill_cursor_byte(cursor);
        for (unsigned i = 0; i < 2; i++) {
            state->above[i] = read_u32(cursor);
            state->below[i] = read_u32(cursor);
        }
        state->severity = severity <= MILL_SEVERITY_MAJOR ? (enum mill_severity)severity : MILL_SEVERITY_NONE;
        state->since_us = read_time(cursor);
        state->said_us = read_time(cursor);
        cursor->bad = cursor->bad || severity > MILL_SEVERITY_MAJOR || state->since_us == INT64_MIN ||
                      state->said_us == INT64_MIN;
        next = index + 1;
    }
}

static int check_head(struct mill_slice bytes, struct mill_error *err)
{
    struct mill_cursor cursor = mill_cursor_of(bytes);
    uint32_t magic = mill_cursor_u32(&cursor), version = mill_cursor_u32(&cursor);
    uint64_t checksum = mill_cursor_u64(&cursor);

    if (cursor.bad || magic != MAGIC) {
        return mill_fail(err, MILL_EDATA, "these bytes are not the state of a drift monitor");
    }
    if (version != VERSION) {
        return mill_fail(err, MILL_EDATA, "state of a drift monitor: expected version %u, found %u", VERSION, version);
    }
    if (checksum != mill_hash64(cursor.p, (size_t)(cursor.end - cursor.p))) {
        return mill_fail(err, MILL_EDATA, "state of a drift monitor is damaged: its checksum does not match");
    }
    return MILL_OK;
}

/* The state's profile must be the monitor's. */
static int check_owner(const struct mill_drift_monitor *monitor, struct mill_cursor *cursor, struct mill_error *err)
{
    const char *expected = monitor->profile == NULL ? "" : monitor->profile->sha256;
    uint64_t owner = mill_cursor_u64(cursor);
    const char *sha256 = cursor->p, *end = cursor->bad ? NULL : memchr(sha256, 0, (size_t)(cursor->end - sha256));

    if (owner != owner_hash(monitor) || end == NULL || end - sha256 > 64) {
        return mill_fail(err, MILL_EDATA, "state is not of drift monitor '%s' with its model, version and window",
                         monitor->spec.name);
    }
    if (strcmp(sha256, expected) != 0) {
        return mill_fail(err, MILL_EDATA, "state of drift monitor '%s' is of profile '%s', expected '%s'",
                         monitor->spec.name, sha256, expected);
    }
    cursor->p = end + 1;
    return MILL_OK;
}

int mill_drift_monitor_load(struct mill_drift_monitor *monitor, struct mill_slice bytes, struct mill_error *err)
{
    MILL_TRY(check_head(bytes, err));
    struct mill_cursor cursor = mill_cursor_of((struct mill_slice){bytes.p + HEAD_SIZE, bytes.n - HEAD_SIZE});
    MILL_TRY(check_owner(monitor, &cursor, err));
    int64_t next_end_us = read_time(&cursor), last_end_us = read_time(&cursor);
    uint64_t evaluations = mill_cursor_varint(&cursor), auc_bits = mill_cursor_u64(&cursor);
    struct mill__trigger_state trigger = {.streak = read_u32(&cursor)};
    trigger.last_us = read_time(&cursor);
    trigger.schedule_from_us = read_time(&cursor);
    struct mill__alert_state *alerts = mill_calloc((size_t)monitor->alert_count + 1, sizeof(*alerts));
    read_alerts(&cursor, alerts, monitor->alert_count);
    bool is_aligned = next_end_us == INT64_MIN || next_end_us % monitor->spec.every_us == 0;
    if (cursor.bad || cursor.p != cursor.end || !is_aligned) {
        free(alerts);
        return mill_fail(err, MILL_EDATA, "state of drift monitor '%s' is damaged", monitor->spec.name);
    }
    free(monitor->alerts);
    monitor->alerts = alerts;
    monitor->trigger = trigger;
    monitor->next_end_us = next_end_us;
    monitor->last_end_us = last_end_us;
    monitor->evaluations = evaluations;
    if (isnan(monitor->spec.rule.auc_reference)) {
        memcpy(&monitor->auc_reference, &auc_bits, sizeof(auc_bits));
    }
    return MILL_OK;
}
