/* exit() without C_Finalize, with a thread that is signing, and with an exit handler that still calls the module. */
#include "p11.h"
#include <pthread.h>

static ulong_t session;

static void *busy(void *unused) {
    ulong_t mine = p11_session();
    for (;;) p11_sign(mine);
    return unused;
}

static void at_exit(void) {
    unsigned char buffer[16];
    OK(CALL(RANDOM, session, buffer, 16UL));
    OK(CALL(FINALIZE, NULL));
    puts("done");
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    OK(CALL(INITIALIZE, NULL));
    session = p11_session();
    p11_sign(session);
    pthread_t thread;
    if (argc > 2) pthread_create(&thread, NULL, busy, NULL); else atexit(at_exit);
    usleep(50000);
    if (argc > 2) puts("done");
    exit(0);
}
