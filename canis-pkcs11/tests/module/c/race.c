/* Eight threads initialise at once: one does, the others are told so, all can work; and again, many times. */
#include "p11.h"
#include <pthread.h>
#include <stdatomic.h>

static pthread_barrier_t barrier;
static atomic_int first, already;

static void *racer(void *unused) {
    unsigned char buffer[16];
    ulong_t session, rv;
    pthread_barrier_wait(&barrier);
    rv = CALL(INITIALIZE, NULL);
    if (rv == 0) first++; else if (rv == 0x191) already++; else OK(rv);
    OK(CALL(OPEN_SESSION, p11_slot(), 4UL, NULL, NULL, &session));
    OK(CALL(RANDOM, session, buffer, 16UL));
    OK(CALL(CLOSE_SESSION, session));
    return unused;
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    for (int round = 0; round < 30; round++) {
        pthread_t threads[8];
        first = already = 0;
        pthread_barrier_init(&barrier, NULL, 8);
        for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, racer, NULL);
        for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
        IS(first, 1);
        IS(already, 7);
        OK(CALL(FINALIZE, NULL));
        IS(CALL(FINALIZE, NULL), 0x190);
    }
    puts("done");
    return argc - 2;
}
