/* SPDX-License-Identifier: Apache-2.0 */
/* How fast tidemill replay sends (replay_pace.c): by rate, by event time, or no further ahead of a group than told. */
#ifndef MILL_CLI_REPLAY_INTERNAL_H
#define MILL_CLI_REPLAY_INTERNAL_H

#include <signal.h>

#include "cli/cli_internal.h"

struct mill_pace_topic {
    const char *name;
    int32_t partition_count;
    int64_t budget; /* records that may still be sent before the group must be asked again */
};

struct mill_pace {
    double rate;       /* records a second; 0: no limit */
    double speed;      /* event-time seconds a second; 0: no limit */
    int64_t ahead_max; /* records of a partition that the group has not committed; 0: no limit */
    struct mill_kafka_admin *admin;
    struct mill_pace_topic *topics;
    uint32_t topic_count;
    const volatile sig_atomic_t *stopped;
    int64_t started_ns, first_event_us;
    bool has_started, has_event;
};

/* Waits until record number `sent` (from 0) with that event time may go to the topic; the producer's deliveries are
 * served meanwhile. Returns early where *stopped is set. */
int mill_pace_wait(struct mill_pace *pace, struct mill_producer *producer, uint32_t topic, uint64_t sent,
                   int64_t event_time_us, struct mill_error *err) MILL_MUST_CHECK;

#endif
