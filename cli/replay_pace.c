/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of a replay; see replay_internal.h. */
#include "cli/replay_internal.h"

#include "base/clock.h"

enum { SLICE_MS = 50, ASK_AGAIN_MS = 5, KAFKA_TIMEOUT_MS = 30000, NO_EVENT_TIME = -1 };

/* Serves deliveries until the monotonic time is there. */
static int wait_until(const struct mill_pace *pace, struct mill_producer *producer, int64_t wanted_ns,
                      struct mill_error *err)
{
    for (;;) {
        int64_t left_ms = (wanted_ns - mill_clock_mono_ns()) / 1000000;
        if (left_ms <= 0 || *pace->stopped) {
            return MILL_OK;
        }
        MILL_TRY(mill_producer_poll(producer, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS, err));
    }
}

/* The most that one partition of the topic is ahead of what the group has committed. */
static int measure_ahead(const struct mill_pace *pace, const struct mill_pace_topic *topic, int64_t *ret_ahead,
                         struct mill_error *err)
{
    int64_t most = 0;
    for (int32_t p = 0; p < topic->partition_count; p++) {
        int64_t low, high, committed;
        MILL_TRY(mill_kafka_admin_watermarks(pace->admin, topic->name, p, KAFKA_TIMEOUT_MS, &low, &high, err));
        MILL_TRY(mill_kafka_admin_committed(pace->admin, topic->name, p, KAFKA_TIMEOUT_MS, &committed, err));
        int64_t read = committed < low ? low : committed;
        most = high - read > most ? high - read : most;
    }
    *ret_ahead = most;
    return MILL_OK;
}

/* All of a topic's records may land in one partition, so the budget is what the fullest one has room for. A quarter of
 * the room must be free again before sending goes on: asking for every record would be slower than the records. */
static int wait_for_group(struct mill_pace *pace, struct mill_producer *producer, struct mill_pace_topic *topic,
                          struct mill_error *err)
{
    int64_t ahead = 0;
    while (topic->budget <= 0 && !*pace->stopped) {
        int rc = mill_producer_flush(producer, KAFKA_TIMEOUT_MS, err);
        if (rc < 0 && rc != MILL_ERETRY) {
            return rc;
        }
        MILL_TRY(measure_ahead(pace, topic, &ahead, err));
        int64_t room = pace->ahead_max - ahead;
        if (rc == MILL_OK && room > 0 && room >= pace->ahead_max / 4) {
            topic->budget = room;
        } else {
            MILL_TRY(mill_producer_poll(producer, ASK_AGAIN_MS, err));
        }
    }
    topic->budget--;
    return MILL_OK;
}

int mill_pace_wait(struct mill_pace *pace, struct mill_producer *producer, uint32_t topic, uint64_t sent,
                   int64_t event_time_us, struct mill_error *err)
{
    if (!pace->has_started) {
        pace->has_started = true;
        pace->started_ns = mill_clock_mono_ns();
    }
    if (event_time_us != NO_EVENT_TIME && !pace->has_event) {
        pace->has_event = true;
        pace->first_event_us = event_time_us;
    }
    if (pace->rate > 0) {
        MILL_TRY(wait_until(pace, producer, pace->started_ns + (int64_t)((double)sent / pace->rate * 1e9), err));
    }
    if (pace->speed > 0 && event_time_us != NO_EVENT_TIME) {
        double seconds = (double)(event_time_us - pace->first_event_us) / 1e6 / pace->speed;
        MILL_TRY(wait_until(pace, producer, pace->started_ns + (int64_t)(seconds * 1e9), err));
    }
    return pace->ahead_max > 0 ? wait_for_group(pace, producer, &pace->topics[topic], err) : MILL_OK;
}
