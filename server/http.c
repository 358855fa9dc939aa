/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP endpoint; the only file that knows libmicrohttpd. One thread of the library serves all connections (epoll),
 * so pages are rendered one after the other and counters have one writer. Requests have no bodies that matter: whoever
 * sends one is answered at once and disconnected.
 */
#include "server/server_internal.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_BYTES = 16384, /* request line and headers of one connection */
    IDLE_SECONDS = 15,
    BACKLOG = 64,
};

struct mill_server {
    struct mill_server_options options;
    struct MHD_Daemon *daemon;
    unsigned port;
    struct mill_metric **requests; /* per page */
    struct mill_metric *requests_refused;
};

/* ------------------------------------------------------------------------------------------------
 * The socket
 * --------------------------------------------------------------------------------------------- */

/* "127.0.0.1:6566" or "[::1]:6566" to its two parts. */
static int split_listen(const char *listen, char *host, size_t host_size, const char **ret_port, struct mill_error *err)
{
    const char *colon = strrchr(listen, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - listen);
    if (n > 2 && listen[0] == '[' && listen[n - 1] == ']') {
        listen++;
        n -= 2;
    }
    size_t digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
    if (n == 0 || n >= host_size || digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
        strtol(colon + 1, NULL, 10) > 65535) {
        return mill_fail(err, MILL_ECONFIG, "cannot listen on '%s'; expected ADDRESS:PORT such as 127.0.0.1:6566",
                         listen);
    }
    memcpy(host, listen, n);
    host[n] = '\0';
    *ret_port = colon + 1;
    return MILL_OK;
}

static int bind_one(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    int one = 1;
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int open_socket(const char *listen, int *ret_fd, struct mill_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char host[256];
    const char *port = NULL;

    MILL_TRY(split_listen(listen, host, sizeof(host), &port, err));
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        return mill_fail(err, MILL_ECONFIG, "cannot listen on '%s': %s", listen, gai_strerror(rc));
    }
    int fd = -1;
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = bind_one(a);
    }
    int saved = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        return mill_fail(err, MILL_EIO, "cannot listen on '%s': %s%s", listen, strerror(saved),
                         saved == EADDRINUSE ? "; hint: another process has the port, choose one with 'server.listen'"
                                             : "");
    }
    *ret_fd = fd;
    return MILL_OK;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    struct sockaddr_in in;
    memcpy(&in, &address, sizeof(in));
    return ntohs(in.sin_port);
}

/* ------------------------------------------------------------------------------------------------
 * Answers
 * --------------------------------------------------------------------------------------------- */

/* Takes the body's memory. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *content_type,
                              const char *allow, struct mill_buffer *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        mill_buffer_clear(body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (allow != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct mill_server *server, struct MHD_Connection *connection, unsigned status,
                              const char *message, const char *allow)
{
    struct mill_buffer body = {0};
    if (server->requests_refused != NULL) {
        mill_counter_add(server->requests_refused, 1);
    }
    mill__page_error(&body, message);
    return answer(connection, status, "application/json", allow, &body);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload_data, size_t *upload_data_size,
                                  void **request_context)
{
    struct mill_server *server = context;
    struct mill_buffer body = {0};
    (void)version;
    (void)upload_data;
    (void)upload_data_size;
    (void)request_context;

    const struct mill__page *page = mill__page_find(url);
    if (page == NULL) {
        return refuse(server, connection, MHD_HTTP_NOT_FOUND,
                      "no such page; there are /health, /v2/health/live, /v2/health/ready, /metrics and /version",
                      NULL);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return refuse(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "expected GET or HEAD", "GET, HEAD");
    }
    if (server->requests != NULL) {
        mill_counter_add(server->requests[page - mill__pages], 1);
    }
    unsigned status = page->render(&server->options, &body);
    return answer(connection, status, page->content_type, NULL, &body);
}

MILL_PRINTF(2, 0)
static void on_log(void *context, const char *fmt, va_list args)
{
    char text[512];
    (void)context;
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    mill_log(MILL_LOG_DEBUG, "server", "%s", text);
}

/* ------------------------------------------------------------------------------------------------
 * Life
 * --------------------------------------------------------------------------------------------- */

static void register_metrics(struct mill_server *server)
{
    static const char help[] = "HTTP requests that were answered";
    if (server->options.metrics == NULL) {
        return;
    }
    server->requests = mill_calloc(mill__page_count, sizeof(struct mill_metric *));
    for (unsigned i = 0; i < mill__page_count; i++) {
        const char *labels[] = {"path", mill__pages[i].path, NULL};
        server->requests[i] = mill_metrics_counter(server->options.metrics, "http_requests_total", help, labels);
    }
    server->requests_refused = mill_metrics_counter(server->options.metrics, "http_requests_refused_total",
                                                    "HTTP requests for pages or with methods that are not there", NULL);
}

int mill_server_open(const struct mill_server_options *options, struct mill_server **ret_server, struct mill_error *err)
{
    int fd;
    MILL_TRY(open_socket(options->listen, &fd, err));
    struct mill_server *server = mill_calloc(1, sizeof(*server));
    server->options = *options;
    server->port = port_of(fd);
    register_metrics(server);
    server->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
                                      server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                                      MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                                      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                                      MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(fd);
        free(server->requests);
        free(server);
        return mill_fail(err, MILL_ERESOURCE, "cannot start the HTTP thread on '%s'", options->listen);
    }
    *ret_server = server;
    return MILL_OK;
}

void mill_server_close(struct mill_server *server)
{
    if (server == NULL) {
        return;
    }
    MHD_stop_daemon(server->daemon); /* closes the socket and waits for the thread */
    free(server->requests);
    free(server);
}

unsigned mill_server_port(const struct mill_server *server)
{
    return server->port;
}
