/* SPDX-License-Identifier: Apache-2.0 */
/* Server, inside: the pages (pages.c), told apart from the HTTP library (http.c). */
#ifndef MILL_SERVER_INTERNAL_H
#define MILL_SERVER_INTERNAL_H

#include "base/buffer.h"
#include "base/slice.h"
#include "server/server.h"

/* One page: fills the body and returns the HTTP status. Called on the server's thread. */
struct mill__page {
    const char *path, *content_type;
    unsigned (*render)(const struct mill_server_options *options, struct mill_buffer *body);
};

extern const struct mill__page mill__pages[];
extern const unsigned mill__page_count;
/* The page of that path, or NULL. */
const struct mill__page *mill__page_find(const char *path);
/* {"error": message}. */
void mill__page_error(struct mill_buffer *body, const char *message);

#endif
