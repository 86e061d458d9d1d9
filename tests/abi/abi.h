/* What the C programs of tests/abi share: loading the module as an application does, and checks that name
 * the call, the code that came and the codes that were allowed. The header of version 3.0 is NSS's; the
 * functions that version 3.2 adds are declared here. */
#ifndef CASEMATE_ABI_H
#define CASEMATE_ABI_H

#include <dlfcn.h>
#include <nss/pkcs11.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END (~(CK_RV)0)

/* PKCS#11 3.2, section 5: the functions after those of 3.0, in the order of CK_FUNCTION_LIST_3_2. */
struct additions_3_2 {
    CK_RV (*C_EncapsulateKey)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *,
                              CK_ULONG *, CK_OBJECT_HANDLE *);
    CK_RV (*C_DecapsulateKey)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *,
                              CK_ULONG, CK_OBJECT_HANDLE *);
    CK_RV (*C_VerifySignatureInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*C_VerifySignature)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*C_VerifySignatureUpdate)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
    CK_RV (*C_VerifySignatureFinal)(CK_SESSION_HANDLE);
    CK_RV (*C_GetSessionValidationFlags)(CK_SESSION_HANDLE, CK_ULONG, CK_FLAGS *);
    CK_RV (*C_AsyncComplete)(CK_SESSION_HANDLE, CK_UTF8CHAR *, void *);
    CK_RV (*C_AsyncGetID)(CK_SESSION_HANDLE, CK_UTF8CHAR *, CK_ULONG *);
    CK_RV (*C_AsyncJoin)(CK_SESSION_HANDLE, CK_UTF8CHAR *, CK_ULONG, CK_BYTE *, CK_ULONG);
    CK_RV (*C_WrapKeyAuthenticated)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE *,
                                    CK_ULONG, CK_BYTE *, CK_ULONG *);
    CK_RV (*C_UnwrapKeyAuthenticated)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG,
                                      CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_OBJECT_HANDLE *);
};

struct function_list_3_2 {
    struct CK_FUNCTION_LIST_3_0 base;
    struct additions_3_2 more;
};

static atomic_int checks;

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    /* _exit: the checks of what happens at exit are not those of a failure. */
    fflush(NULL);
    _Exit(1);
}

/* Fails unless `came` is one of the codes before END. */
static inline void expect(const char *file, int line, const char *call, CK_RV came, ...) {
    va_list allowed;
    va_start(allowed, came);
    for (CK_RV code = va_arg(allowed, CK_RV); code != END; code = va_arg(allowed, CK_RV)) {
        if (code == came) {
            va_end(allowed);
            checks++;
            return;
        }
    }
    va_end(allowed);
    die("%s:%d: %s gave 0x%lx", file, line, call, came);
}

#define WANT(call, ...) expect(__FILE__, __LINE__, #call, (call), __VA_ARGS__, END)
#define OK(call) WANT(call, (CK_RV)CKR_OK)
#define THAT(fact)                                          \
    do {                                                    \
        if (!(fact))                                        \
            die("%s:%d: not so: %s", __FILE__, __LINE__, #fact); \
        checks++;                                           \
    } while (0)

static inline const char *from_environment(const char *name) {
    const char *value = getenv(name);
    if (value == NULL)
        die("$%s is not set", name);
    return value;
}

/* Loads $MODULE; `*library` is the handle for dlclose. */
static inline struct CK_FUNCTION_LIST_3_0 *load(void **library) {
    *library = dlopen(from_environment("MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (*library == NULL)
        die("dlopen: %s", dlerror());
    CK_RV (*get)(CK_UTF8CHAR_PTR, CK_VERSION_PTR, CK_INTERFACE_PTR_PTR, CK_FLAGS);
    *(void **)&get = dlsym(*library, "C_GetInterface");
    if (get == NULL)
        die("no C_GetInterface: %s", dlerror());
    CK_VERSION version = {3, 0};
    CK_INTERFACE_PTR interface = NULL;
    OK(get(NULL, &version, &interface, 0));
    return interface->pFunctionList;
}

void __lsan_do_leak_check(void) __attribute__((weak));

/* Looks for leaks first, if built so: once the library is unloaded, what its own variables point at looks lost. */
static inline void unload(void *library) {
    if (__lsan_do_leak_check != NULL)
        __lsan_do_leak_check();
    OK((CK_RV)dlclose(library));
}

static inline CK_SLOT_ID first_slot(struct CK_FUNCTION_LIST_3_0 *p11) {
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    OK(p11->C_GetSlotList(CK_TRUE, slots, &count));
    THAT(count >= 1);
    return slots[0];
}

/* C_Initialize as programs with threads do it. */
static inline CK_RV initialize(struct CK_FUNCTION_LIST_3_0 *p11) {
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    return p11->C_Initialize(&arguments);
}

static inline CK_SESSION_HANDLE open_session(struct CK_FUNCTION_LIST_3_0 *p11) {
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    OK(p11->C_OpenSession(first_slot(p11), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    return session;
}

static inline CK_RV log_in(struct CK_FUNCTION_LIST_3_0 *p11, CK_SESSION_HANDLE session) {
    const char *pin = from_environment("PIN");
    return p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin));
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* A P-256 key pair of the session. */
static inline void make_pair(struct CK_FUNCTION_LIST_3_0 *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *public,
                             CK_OBJECT_HANDLE *private) {
    static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE outside[] = {{CKA_EC_PARAMS, p256, sizeof p256}, {CKA_VERIFY, &yes, 1}, {CKA_TOKEN, &no, 1}};
    CK_ATTRIBUTE inside[] = {{CKA_SIGN, &yes, 1}, {CKA_TOKEN, &no, 1}};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    OK(p11->C_GenerateKeyPair(session, &mechanism, outside, 3, inside, 2, public, private));
}

static inline CK_RV sign(struct CK_FUNCTION_LIST_3_0 *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                         CK_BYTE digest[32], CK_BYTE signature[64]) {
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_ULONG length = 64;
    CK_RV code = p11->C_SignInit(session, &mechanism, key);
    return code == CKR_OK ? p11->C_Sign(session, digest, 32, signature, &length) : code;
}

static inline CK_RV verify(struct CK_FUNCTION_LIST_3_0 *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                           CK_BYTE digest[32], CK_BYTE signature[64]) {
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_RV code = p11->C_VerifyInit(session, &mechanism, key);
    return code == CKR_OK ? p11->C_Verify(session, digest, 32, signature, 64) : code;
}

static inline int done(const char *program) {
    printf("%s: %d checks\n", program, checks);
    return 0;
}

#endif
