/* Nanoseconds of the calls of a C program that knows how long answers are: C_EncryptInit, C_Encrypt and their like, no
   client library, no allocation. `scripts/bench calls` builds and runs it on new tokens; modules are measured in turns.

     calls MODULE…                                                                                                    */
#include "../canis-pkcs11/tests/module/c/p11.h"
#include <time.h>

enum { INIT_TOKEN = 9, INIT_PIN = 10, LOGOUT = 19, ATTRIBUTE = 24, ENCRYPT_INIT = 29, ENCRYPT = 30, DIGEST_INIT = 37,
       DIGEST = 38, GENERATE_KEY = 58 };
enum { MODULES = 4, ROUNDS = 9, MESSAGE = 1024 };
static const double SLICE = 60e6;

typedef struct { unsigned char *iv; ulong_t iv_len, iv_bits; void *aad; ulong_t aad_len, tag_bits; } gcm_t;
typedef struct { void **list; ulong_t slot, session, aes, secret; } module_t;

static module_t *now;
static unsigned char message[MESSAGE], answer[MESSAGE + 64];

static void gcm(void) {
    static unsigned char iv[12];
    static ulong_t count;
    memcpy(iv, &(ulong_t){ ++count }, sizeof count);
    gcm_t parameter = { iv, 12, 96, NULL, 0, 128 };
    mech_t how = { 0x1087, &parameter, sizeof parameter };
    ulong_t len = sizeof answer;
    OK(CALL(ENCRYPT_INIT, now->session, &how, now->aes));
    OK(CALL(ENCRYPT, now->session, message, (ulong_t)MESSAGE, answer, &len));
}

static void hmac(void) {
    mech_t how = { 0x251, NULL, 0 };
    ulong_t len = sizeof answer;
    OK(CALL(SIGN_INIT, now->session, &how, now->secret));
    OK(CALL(SIGN, now->session, message, (ulong_t)MESSAGE, answer, &len));
}

static void digest(void) {
    mech_t how = { 0x250, NULL, 0 };
    ulong_t len = sizeof answer;
    OK(CALL(DIGEST_INIT, now->session, &how));
    OK(CALL(DIGEST, now->session, message, (ulong_t)MESSAGE, answer, &len));
}

static void attribute(void) {
    ulong_t kind;
    attr_t wanted = { 0x100, &kind, sizeof kind };
    OK(CALL(ATTRIBUTE, now->session, now->aes, &wanted, 1UL));
}

static void draw(void) { OK(CALL(RANDOM, now->session, answer, 32UL)); }

static void session(void) {
    ulong_t opened;
    OK(CALL(OPEN_SESSION, now->slot, 6UL, NULL, NULL, &opened));
    OK(CALL(CLOSE_SESSION, opened));
}

static const struct { const char *name; void (*run)(void); } OPERATIONS[] = {
    { "AES-256-GCM 1 KiB, two calls", gcm }, { "HMAC-SHA256 1 KiB, two calls", hmac },
    { "SHA-256 1 KiB, two calls", digest },  { "get attribute", attribute },
    { "random 32 bytes", draw },             { "open and close a session", session },
};

static double clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static double slice(void (*run)(void)) {
    double begin = clock_ns(), passed;
    long done = 0;
    do {
        for (int i = 0; i < 100; i++) run();
        done += 100;
        passed = clock_ns() - begin;
    } while (passed < SLICE);
    return passed / done;
}

/* Initialises the token of the last slot, logs in and makes the keys in a session. */
static void prepare(module_t *module, char *path) {
    unsigned char yes = 1, *pin = (unsigned char *)"bench-12345678";
    ulong_t slots[16], count = 16, len = 32, pin_len = 14;
    char label[33];
    snprintf(label, sizeof label, "%-32s", "calls");
    p11_load(path);
    module->list = p11;
    OK(CALL(INITIALIZE, NULL));
    OK(CALL(GET_SLOT_LIST, 0, slots, &count));
    OK(CALL(INIT_TOKEN, slots[count - 1], pin, pin_len, label));
    count = 16;
    OK(CALL(GET_SLOT_LIST, 0, slots, &count));
    /* Some modules give a token another slot once it is initialised. */
    for (ulong_t at = 0; at < count; at++) {
        module->slot = slots[at];
        if (CALL(OPEN_SESSION, slots[at], 6UL, NULL, NULL, &module->session)) continue;
        if (!CALL(LOGIN, module->session, 0UL, pin, pin_len)) break;
    }
    OK(CALL(INIT_PIN, module->session, pin, pin_len));
    OK(CALL(LOGOUT, module->session));
    OK(CALL(LOGIN, module->session, 1UL, pin, pin_len));
    attr_t aes[] = { { 0x161, &len, sizeof len }, { 0x104, &yes, 1 } };
    attr_t secret[] = { { 0x161, &len, sizeof len }, { 0x108, &yes, 1 } };
    OK(CALL(GENERATE_KEY, module->session, &(mech_t){ 0x1080, NULL, 0 }, aes, 2UL, &module->aes));
    OK(CALL(GENERATE_KEY, module->session, &(mech_t){ 0x350, NULL, 0 }, secret, 2UL, &module->secret));
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    module_t modules[MODULES];
    int count = argc - 1 > MODULES ? MODULES : argc - 1;
    for (int m = 0; m < count; m++) prepare(&modules[m], argv[m + 1]);
    for (size_t op = 0; op < sizeof OPERATIONS / sizeof *OPERATIONS; op++) {
        double took[MODULES][ROUNDS];
        for (int round = 0; round < ROUNDS; round++)
            for (int m = 0; m < count; m++) {
                now = &modules[m];
                p11 = now->list;
                took[m][round] = slice(OPERATIONS[op].run);
            }
        printf("%-30s", OPERATIONS[op].name);
        for (int m = 0; m < count; m++) {
            qsort(took[m], ROUNDS, sizeof(double), by_size);
            printf("%10.0f ns", took[m][ROUNDS / 2]);
        }
        puts("");
        fflush(stdout);
    }
    return count == 0;
}
