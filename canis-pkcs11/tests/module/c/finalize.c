/* C_Finalize while other threads are calling: against the standard, but a host in a hurry does it, and it must not
   crash. Calls end well or are told that the module is not initialised, or that their session is gone. */
#include "p11.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_int stop;

static void *caller(void *unused) {
    unsigned char buffer[64];
    while (!stop) {
        ulong_t session = 0, rv = CALL(OPEN_SESSION, p11_slot(), 4UL, NULL, NULL, &session);
        if (rv == 0) rv = CALL(RANDOM, session, buffer, 64UL);
        if (rv == 0) rv = CALL(CLOSE_SESSION, session);
        if (rv && rv != 0x190 && rv != 0xb3) OK(rv);
    }
    return unused;
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, caller, NULL);
    for (int round = 0; round < 100; round++) {
        OK(CALL(INITIALIZE, NULL));
        usleep(500);
        OK(CALL(FINALIZE, NULL));
    }
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    puts("done");
    return argc - 2;
}
