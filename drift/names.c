/* SPDX-License-Identifier: Apache-2.0 */
/* The words of reports, alerts and triggers. */
#include "base/error.h"
#include "drift/drift.h"

const char *mill_severity_name(enum mill_severity severity)
{
    static const char *const names[] = {"none", "minor", "major"};
    mill_assert((unsigned)severity < 3);
    return names[severity];
}

const char *mill_alert_status_name(enum mill_alert_status status)
{
    static const char *const names[] = {"firing", "escalated", "deescalated", "resolved"};
    mill_assert((unsigned)status < 4);
    return names[status];
}

const char *mill_trigger_reason_name(enum mill_trigger_reason reason)
{
    static const char *const names[] = {"drift", "performance", "data_quality", "schedule", "manual"};
    mill_assert((unsigned)reason < 5);
    return names[reason];
}

const char *mill_drift_condition_name(enum mill_drift_condition condition)
{
    static const char *const names[MILL_CONDITION_COUNT] = {
        "too_few_samples", "all_null",    "reference_empty", "reference_constant",
        "infinite",        "approximate", "uncalibrated",    "reference_too_few",
    };
    unsigned bit = (unsigned)__builtin_ctz((unsigned)condition | 1U << 31);
    mill_assert(bit < MILL_CONDITION_COUNT && (unsigned)condition == 1U << bit);
    return names[bit];
}

void mill_drift_segment_name(const struct mill_profile *profile, uint32_t segment, struct mill_buffer *out)
{
    if (segment == UINT32_MAX) {
        return;
    }
    mill_assert(segment <= profile->segment_count && profile->segment_by != NULL);
    mill_buffer_add_string(out, profile->segment_by);
    mill_buffer_add_byte(out, '=');
    if (segment == profile->segment_count) {
        mill_buffer_add_string(out, "(other)");
    } else {
        mill_buffer_add_slice(out, profile->segments[segment]);
    }
}
