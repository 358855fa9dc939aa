/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hiredis, wrapped: it opens the socket and parses replies. Sending is ours, because hiredis 0.14 writes without
 * MSG_NOSIGNAL (a closed peer would raise SIGPIPE) and copies every command into a buffer of its own.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>

#include "featurestore/online_redis_internal.h"

/* The label, for messages, is the address's. */
struct mill__redis {
    redisContext *context;
    const char *label;
};

static int redis_fail(const struct mill__redis *redis, const char *what, struct mill_error *err)
{
    return mill_fail(err, MILL_EUNAVAIL, "redis at '%s': %s", redis->label, what);
}

int mill__redis_connect(const struct mill__redis_address *address, struct mill__redis **ret_redis,
                        struct mill_error *err)
{
    redisContext *context = address->path != NULL ? redisConnectUnixNonBlock(address->path)
                                                  : redisConnectNonBlock(address->host, address->port);
    if (context == NULL) {
        return mill_fail(err, MILL_ERESOURCE, "redis at '%s': out of memory", address->label);
    }
    struct mill__redis redis = {context, address->label};
    if (context->err != 0) {
        int rc = redis_fail(&redis, context->errstr, err);
        redisFree(context);
        return rc;
    }
    if (address->host != NULL) {
        int on = 1;
        (void)setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    *ret_redis = mill_malloc(sizeof(redis));
    **ret_redis = redis;
    return MILL_OK;
}

void mill__redis_close(struct mill__redis *redis)
{
    if (redis != NULL) {
        redisFree(redis->context);
        free(redis);
    }
}

int mill__redis_fd(const struct mill__redis *redis)
{
    return redis->context->fd;
}

int mill__redis_connected(struct mill__redis *redis, struct mill_error *err)
{
    struct pollfd poller = {redis->context->fd, POLLOUT, 0};
    if (poll(&poller, 1, 0) <= 0) {
        return 0;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(poller.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    return error != 0 ? redis_fail(redis, strerror(error), err) : 1;
}

int mill__redis_send(struct mill__redis *redis, const char *p, size_t n, size_t *ret_sent, struct mill_error *err)
{
    ssize_t sent = send(redis->context->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        return redis_fail(redis, strerror(errno), err);
    }
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    return MILL_OK;
}

/* ------------------------------------------------------------------------------------------------
 * Replies
 * --------------------------------------------------------------------------------------------- */

static struct mill__reply reply_of(const redisReply *native)
{
    struct mill__reply reply = {.kind = MILL__REPLY_NIL};
    switch (native->type) {
    case REDIS_REPLY_INTEGER:
        reply.kind = MILL__REPLY_INTEGER;
        reply.integer = native->integer;
        break;
    case REDIS_REPLY_ARRAY:
        reply.kind = MILL__REPLY_ARRAY;
        reply.count = native->elements;
        break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        reply.kind = native->type == REDIS_REPLY_ERROR ? MILL__REPLY_ERROR : MILL__REPLY_TEXT;
        reply.text = (struct mill_slice){native->str, native->len};
        break;
    default:
        break;
    }
    return reply;
}

int mill__redis_receive(struct mill__redis *redis, struct mill__reply *ret_reply, struct mill_error *err)
{
    void *native = NULL;
    for (int attempt = 0; native == NULL; attempt++) {
        if (redisGetReplyFromReader(redis->context, &native) != REDIS_OK) {
            return redis_fail(redis, redis->context->errstr, err);
        }
        if (native != NULL || attempt > 0) {
            break;
        }
        /* Not blocking: where nothing has arrived this is REDIS_OK too. */
        if (redisBufferRead(redis->context) != REDIS_OK) {
            return redis_fail(redis, redis->context->errstr, err);
        }
    }
    if (native == NULL) {
        return 0;
    }
    *ret_reply = reply_of(native);
    ret_reply->native = native;
    return 1;
}

struct mill__reply mill__reply_element(const struct mill__reply *reply, size_t i)
{
    mill_assert(reply->kind == MILL__REPLY_ARRAY && i < reply->count);
    return reply_of(((const redisReply *)reply->native)->element[i]);
}

void mill__reply_clear(struct mill__reply *reply)
{
    if (reply->native != NULL) {
        freeReplyObject(reply->native);
    }
    *reply = (struct mill__reply){0};
}
