/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: read, replace atomically, make directories. Cold paths only. Any thread. */
#ifndef MILL_BASE_FILE_H
#define MILL_BASE_FILE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the whole file to *out. A file larger than size_max is MILL_ERESOURCE, a missing one
 * MILL_ENOINPUT. path "-" reads standard input. */
int mill_file_read(const char *path, size_t size_max, struct mill_buffer *out, struct mill_error *err) MILL_MUST_CHECK;
/* Writes to a temporary file beside path and renames it, so that readers see the old or the new. */
int mill_file_replace(const char *path, struct mill_slice bytes, struct mill_error *err) MILL_MUST_CHECK;
/* mkdir -p, mode 0777 less umask. */
int mill_file_make_dirs(const char *path, struct mill_error *err) MILL_MUST_CHECK;
/* `name` relative to the directory that holds `base_file`; an absolute name is copied. out is reset. */
void mill_file_beside(const char *base_file, const char *name, struct mill_buffer *out);

#endif
