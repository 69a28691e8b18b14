/* Kills the process that loaded it with SIGKILL before the call that changes a file whose number KILL_AT says, counted
   from 1: a crash at every point where one could leave a store half written, here or in a database. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;

static void count(void) {
    const char *at = getenv("KILL_AT");
    if (at && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atoi(at))
        kill(getpid(), SIGKILL);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    count();
    return next(fd, from, len, at);
}

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fdatasync");
    count();
    return next(fd);
}

int fsync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fsync");
    count();
    return next(fd);
}

int ftruncate64(int fd, off64_t len) {
    static int (*next)(int, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "ftruncate64");
    count();
    return next(fd, len);
}

ssize_t send(int fd, const void *from, size_t len, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (!next) next = dlsym(RTLD_NEXT, "send");
    count();
    return next(fd, from, len, flags);
}
