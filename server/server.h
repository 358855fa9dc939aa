/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server: the plain HTTP endpoint (libmicrohttpd, own thread): /health, /v2/health/live, /v2/health/ready, /metrics,
 * /version. Loopback by default.
 */
#ifndef MILL_SERVER_H
#define MILL_SERVER_H

#include "base/error.h"
#include "base/metrics.h"

struct mill_server;

struct mill_server_options {
    const char *listen; /* "127.0.0.1:6566"; port 0: a free one */
    struct mill_metrics *metrics;
    bool (*is_ready)(void *context, struct mill_buffer *why); /* called on the server's thread */
    void *context;
};

int mill_server_open(const struct mill_server_options *options, struct mill_server **ret_server,
                     struct mill_error *err) MILL_MUST_CHECK;
void mill_server_close(struct mill_server *server);
/* The port it listens on. */
unsigned mill_server_port(const struct mill_server *server);

#endif
