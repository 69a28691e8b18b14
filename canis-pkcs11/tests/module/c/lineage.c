/* Children that start anew while the parent ends: every object that either was told is made must be there for a third
   process. The parent is in C_Finalize, or was not there yet, when the child initialises; four of its threads sign, create
   and search when it forks. */
#include "p11.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_int stop, made;

static void *signer(void *unused) {
    ulong_t session = p11_session();
    while (!stop) p11_sign(session);
    return unused;
}

static void *creator(void *unused) {
    ulong_t session = p11_session();
    while (!stop) { p11_data(session, "thread", made); made++; }
    return unused;
}

static void *finder(void *unused) {
    ulong_t session = p11_session(), objects[16], count;
    while (!stop) {
        OK(CALL(FIND_INIT, session, NULL, 0UL));
        do OK(CALL(FIND, session, objects, 16UL, &count)); while (count);
        OK(CALL(FIND_FINAL, session));
    }
    return unused;
}

/* Stale until it initialises; then a host of its own, which may leave with or without C_Finalize. */
static void child(int number, ulong_t session) {
    unsigned char buffer[16];
    ulong_t rv;
    if (session) {
        IS(CALL(RANDOM, session, buffer, 16UL), 0x190);
        IS(CALL(SIGN_INIT, session, NULL, 1UL), 0x190);
        IS(CALL(FINALIZE, NULL), 0x190);
    }
    OK(CALL(INITIALIZE, NULL));
    if (session) {
        rv = CALL(RANDOM, session, buffer, 16UL);
        IS(rv, 0xb3);
    }
    ulong_t own = p11_session();
    p11_data(own, "child", number);
    p11_sign(own);
    if (number % 2) OK(CALL(FINALIZE, NULL));
    exit(0);
}

static pid_t start(int number, ulong_t session) {
    pid_t pid = fork();
    if (!pid) child(number, session);
    return pid;
}

static void await(pid_t pid) {
    int status;
    waitpid(pid, &status, 0);
    if (status) { fprintf(stderr, "a child ended with %x\n", status); _exit(1); }
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    int rounds = atoi(argv[2]);
    for (int i = 0; i < rounds; i++) {
        pid_t early = start(3 * i, 0); /* before C_Initialize */
        OK(CALL(INITIALIZE, NULL));
        ulong_t session = p11_session();
        stop = 0;
        void *(*work[4])(void *) = { signer, creator, finder, signer };
        pthread_t threads[4];
        for (int t = 0; t < 4; t++) pthread_create(&threads[t], NULL, work[t], NULL);
        usleep(20000);
        pid_t busy = start(3 * i + 1, session); /* while four threads are at work */
        await(busy);
        p11_sign(session); /* its C_Finalize was its own */
        stop = 1;
        for (int t = 0; t < 4; t++) pthread_join(threads[t], NULL);
        p11_data(session, "parent", i);
        pid_t late = start(3 * i + 2, session); /* beside C_Finalize */
        OK(CALL(FINALIZE, NULL));
        await(late);
        await(early);
    }
    printf("%d\n", made);
    return argc - 3;
}
