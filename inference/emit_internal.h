/* SPDX-License-Identifier: Apache-2.0 */
/* The part of C emission that writes links. */
#ifndef MILL_INFERENCE_EMIT_INTERNAL_H
#define MILL_INFERENCE_EMIT_INTERNAL_H

#include "base/buffer.h"
#include "inference/forest_internal.h"

/* NAME_predict, in C. */
int mill__emit_link(const struct mill__forest *forest, const char *name, struct mill_buffer *out,
                    struct mill_error *err);

#endif
