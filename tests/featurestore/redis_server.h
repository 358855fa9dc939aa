/* SPDX-License-Identifier: Apache-2.0 */
/* A private Redis for tests: a process of our own on a unix socket in a directory of our own, gone when the test is. */
#ifndef MILL_TESTS_REDIS_SERVER_H
#define MILL_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    char directory[64], socket[96];
    pid_t pid;
};

/* Makes the directory. False where redis-server is not installed. */
bool redis_server_init(struct redis_server *server);
/* Starts the process with up to 8 more arguments, ended by NULL, and waits until it answers on the socket. */
void redis_server_start(struct redis_server *server, const char *const *arguments);
/* kill -9. */
void redis_server_kill(struct redis_server *server);
/* Kills and removes the directory. */
void redis_server_clear(struct redis_server *server);
/* One command in, its reply as text (nil is "(nil)", errors begin with '-', arrays are joined by blanks); good until
 * the next call. Blocks. */
const char *redis_ask(const struct redis_server *server, const char *format, ...);

#endif
