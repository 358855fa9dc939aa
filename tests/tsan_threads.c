/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C11 threads over POSIX threads, for builds with ThreadSanitizer only. Its run-time library sees pthread_create and
 * pthread_mutex_lock, but not the thrd_create and mtx_lock by which Debian's librdkafka goes to the same code of
 * glibc: unseen threads crash it and unseen locks look like races. An executable's own definitions come before those
 * of the C library, so librdkafka is routed through here. (glibc's mtx_t and cnd_t hold a pthread_mutex_t and a
 * pthread_cond_t.)
 */
#ifdef __SANITIZE_THREAD__

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mtx_t is a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a cnd_t is a pthread_cond_t");

#define EXPORT __attribute__((visibility("default")))

/* Read by the run-time library. librdkafka counts references to its buffers with atomics that are not instrumented, so
 * the last owner's free() looks like a race with the reads of the one before, and a new object's lock like one with
 * whoever found the object. What its locks order is seen all the same. RocksDB's skip list
 * is lock-free by such atomics, too, and so is its cache, into which LZ4 unpacks blocks that several threads read. */
EXPORT const char *__tsan_default_suppressions(void);
EXPORT const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librdkafka.so\ncalled_from_lib:librocksdb.so\ncalled_from_lib:liblz4.so\nrace:^mtx_\nrace:^"
           "cnd_\n";
}

struct start {
    thrd_start_t function;
    void *argument;
};

static int result(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    return (void *)(intptr_t)start.function(start.argument);
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return thrd_nomem;
    }
    *start = (struct start){function, argument};
    int error = pthread_create(thread, NULL, run, start);
    if (error != 0) {
        free(start);
    }
    return result(error);
}

EXPORT int thrd_join(thrd_t thread, int *ret_status)
{
    void *status;
    int error = pthread_join(thread, &status);
    if (error == 0 && ret_status != NULL) {
        *ret_status = (int)(intptr_t)status;
    }
    return result(error);
}

EXPORT int thrd_detach(thrd_t thread)
{
    return result(pthread_detach(thread));
}

EXPORT int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes,
                              (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result(error);
}

EXPORT void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

EXPORT int mtx_lock(mtx_t *mutex)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

EXPORT int mtx_trylock(mtx_t *mutex)
{
    return result(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

EXPORT int mtx_unlock(mtx_t *mutex)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

EXPORT int cnd_init(cnd_t *condition)
{
    return result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

EXPORT void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

EXPORT int cnd_signal(cnd_t *condition)
{
    return result(pthread_cond_signal((pthread_cond_t *)condition));
}

EXPORT int cnd_broadcast(cnd_t *condition)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

EXPORT int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

EXPORT int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    return result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

EXPORT void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)flag, function);
}

#else
typedef int mill_test_tsan_threads_unused; /* ISO C wants a declaration */
#endif
