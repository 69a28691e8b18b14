/* C_WaitForSlotEvent: another process makes a token while this one waits; C_Finalize ends a wait. No time is burnt. */
#include "p11.h"
#include <pthread.h>
#include <sys/resource.h>

static ulong_t next(ulong_t flags) {
    ulong_t slot = 99;
    OK(CALL(WAIT_FOR_SLOT_EVENT, flags, &slot, NULL));
    return slot;
}

static void *waiter(void *unused) {
    ulong_t slot;
    IS(CALL(WAIT_FOR_SLOT_EVENT, 0UL, &slot, NULL), 0x190);
    return unused;
}

static double processor_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_utime.tv_usec / 1e6 + used.ru_stime.tv_sec + used.ru_stime.tv_usec / 1e6;
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    OK(CALL(INITIALIZE, NULL));
    ulong_t slot, count;
    OK(CALL(GET_SLOT_LIST, 1, NULL, &count));
    IS(count, p11_slot() + 2);
    IS(CALL(WAIT_FOR_SLOT_EVENT, 1UL, &slot, NULL), 8);

    puts("waiting");
    fflush(stdout);
    IS(next(0), p11_slot() + 1);
    IS(next(0), p11_slot() + 2);
    IS(CALL(WAIT_FOR_SLOT_EVENT, 1UL, &slot, NULL), 8);

    pthread_t threads[2];
    double before = processor_seconds();
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, waiter, NULL);
    sleep(2);
    double used = processor_seconds() - before;
    if (used > 0.3) { fprintf(stderr, "waiting two seconds took %f s of processor time\n", used); return 1; }
    OK(CALL(FINALIZE, NULL));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    puts("done");
    return argc - 2;
}
