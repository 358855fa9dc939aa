/* SPDX-License-Identifier: Apache-2.0 */
/* GET over HTTP for healthcheck and top; the only file of cli/ that knows libcurl. */
#include "cli/cli_internal.h"

#include <curl/curl.h>

enum { BODY_BYTES_MAX = 64 << 20 };

static size_t on_data(char *p, size_t size, size_t count, void *context)
{
    struct mill_buffer *body = context;
    if (body->n + size * count > BODY_BYTES_MAX) {
        return 0; /* curl takes this for an error */
    }
    mill_buffer_add(body, p, size * count);
    return size * count;
}

int mill_cli_http_get(const char *url, int timeout_ms, struct mill_buffer *body, long *ret_status,
                      struct mill_error *err)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return mill_fail(err, MILL_ERESOURCE, "cannot start the HTTP client");
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tidemill/" MILL_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    CURLcode code = curl_easy_perform(curl);
    int rc = MILL_OK;
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    } else {
        rc = mill_fail(err, MILL_EUNAVAIL, "nobody answers at '%s': %s", url, curl_easy_strerror(code));
    }
    curl_easy_cleanup(curl);
    return rc;
}
