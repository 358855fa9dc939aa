/* SPDX-License-Identifier: Apache-2.0 */
/* Where a running engine listens, seen from this machine; for healthcheck and top. */
#include "cli/cli_internal.h"

#include <string.h>

int mill_cli_endpoint(const struct mill_cli *cli, const char *url, struct mill_buffer *ret_base)
{
    struct mill_project *project;
    if (url != NULL) {
        size_t n = strlen(url);
        mill_buffer_add(ret_base, url, n > 0 && url[n - 1] == '/' ? n - 1 : n);
        return 0;
    }
    int status = mill_cli_load(cli, true, &project);
    if (status != 0) {
        return status;
    }
    const char *listen = project->server.listen;
    const char *colon = strrchr(listen, ':');
    if (colon == NULL) {
        mill_project_free(project);
        return mill_cli_fail_with(cli, MILL_ECONFIG, "'server.listen' is empty: the engine serves no HTTP");
    }
    /* "Every address" is not one to connect to. */
    struct mill_slice host = {listen, (size_t)(colon - listen)};
    if (mill_slice_is(host, "0.0.0.0")) {
        host = mill_slice_of("127.0.0.1");
    } else if (mill_slice_is(host, "[::]")) {
        host = mill_slice_of("[::1]");
    }
    mill_buffer_printf(ret_base, "http://%.*s%s", (int)host.n, host.p, colon);
    mill_project_free(project);
    return 0;
}
