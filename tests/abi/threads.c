/* 32 threads sign with one key, each in a session of its own, and each signature is verified; then threads go
 * on calling while the library is finalised under them: every call ends, with a code that says what happened. */
#include "abi.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 32, ROUNDS = 50 };

static struct CK_FUNCTION_LIST_3_0 *p11;
static CK_OBJECT_HANDLE public_key, private_key;
static atomic_int signatures, running, ended;

static void *signer(void *number) {
    CK_SESSION_HANDLE session = open_session(p11);
    for (int round = 0; round < ROUNDS; round++) {
        CK_BYTE digest[32] = {(CK_BYTE)(size_t)number, (CK_BYTE)round}, signature[64] = {0};
        OK(sign(p11, session, private_key, digest, signature));
        OK(verify(p11, session, public_key, digest, signature));
        /* A signature of another thread or round must not pass: answers are not mixed up. */
        digest[2] ^= 1;
        WANT(verify(p11, session, public_key, digest, signature), CKR_SIGNATURE_INVALID);
        signatures++;
    }
    OK(p11->C_CloseSession(session));
    return NULL;
}

static void *until_the_end(void *number) {
    (void)number;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_SLOT_ID slot = first_slot(p11);
    running++;
    for (;;) {
        CK_BYTE digest[32] = {1}, signature[64];
        CK_RV code = p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
        if (code == CKR_OK)
            code = sign(p11, session, private_key, digest, signature);
        if (code == CKR_CRYPTOKI_NOT_INITIALIZED) {
            ended++;
            return NULL;
        }
        WANT(code, CKR_OK, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID,
             CKR_OBJECT_HANDLE_INVALID, CKR_FUNCTION_CANCELED, CKR_OPERATION_NOT_INITIALIZED, CKR_SESSION_COUNT);
        if (code == CKR_OK)
            p11->C_CloseSession(session);
    }
}

static void *initializer(void *outcome) {
    *(CK_RV *)outcome = initialize(p11);
    return NULL;
}

int main(void) {
    void *library;
    pthread_t threads[THREADS];
    p11 = load(&library);

    /* All initialise at once: exactly one does it. */
    CK_RV outcomes[THREADS];
    for (int i = 0; i < THREADS; i++)
        THAT(pthread_create(&threads[i], NULL, initializer, &outcomes[i]) == 0);
    int first = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        WANT(outcomes[i], CKR_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED);
        first += outcomes[i] == CKR_OK;
    }
    THAT(first == 1);

    CK_SESSION_HANDLE session = open_session(p11);
    OK(log_in(p11, session));
    make_pair(p11, session, &public_key, &private_key);
    for (size_t i = 0; i < THREADS; i++)
        THAT(pthread_create(&threads[i], NULL, signer, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    THAT(signatures == THREADS * ROUNDS);

    for (int i = 0; i < THREADS; i++)
        THAT(pthread_create(&threads[i], NULL, until_the_end, NULL) == 0);
    while (running < THREADS)
        usleep(1000);
    OK(p11->C_Finalize(NULL));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    THAT(ended == THREADS);

    /* And it can begin again. */
    OK(initialize(p11));
    session = open_session(p11);
    OK(log_in(p11, session));
    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("threads");
}
