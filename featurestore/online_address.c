/* SPDX-License-Identifier: Apache-2.0 */
/* Feast's connection string for Redis, "host:port,db=0,password=..." or "/path/to/socket,db=0", taken apart. What we
 * cannot do (TLS, clusters) is refused here, by name. Called once per store. */
#include <stdlib.h>

#include "base/number.h"
#include "base/suggest.h"
#include "featurestore/online_redis_internal.h"

static char *copy_of(struct mill_slice s)
{
    char *p = mill_malloc(s.n + 1);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}

/* Cuts the part before the first `by` off *rest; *rest is then what follows it. */
static struct mill_slice cut(struct mill_slice *rest, char by)
{
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, by, rest->n);
    struct mill_slice head = {rest->p, at == NULL ? rest->n : (size_t)(at - rest->p)};
    size_t used = at == NULL ? head.n : head.n + 1;
    *rest = (struct mill_slice){rest->p + used, rest->n - used};
    return head;
}

static bool parse_number(struct mill_slice text, int max, int *ret_value)
{
    int64_t value = 0;
    const char *end = mill_number_parse_int64(text.p, text.p + text.n, &value);
    if (end == NULL || end != text.p + text.n || value < 0 || value > max) {
        return false;
    }
    *ret_value = (int)value;
    return true;
}

static int parse_server(struct mill_slice server, struct mill__redis_address *a, struct mill_error *err)
{
    if (server.n > 0 && server.p[0] == '/') {
        a->path = copy_of(server);
        a->label = copy_of(server);
        return MILL_OK;
    }
    struct mill_slice host = server, port = {NULL, 0};
    for (size_t i = server.n; i-- > 0;) {
        if (server.p[i] == ':') {
            host.n = i;
            port = (struct mill_slice){server.p + i + 1, server.n - i - 1};
            break;
        }
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct mill_slice){host.p + 1, host.n - 2};
    }
    if (host.n == 0 || !parse_number(port, 65535, &a->port) || a->port == 0) {
        return mill_fail(err, MILL_ECONFIG,
                         "redis server '%.*s' is not 'host:port' with a port from 1 to 65535, nor the path of a socket "
                         "that begins with '/'",
                         (int)server.n, server.p);
    }
    a->host = copy_of(host);
    a->label = copy_of(server);
    return MILL_OK;
}

static int parse_option(struct mill_slice name, struct mill_slice value, struct mill__redis_address *a,
                        struct mill_error *err)
{
    static const char *const known[] = {"db", "username", "password", "ssl"};
    char **text = mill_slice_is(name, "password") ? &a->password : mill_slice_is(name, "username") ? &a->user : NULL;
    if (text != NULL) {
        free(*text);
        *text = copy_of(value);
        return MILL_OK;
    }
    if (mill_slice_is(name, "db")) {
        return parse_number(value, 1 << 20, &a->db)
                   ? MILL_OK
                   : mill_fail(err, MILL_ECONFIG, "redis option 'db' is '%.*s', expected a number from 0", (int)value.n,
                               value.p);
    }
    if (mill_slice_is(name, "ssl")) {
        return mill_slice_is(value, "false") || mill_slice_is(value, "False")
                   ? MILL_OK
                   : mill_fail(err, MILL_ECONFIG,
                               "redis option 'ssl' is not supported; hint: run a TLS proxy such as stunnel beside "
                               "tidemill and connect to that");
    }
    const char *near = mill_suggest(name, known, sizeof(known) / sizeof(known[0]));
    return mill_fail(err, MILL_ECONFIG, "redis option '%.*s' is unknown, expected db, username, password or ssl%s%s%s",
                     (int)name.n, name.p, near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near,
                     near == NULL ? "" : "'?");
}

int mill__redis_address_parse(const char *text, struct mill__redis_address *ret_address, struct mill_error *err)
{
    struct mill__redis_address address = {0};
    struct mill_slice rest = mill_slice_of(text);
    int rc = parse_server(cut(&rest, ','), &address, err);
    while (rc == MILL_OK && rest.n > 0) {
        struct mill_slice value = cut(&rest, ',');
        if (memchr(value.p, '=', value.n) == NULL) {
            rc = mill_fail(err, MILL_ECONFIG,
                           "redis server '%.*s' is one too many: redis clusters are not supported, expected one server",
                           (int)value.n, value.p);
            break;
        }
        struct mill_slice name = cut(&value, '=');
        rc = parse_option(name, value, &address, err);
    }
    if (rc < 0) {
        mill__redis_address_clear(&address);
        return rc;
    }
    *ret_address = address;
    return MILL_OK;
}

void mill__redis_address_clear(struct mill__redis_address *address)
{
    free(address->host);
    free(address->path);
    free(address->user);
    free(address->password);
    free(address->label);
    *address = (struct mill__redis_address){0};
}
