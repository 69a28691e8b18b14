/* dlclose while a thread that used the module lives on and ends later; then loaded once more. With a second argument
   without C_Finalize: the module stays as it is. */
#include "p11.h"
#include <pthread.h>

static pthread_barrier_t used, closed;

static void *user(void *unused) {
    p11_sign(p11_session());
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return unused;
}

int main(int argc, char **argv) {
    alarm(600);
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        pthread_barrier_init(&used, NULL, 2);
        pthread_barrier_init(&closed, NULL, 2);
        p11_load(argv[1]);
        IS(CALL(INITIALIZE, NULL), argc > 2 && round > 0 ? 0x191 : 0);
        pthread_create(&thread, NULL, user, NULL);
        pthread_barrier_wait(&used);
        if (argc == 2) OK(CALL(FINALIZE, NULL));
        dlclose(p11_library);
        pthread_barrier_wait(&closed);
        pthread_join(thread, NULL);
    }
    puts("done");
    return 0;
}
