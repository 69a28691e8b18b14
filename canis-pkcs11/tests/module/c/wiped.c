/* Is logged in while another process wipes the token and makes it anew, and says what it sees of that. */
#include "p11.h"

/* The first private key, 0 if there is none. */
static ulong_t private_key(ulong_t session) {
    ulong_t class = 3, key = 0, count = 0;
    attr_t template = { 0, &class, sizeof class };
    OK(CALL(FIND_INIT, session, &template, 1UL));
    OK(CALL(FIND, session, &key, 1UL, &count));
    OK(CALL(FIND_FINAL, session));
    return count ? key : 0;
}

static void wait_for(const char *what) {
    puts(what);
    fflush(stdout);
    if (getchar() == EOF) _exit(1);
}

int main(int argc, char **argv) {
    alarm(600);
    p11_load(argv[1]);
    OK(CALL(INITIALIZE, NULL));
    ulong_t session = p11_session(), key = private_key(session);
    p11_sign(session);
    wait_for("logged in");
    mech_t ecdsa = { 0x1041, NULL, 0 };
    unsigned char signature[64], digest[32] = { 7 };
    ulong_t len = sizeof signature, sign = CALL(SIGN_INIT, session, &ecdsa, key);
    /* At a server it is the use of a key that tells. */
    if (!sign && p11_slot()) sign = CALL(SIGN, session, digest, sizeof digest, signature, &len);
    printf("%lx %lu %lx\n", sign, private_key(session), CALL(LOGIN, session, 1UL, "1234", 4UL));
    wait_for("wiped");
    OK(CALL(LOGIN, session, 1UL, "5678", 4UL));
    p11_data(session, "after", getpid());
    OK(CALL(FINALIZE, NULL));
    puts("done");
    return argc - 2;
}
