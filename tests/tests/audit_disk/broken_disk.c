/* Preloaded: fdatasync() of a file below a folder `audit` fails while the file named by BROKEN_DISK is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fdatasync(int fd)
{
    static int (*real)(int);
    char link[64], path[4096];
    const char *broken = getenv("BROKEN_DISK");
    ssize_t len;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = 0;
    if (broken && access(broken, F_OK) == 0 && strstr(path, "/audit/")) {
        errno = EIO;
        return -1;
    }
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}
