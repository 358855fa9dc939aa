/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer and the reader of profile files agree on; the format is told in profile_write.c. */
#ifndef MILL_DRIFT_PROFILE_FORMAT_INTERNAL_H
#define MILL_DRIFT_PROFILE_FORMAT_INTERNAL_H

#define MILL__PROFILE_MAGIC "MILLPROF"
enum {
    MILL__PROFILE_MAGIC_SIZE = 8,
    MILL__PROFILE_VERSION = 1,
    MILL__PROFILE_FIXED = 6,             /* doubles of a numeric feature */
    MILL__PROFILE_FEATURES_MAX = 1 << 16 /* more is damage */
};

#endif
