/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles in memory: load, find, free. */
#include <stdlib.h>

#include "base/file.h"
#include "drift/profile_internal.h"

enum { FILE_SIZE_MAX = 1 << 30 };

int mill_profile_load(const char *path, struct mill_profile **ret_profile, struct mill_error *err)
{
    struct mill_buffer bytes = {0};
    int rc = mill_file_read(path, FILE_SIZE_MAX, &bytes, err);

    if (rc == MILL_OK) {
        rc = mill_profile_read(mill_buffer_slice(&bytes), ret_profile, err);
        if (rc < 0) {
            mill_error_prefix(err, "'%s'", path);
        }
    }
    mill_buffer_clear(&bytes);
    return rc;
}

void mill_profile_free(struct mill_profile *profile)
{
    if (profile != NULL) {
        mill_arena_clear(&profile->arena);
        free(profile);
    }
}

int mill_profile_find(const struct mill_profile *profile, const char *name)
{
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        if (strcmp(profile->features[f].name, name) == 0) {
            return (int)f;
        }
    }
    return -1;
}
