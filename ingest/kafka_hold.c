/* SPDX-License-Identifier: Apache-2.0 */
/* Records that wait in our memory before librdkafka gets them: a FIFO of copies in one run of bytes. Why they wait is
 * in kafka_producer.c, which alone calls this. */
#include "ingest/kafka_internal.h"

enum { NO_BYTES = UINT32_MAX }; /* length of a slice that is NULL, which Kafka tells from an empty one */

struct entry {
    uint32_t topic;
    int32_t partition;
    uint32_t key_n, value_n; /* their bytes follow */
};

static uint32_t length_of(struct mill_slice s)
{
    mill_assert(s.n < NO_BYTES);
    return s.p == NULL ? NO_BYTES : (uint32_t)s.n;
}

static struct mill_slice slice_at(const char **at, uint32_t n)
{
    struct mill_slice s = {NULL, 0};
    if (n != NO_BYTES) {
        s = (struct mill_slice){*at, n};
        *at += n;
    }
    return s;
}

void mill__hold_add(struct mill__hold *hold, const struct mill__held *record)
{
    struct entry entry = {record->topic, record->partition, length_of(record->key), length_of(record->value)};
    mill_buffer_add(&hold->bytes, &entry, sizeof(entry));
    mill_buffer_add_slice(&hold->bytes, record->key);
    mill_buffer_add_slice(&hold->bytes, record->value);
    hold->count++;
}

bool mill__hold_first(struct mill__hold *hold, struct mill__held *ret_record)
{
    struct entry entry;
    if (hold->count == 0) {
        return false;
    }
    const char *at = hold->bytes.p + hold->taken;
    memcpy(&entry, at, sizeof(entry));
    at += sizeof(entry);
    ret_record->topic = entry.topic;
    ret_record->partition = entry.partition;
    ret_record->key = slice_at(&at, entry.key_n);
    ret_record->value = slice_at(&at, entry.value_n);
    return true;
}

void mill__hold_drop(struct mill__hold *hold, const struct mill__held *record)
{
    hold->taken += sizeof(struct entry) + record->key.n + record->value.n;
    if (--hold->count == 0) {
        mill_buffer_reset(&hold->bytes);
        hold->taken = 0;
    }
}

void mill__hold_clear(struct mill__hold *hold)
{
    mill_buffer_clear(&hold->bytes);
    *hold = (struct mill__hold){0};
}
