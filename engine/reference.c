/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles made of the stream; see reference_internal.h. */
#include "engine/reference_internal.h"

#include <stdlib.h>

void mill__references_init(struct mill__references *references, uint32_t count)
{
    references->count = count;
    references->at = mill_calloc(count, sizeof(*references->at));
}

void mill__references_clear(struct mill__references *references)
{
    for (uint32_t m = 0; m < references->count; m++) {
        mill_profile_free(atomic_load(&references->at[m]));
    }
    free(references->at);
    *references = (struct mill__references){0};
}

const struct mill_profile *mill__reference_of(struct mill__references *references, const struct mill__plan *plan,
                                              uint32_t monitor)
{
    const struct mill_profile *loaded = plan->monitors[monitor].profile;
    return loaded != NULL ? loaded : atomic_load_explicit(&references->at[monitor], memory_order_acquire);
}

int mill__reference_offer(struct mill__references *references, uint32_t monitor, struct mill_slice bytes,
                          struct mill_error *err)
{
    struct mill_profile *profile, *none = NULL;

    MILL_TRY(mill_profile_read(bytes, &profile, err));
    if (!atomic_compare_exchange_strong(&references->at[monitor], &none, profile)) {
        mill_profile_free(profile);
    }
    return MILL_OK;
}
