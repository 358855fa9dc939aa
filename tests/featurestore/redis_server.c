/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { MORE_ARGUMENTS_MAX = 8, START_MS_MAX = 20000 };

bool redis_server_init(struct redis_server *server)
{
    memset(server, 0, sizeof(*server));
    snprintf(server->directory, sizeof(server->directory), "%s", "/tmp/mill_redis_XXXXXX");
    if (system("command -v redis-server > /dev/null") != 0 || mkdtemp(server->directory) == NULL) {
        return false;
    }
    snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->directory);
    return true;
}

static _Noreturn void run_server(const struct redis_server *server, const char *const *arguments, pid_t parent)
{
    const char *argv[16 + MORE_ARGUMENTS_MAX] = {
        "redis-server", "--port", "0", "--unixsocket", server->socket, "--dir", server->directory, "--save", "",
        "--appendonly", "no"};
    int n = 11;
    for (int i = 0; arguments != NULL && arguments[i] != NULL && i < MORE_ARGUMENTS_MAX; i++) {
        argv[n++] = arguments[i];
    }
    /* The server must not outlive a test that crashes. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(1);
    }
    char log[128];
    snprintf(log, sizeof(log), "%s/log", server->directory);
    int fd = open(log, O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execvp(argv[0], (char *const *)(const void *)argv);
    _exit(127);
}

void redis_server_start(struct redis_server *server, const char *const *arguments)
{
    unlink(server->socket);
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0) {
        run_server(server, arguments, parent);
    }
    for (int ms = 0; ms < START_MS_MAX; ms += 5) {
        redisContext *context = redisConnectUnix(server->socket);
        redisReply *pong = context != NULL && context->err == 0 ? redisCommand(context, "PING") : NULL;
        bool answers = pong != NULL && strncmp(pong->str, "LOADING", 7) != 0;
        freeReplyObject(pong);
        if (context != NULL) {
            redisFree(context);
        }
        if (answers) {
            return;
        }
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    fprintf(stderr, "redis-server did not start; its log is in %s\n", server->directory);
    abort();
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void redis_server_clear(struct redis_server *server)
{
    redis_server_kill(server);
    nftw(server->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void append_reply(const redisReply *reply, char *out, size_t size)
{
    size_t n = strlen(out);
    switch (reply->type) {
    case REDIS_REPLY_NIL:
        snprintf(out + n, size - n, "(nil)");
        break;
    case REDIS_REPLY_INTEGER:
        snprintf(out + n, size - n, "%lld", reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            if (i > 0) {
                snprintf(out + strlen(out), size - strlen(out), " ");
            }
            append_reply(reply->element[i], out, size);
        }
        break;
    default:
        snprintf(out + n, size - n, "%s%s", reply->type == REDIS_REPLY_ERROR ? "-" : "", reply->str);
    }
}

const char *redis_ask(const struct redis_server *server, const char *format, ...)
{
    static char text[1 << 16];
    text[0] = '\0';
    redisContext *context = redisConnectUnix(server->socket);
    va_list args;
    va_start(args, format);
    redisReply *reply = context != NULL && context->err == 0 ? redisvCommand(context, format, args) : NULL;
    va_end(args);
    if (reply == NULL) {
        snprintf(text, sizeof(text), "-no answer");
    } else {
        append_reply(reply, text, sizeof(text));
    }
    freeReplyObject(reply);
    redisFree(context);
    return text;
}
