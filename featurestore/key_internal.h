/* SPDX-License-Identifier: Apache-2.0 */
/* Entity keys straight into memory of the caller: mill_view_prepare encodes the keys of a whole batch into its arena.
 */
#ifndef MILL_FEATURESTORE_KEY_INTERNAL_H
#define MILL_FEATURESTORE_KEY_INTERNAL_H

#include "featurestore/featurestore.h"

/* Bytes of the row's key; 0 where a part is null or the key is too long. A key never has 0 bytes. */
size_t mill__key_size(const struct mill_entity *entity, const struct mill_column *const *parts, uint32_t row);
/* Writes them, returns the end. */
char *mill__key_write(const struct mill_entity *entity, const struct mill_column *const *parts, uint32_t row, char *p);

#endif
