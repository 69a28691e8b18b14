/* A guest's manners: the module starts no thread, handles, blocks and ignores no signal, takes the application's mutexes,
   and draws other numbers in a child than in its parent. */
#include "p11.h"
#include <sys/wait.h>

/* The lines of /proc/self/status that a guest must leave alone. */
static void house(char *out, size_t size) {
    static const char *kept[] = { "Threads:", "SigBlk:", "SigIgn:", "SigCgt:" };
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    *out = 0;
    while (fgets(line, sizeof line, status))
        for (int i = 0; i < 4; i++)
            if (!strncmp(line, kept[i], strlen(kept[i]))) strncat(out, line, size - strlen(out) - 1);
    fclose(status);
}

static void untouched(const char *before, const char *when) {
    char now[1024];
    house(now, sizeof now);
    if (strcmp(before, now)) { fprintf(stderr, "%s:\n%sbefore:\n%s", when, now, before); _exit(1); }
}

static ulong_t make(void **mutex) { *mutex = malloc(1); return 0; }
static ulong_t drop(void *mutex) { free(mutex); return 0; }
static ulong_t keep(void *mutex) { return mutex ? 0 : 5; }

static void draw(ulong_t session, unsigned char *out) { OK(CALL(RANDOM, session, out, 32UL)); }

int main(int argc, char **argv) {
    char before[1024];
    unsigned char ours[32], theirs[32];
    int pipes[2];
    struct { void *functions[4]; ulong_t flags; void *reserved; } args = { { make, drop, keep, keep }, 0, NULL };
    alarm(600);
    house(before, sizeof before);
    p11_load(argv[1]);
    untouched(before, "after dlopen");
    OK(CALL(INITIALIZE, &args));
    ulong_t session = p11_session();
    untouched(before, "after C_Login");
    p11_sign(session);
    p11_data(session, "guest", 1);
    draw(session, ours);
    untouched(before, "after work");

    if (pipe(pipes)) _exit(1);
    pid_t pid = fork();
    if (!pid) {
        OK(CALL(INITIALIZE, NULL));
        draw(p11_session(), theirs);
        _exit(write(pipes[1], theirs, sizeof theirs) != sizeof theirs);
    }
    draw(session, ours);
    int status;
    waitpid(pid, &status, 0);
    if (status || read(pipes[0], theirs, sizeof theirs) != sizeof theirs) { fprintf(stderr, "the child failed\n"); _exit(1); }
    if (!memcmp(ours, theirs, sizeof ours)) { fprintf(stderr, "parent and child drew the same numbers\n"); _exit(1); }
    OK(CALL(FINALIZE, NULL));
    untouched(before, "after C_Finalize");
    puts("done");
    return 0;
}
