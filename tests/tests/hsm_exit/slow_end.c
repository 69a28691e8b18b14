/* Preloaded into a server: makes the end of each thread that used libcrypto slow, and the end of the process slower, so
   that a thread which ends beside its process always loses the race that it would otherwise lose once in a thousand. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*release)(void *);
static volatile int ending;

static void say(const char *line) {
    if (write(2, line, strlen(line)) < 0)
        abort();
}

static void process_ends(void) {
    ending = 1;
    usleep(500000);
}

static void thread_ends(void *state) {
    usleep(100000);
    if (ending) {
        say("libcrypto's state of a thread is released beside the end of the process\n");
        abort();
    }
    say("libcrypto's state of a thread is released\n");
    release(state);
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    int (*next)(pthread_key_t *, void (*)(void *)) =
        (int (*)(pthread_key_t *, void (*)(void *)))dlsym(RTLD_NEXT, "pthread_key_create");
    Dl_info owner;
    if (destructor && !release && dladdr((void *)destructor, &owner) && strstr(owner.dli_fname, "libcrypto.so")) {
        release = destructor;
        destructor = thread_ends;
        atexit(process_ends);
    }
    return next(key, destructor);
}
