/* A PKCS#11 module in front of SoftHSM2: it writes down every call, and misbehaves as the file `rules` beside it says.
 *
 * A rule is a line `NAME WHAT`: `abort`, `segv`, `hang`, a number in hex that is the return code, or `once` and such a
 * number, which is given a single time; for C_EncryptInit also `own-iv`, as HSMs do that take no IV but their own, and for C_GetTokenInfo
 * `flags` and a number in hex, which is added to the token's. `NAME` is a function's, such as C_Decrypt. The calls are the lines of `calls`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

#define COUNT 68
struct list {
    unsigned char major, minor;
    function functions[COUNT];
};

/* PKCS#11 2.40: the members of CK_FUNCTION_LIST in their order. */
static const char *const names[COUNT] = {
    "C_Initialize", "C_Finalize", "C_GetInfo", "C_GetFunctionList", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo",
    "C_GetMechanismList", "C_GetMechanismInfo", "C_InitToken", "C_InitPIN", "C_SetPIN", "C_OpenSession",
    "C_CloseSession", "C_CloseAllSessions", "C_GetSessionInfo", "C_GetOperationState", "C_SetOperationState", "C_Login",
    "C_Logout", "C_CreateObject", "C_CopyObject", "C_DestroyObject", "C_GetObjectSize", "C_GetAttributeValue",
    "C_SetAttributeValue", "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_EncryptInit", "C_Encrypt",
    "C_EncryptUpdate", "C_EncryptFinal", "C_DecryptInit", "C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal",
    "C_DigestInit", "C_Digest", "C_DigestUpdate", "C_DigestKey", "C_DigestFinal", "C_SignInit", "C_Sign",
    "C_SignUpdate", "C_SignFinal", "C_SignRecoverInit", "C_SignRecover", "C_VerifyInit", "C_Verify", "C_VerifyUpdate",
    "C_VerifyFinal", "C_VerifyRecoverInit", "C_VerifyRecover", "C_DigestEncryptUpdate", "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate", "C_DecryptVerifyUpdate", "C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_UnwrapKey",
    "C_DeriveKey", "C_SeedRandom", "C_GenerateRandom", "C_GetFunctionStatus", "C_CancelFunction",
    "C_WaitForSlotEvent"};

static struct list *real, ours;

static void beside(const char *name, char *path, size_t room) {
    Dl_info self;
    char own[4096];
    if (!dladdr((void *)names, &self) || strlen(self.dli_fname) >= sizeof own)
        abort();
    strcpy(own, self.dli_fname);
    snprintf(path, room, "%s/%s", dirname(own), name);
}

static void write_down(const char *name) {
    char path[4200], line[80];
    beside("calls", path, sizeof path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof line, "%s\n", name);
    if (file < 0 || write(file, line, (size_t)length) != length)
        abort();
    close(file);
}

/* Whether a rule of this name was not used up; it is from now on. */
static int first_time(const char *name) {
    char file[100], path[4200];
    snprintf(file, sizeof file, "used-%s", name);
    beside(file, path, sizeof path);
    int used = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (used >= 0)
        close(used);
    return used >= 0;
}

/* The return code that a rule gives, or -1. */
static word misbehave(const char *name) {
    char path[4200], line[200], rule[100], what[100], number[100];
    beside("rules", path, sizeof path);
    FILE *rules = fopen(path, "re");
    word code = (word)-1;
    while (rules && fgets(line, sizeof line, rules)) {
        number[0] = 0;
        if (sscanf(line, "%99s %99s %99s", rule, what, number) < 2 || strcmp(rule, name) != 0)
            continue;
        if (strcmp(what, "abort") == 0)
            abort();
        if (strcmp(what, "segv") == 0)
            *(volatile int *)0 = 1;
        while (strcmp(what, "hang") == 0)
            sleep(1000);
        if (strcmp(what, "own-iv") == 0 || strcmp(what, "flags") == 0)
            continue;
        if (strcmp(what, "once") != 0)
            code = strtoul(what, NULL, 16);
        else if (first_time(name))
            code = strtoul(number, NULL, 16);
    }
    if (rules)
        fclose(rules);
    return code;
}

/* CK_MECHANISM and the beginning of CK_GCM_PARAMS. */
struct mechanism {
    word type;
    struct gcm {
        unsigned char *iv;
        word length;
    } *parameters;
};

/* Writes an IV of its own over the caller's, once for each encryption: the length may be asked for before. */
static void own_iv(struct mechanism *mechanism) {
    char path[4200], line[200];
    beside("rules", path, sizeof path);
    FILE *rules = fopen(path, "re");
    while (rules && mechanism->type == 0x1087 && fgets(line, sizeof line, rules))
        if (strncmp(line, "C_EncryptInit own-iv", 20) == 0)
            memset(mechanism->parameters->iv, 0xC5, mechanism->parameters->length);
    if (rules)
        fclose(rules);
}

/* The flags of CK_TOKEN_INFO stand behind four texts. */
struct token {
    char texts[96];
    word flags;
};

static void add_flags(struct token *token) {
    char path[4200], line[200];
    word more;
    beside("rules", path, sizeof path);
    FILE *rules = fopen(path, "re");
    while (rules && fgets(line, sizeof line, rules))
        if (sscanf(line, "C_GetTokenInfo flags %lx", &more) == 1)
            token->flags |= more;
    if (rules)
        fclose(rules);
}

/* Every function takes words, no more than eight, in the first registers and then on the stack; one that takes fewer does
 * not look at the rest. */
static word pass(int at, word a, word b, word c, word d, word e, word f, word g, word h) {
    write_down(names[at]);
    word code = misbehave(names[at]);
    if (strcmp(names[at], "C_EncryptInit") == 0)
        own_iv((struct mechanism *)b);
    if (code == (word)-1)
        code = real->functions[at](a, b, c, d, e, f, g, h);
    if (code == 0 && strcmp(names[at], "C_GetTokenInfo") == 0)
        add_flags((struct token *)b);
    return code;
}

#define WRAP(N) \
    static word wrap_##N(word a, word b, word c, word d, word e, word f, word g, word h) { \
        return pass(N, a, b, c, d, e, f, g, h); \
    }
#define ALL(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) \
    X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) \
    X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) \
    X(59) X(60) X(61) X(62) X(63) X(64) X(65) X(66) X(67)
ALL(WRAP)
#define NAME(N) wrap_##N,

word C_GetFunctionList(struct list **list) {
    static const function wraps[COUNT] = {ALL(NAME)};
    if (!real) {
        void *library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
        word (*of)(struct list **) = library ? (word(*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
        if (!of || of(&real) != 0)
            return 5; /* CKR_GENERAL_ERROR */
        ours.major = real->major;
        ours.minor = real->minor;
        memcpy(ours.functions, wraps, sizeof wraps);
    }
    *list = &ours;
    return 0;
}
