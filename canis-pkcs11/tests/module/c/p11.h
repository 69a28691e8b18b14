/* The little of PKCS#11 that the programs here need, without a vendor's header. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong_t;
typedef ulong_t (*fn_t)();
typedef struct { ulong_t type; void *value; ulong_t len; } attr_t;
typedef struct { ulong_t mechanism; void *parameter; ulong_t len; } mech_t;

/* Places in the function list, after its version. */
enum { INITIALIZE = 0, FINALIZE = 1, GET_SLOT_LIST = 4, OPEN_SESSION = 12, CLOSE_SESSION = 13, LOGIN = 18,
       CREATE = 20, DESTROY = 22, FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, SIGN_INIT = 42, SIGN = 43,
       GENERATE_PAIR = 59, RANDOM = 64, WAIT_FOR_SLOT_EVENT = 67 };

static void **p11;
static void *p11_library;

#define CALL(place, ...) (((fn_t)p11[place])(__VA_ARGS__))
#define OK(what) do { ulong_t rv_ = (what); if (rv_) { \
    fprintf(stderr, "%s:%d: %s = 0x%lx\n", __FILE__, __LINE__, #what, rv_); _exit(1); } } while (0)
#define IS(what, wanted) do { ulong_t rv_ = (what); if (rv_ != (wanted)) { \
    fprintf(stderr, "%s:%d: %s = 0x%lx, not 0x%lx\n", __FILE__, __LINE__, #what, rv_, (ulong_t)(wanted)); _exit(1); } } while (0)

#include <unistd.h>

static void p11_load(const char *path) {
    p11_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p11_library) { fprintf(stderr, "%s\n", dlerror()); _exit(1); }
    fn_t get = (fn_t)dlsym(p11_library, "C_GetFunctionList");
    char *list;
    OK(get(&list));
    p11 = (void **)(list + sizeof(void *));
}

/* The slot of the token. */
__attribute__((unused)) static ulong_t p11_slot(void) {
    const char *given = getenv("CANIS_TEST_SLOT");
    return given ? strtoul(given, NULL, 10) : 0;
}

/* A R/W session with the token, logged in as user. */
__attribute__((unused)) static ulong_t p11_session(void) {
    ulong_t session;
    OK(CALL(OPEN_SESSION, p11_slot(), 6UL, NULL, NULL, &session));
    ulong_t rv = CALL(LOGIN, session, 1UL, "1234", 4UL);
    if (rv != 0x100) OK(rv);
    return session;
}

/* Signs once with the first private key that the token has. */
__attribute__((unused)) static void p11_sign(ulong_t session) {
    ulong_t class = 3, key = 0, count = 0, len = 512;
    attr_t template = { 0, &class, sizeof class };
    unsigned char signature[512], digest[32] = { 7 };
    mech_t ecdsa = { 0x1041, NULL, 0 };
    OK(CALL(FIND_INIT, session, &template, 1UL));
    OK(CALL(FIND, session, &key, 1UL, &count));
    OK(CALL(FIND_FINAL, session));
    IS(count, 1);
    OK(CALL(SIGN_INIT, session, &ecdsa, key));
    OK(CALL(SIGN, session, digest, 32UL, signature, &len));
    IS(len, 64);
}

/* Makes a data object of the token, labelled `name` and a number. */
__attribute__((unused)) static void p11_data(ulong_t session, const char *name, int number) {
    char label[32];
    ulong_t class = 0, object, len = snprintf(label, sizeof label, "%s-%d", name, number);
    unsigned char yes = 1;
    attr_t template[] = { { 0, &class, sizeof class }, { 1, &yes, 1 }, { 3, label, len } };
    OK(CALL(CREATE, session, template, 3UL, &object));
}
