/* A host that does what the lines of its standard input say, one after the other, in one session that is open all the
   time, and prints what each gave, in hexadecimal. */
#include "p11.h"
#include <pthread.h>
#include <sys/wait.h>

static ulong_t session, key;

static ulong_t login(void) { return CALL(LOGIN, session, 1UL, "1234", 4UL); }

static ulong_t sign_in(ulong_t with) {
    unsigned char signature[512], digest[32] = { 7 };
    ulong_t len = sizeof signature;
    mech_t ecdsa = { 0x1041, NULL, 0 };
    ulong_t rv = CALL(SIGN_INIT, with, &ecdsa, key);
    return rv ? rv : CALL(SIGN, with, digest, 32UL, signature, &len);
}

/* How many objects there are of a class, and the last of them. */
static ulong_t count_of(ulong_t class, ulong_t *last) {
    ulong_t found[16], count = 0;
    attr_t template = { 0, &class, sizeof class };
    OK(CALL(FIND_INIT, session, &template, 1UL));
    OK(CALL(FIND, session, found, 16UL, &count));
    OK(CALL(FIND_FINAL, session));
    if (count) *last = found[count - 1];
    return count;
}

static ulong_t open_session(void) {
    ulong_t slots[16], count = 16, rv = CALL(GET_SLOT_LIST, 1, slots, &count);
    if (rv) return rv;
    if (!count) return 0xffff;
    return CALL(OPEN_SESSION, slots[0], 6UL, NULL, NULL, &session);
}

static ulong_t make_data(void) {
    ulong_t class = 0, object;
    attr_t template[] = { { 0, &class, sizeof class }, { 3, "gone", 4 } };
    return CALL(CREATE, session, template, 2UL, &object);
}

static ulong_t in_child(void) {
    pid_t pid = fork();
    if (!pid) {
        if (sign_in(session) != 0x190) _exit(1);
        OK(CALL(INITIALIZE, NULL));
        OK(open_session());
        OK(login());
        OK(count_of(3, &key) != 1);
        OK(sign_in(session));
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    return status;
}

static void *many(void *session_of_its_own) {
    ulong_t failed = 0;
    for (int i = 0; i < 200; i++) failed += sign_in((ulong_t)session_of_its_own) != 0;
    return (void *)failed;
}

/* How many of the signatures of eight threads failed. */
static ulong_t in_threads(void) {
    pthread_t threads[8];
    ulong_t sessions[8], slots[16], count = 16, all = 0;
    void *failed;
    OK(CALL(GET_SLOT_LIST, 1, slots, &count));
    for (int i = 0; i < 8; i++) OK(CALL(OPEN_SESSION, slots[0], 6UL, NULL, NULL, &sessions[i]));
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, many, (void *)sessions[i]);
    for (int i = 0; i < 8; i++) { pthread_join(threads[i], &failed); all += (ulong_t)failed; }
    for (int i = 0; i < 8; i++) OK(CALL(CLOSE_SESSION, sessions[i]));
    return all;
}

int main(int argc, char **argv) {
    char line[32];
    alarm(600);
    p11_load(argv[1]);
    OK(CALL(INITIALIZE, NULL));
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        ulong_t gave = 0xdead, unused;
        if (!strcmp(line, "open")) gave = open_session();
        if (!strcmp(line, "login")) gave = login();
        if (!strcmp(line, "key")) gave = count_of(3, &key);
        if (!strcmp(line, "sign")) gave = sign_in(session);
        if (!strcmp(line, "make")) gave = make_data();
        if (!strcmp(line, "data")) gave = count_of(0, &unused);
        if (!strcmp(line, "fork")) gave = in_child();
        if (!strcmp(line, "threads")) gave = in_threads();
        if (!strcmp(line, "end")) gave = CALL(FINALIZE, NULL);
        printf("%lx\n", gave);
        fflush(stdout);
    }
    return argc - 2;
}
