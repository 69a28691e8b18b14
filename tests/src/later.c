/* Lets the process that loaded it live LATER seconds ahead of this machine's clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
    int done = next(clock, now);
    const char *later = getenv("LATER");
    if (done == 0 && later && clock == CLOCK_REALTIME) now->tv_sec += atol(later);
    return done;
}
