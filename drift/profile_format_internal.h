/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer and the reader of profile files agree on; the format is told in profile_write.c. */
#ifndef MILL_DRIFT_PROFILE_FORMAT_INTERNAL_H
#define MILL_DRIFT_PROFILE_FORMAT_INTERNAL_H

#include "drift/drift.h"

#define MILL__PROFILE_MAGIC "MILLPROF"
enum {
    MILL__PROFILE_MAGIC_SIZE = 8,
    MILL__PROFILE_VERSION = 2,
    MILL__BREAKS_MAX = 2 * MILL_PROFILE_BREAKS_MAX - 1,
    MILL__PROFILE_FIXED = 6,             /* doubles of a numeric feature */
    MILL__PROFILE_FEATURES_MAX = 1 << 16 /* more is damage */
};

/* How many of something of at least size_min bytes each; 0 and bad where there is no room for them. */
uint32_t mill__profile_take_count(struct mill_cursor *cursor, size_t size_min, uint32_t count_max);
/* feature->segments; count: of segments, all others among them; rows: of each. Everything else of the feature is there.
 */
void mill__profile_take_segments(struct mill_cursor *cursor, struct mill_arena *arena, const uint64_t *rows,
                                 uint32_t count, struct mill_profile_feature *feature);

#endif
