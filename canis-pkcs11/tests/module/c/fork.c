/* A child must not use the parent's session; it starts anew, and neither disturbs the other. With threads that sign and
   write meanwhile. */
#include "p11.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_int stop;

static void *busy(void *unused) {
    ulong_t session = p11_session();
    while (!stop) p11_sign(session);
    OK(CALL(CLOSE_SESSION, session));
    return unused;
}

static void *writer(void *unused) {
    ulong_t session = p11_session(), class = 0, object;
    unsigned char yes = 1;
    attr_t template[] = { { 0, &class, sizeof class }, { 1, &yes, 1 }, { 3, "written", 7 } };
    while (!stop) {
        OK(CALL(CREATE, session, template, 3UL, &object));
        OK(CALL(DESTROY, session, object));
    }
    OK(CALL(CLOSE_SESSION, session));
    return unused;
}

static void child(ulong_t parents_session) {
    unsigned char buffer[16];
    ulong_t count;
    IS(CALL(RANDOM, parents_session, buffer, 16UL), 0x190);
    IS(CALL(GET_SLOT_LIST, 1, NULL, &count), 0x190);
    IS(CALL(FINALIZE, NULL), 0x190);
    OK(CALL(INITIALIZE, NULL));
    IS(CALL(RANDOM, parents_session, buffer, 16UL), 0xb3);
    ulong_t session;
    OK(CALL(OPEN_SESSION, p11_slot(), 6UL, NULL, NULL, &session));
    IS(CALL(FIND_INIT, session, NULL, 0UL), 0);
    OK(CALL(CLOSE_SESSION, session));
    p11_sign(p11_session());
    if (getpid() % 2) OK(CALL(FINALIZE, NULL));
    exit(0);
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    OK(CALL(INITIALIZE, NULL));
    ulong_t session = p11_session();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, i ? busy : writer, NULL);
    for (int i = 0; i < atoi(argv[2]); i++) {
        pid_t pid = fork();
        if (!pid) child(session);
        int status;
        waitpid(pid, &status, 0);
        if (status) { fprintf(stderr, "child %d: status %x\n", i, status); _exit(1); }
        p11_sign(session);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    OK(CALL(FINALIZE, NULL));
    puts("done");
    return 0;
}
