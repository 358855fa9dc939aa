/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One non-blocking connection to one Redis server: bytes out, replies in. The only place that knows hiredis.
 * Used by online_link.c, which decides when to connect, what to send again and when to give up. One thread.
 */
#ifndef MILL_FEATURESTORE_ONLINE_REDIS_INTERNAL_H
#define MILL_FEATURESTORE_ONLINE_REDIS_INTERNAL_H

#include "featurestore/featurestore.h"

/* online_address.c: a connection string of Feast's, taken apart. */
struct mill__redis_address {
    char *host; /* or, where NULL, */
    char *path; /* a unix socket */
    int port, db;
    char *user, *password;
    char *label; /* "127.0.0.1:6379": for messages, without secrets */
};
int mill__redis_address_parse(const char *text, struct mill__redis_address *ret_address,
                              struct mill_error *err) MILL_MUST_CHECK;
void mill__redis_address_clear(struct mill__redis_address *address);

/* Errors below are MILL_EUNAVAIL and name the server. */
struct mill__redis;

/* Begins to connect. Names are looked up here and now (a numeric address or a socket never waits). */
int mill__redis_connect(const struct mill__redis_address *address, struct mill__redis **ret_redis,
                        struct mill_error *err) MILL_MUST_CHECK;
void mill__redis_close(struct mill__redis *redis);
int mill__redis_fd(const struct mill__redis *redis);
/* 1 once the connection stands, 0 not yet. */
int mill__redis_connected(struct mill__redis *redis, struct mill_error *err) MILL_MUST_CHECK;
/* Sends what the socket takes of n bytes; *ret_sent may be 0. */
int mill__redis_send(struct mill__redis *redis, const char *p, size_t n, size_t *ret_sent,
                     struct mill_error *err) MILL_MUST_CHECK;

enum mill__reply_kind { MILL__REPLY_NIL, MILL__REPLY_INTEGER, MILL__REPLY_TEXT, MILL__REPLY_ARRAY, MILL__REPLY_ERROR };
struct mill__reply {
    enum mill__reply_kind kind;
    int64_t integer;
    struct mill_slice text; /* also of an error, without the '-' */
    size_t count;           /* of an array's elements */
    void *native;
};
/* Reads what has arrived and hands out the next complete reply: 1, or 0 where there is none yet. A reply is good until
 * mill__reply_clear. */
int mill__redis_receive(struct mill__redis *redis, struct mill__reply *ret_reply,
                        struct mill_error *err) MILL_MUST_CHECK;
struct mill__reply mill__reply_element(const struct mill__reply *reply, size_t i);
void mill__reply_clear(struct mill__reply *reply);

#endif
