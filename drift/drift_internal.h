/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of drift/ share about counts. See drift.h for slots. */
#ifndef MILL_DRIFT_INTERNAL_H
#define MILL_DRIFT_INTERNAL_H

#include "drift/statistics_internal.h"

/* Two-sample KS of a numeric feature's reference and current counts (feature->slot_count of them). location is a
 * break-point: where the difference is largest inside a gap, the one that ends the gap. current_total: sum of current.
 */
void mill__ks_of_slots(const struct mill_profile_feature *feature, const uint64_t *current, uint64_t current_total,
                       struct mill_ks *ret_ks);

#endif
