/* fork after C_Initialize: the child is told CKR_CRYPTOKI_NOT_INITIALIZED, or works after C_Initialize of its
 * own; the parent goes on with its session, its log-in and an operation it had begun; and children of a
 * parent with busy threads do not hang. */
#include "abi.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 8 };

static struct CK_FUNCTION_LIST_3_0 *p11;
static CK_OBJECT_HANDLE public_key, private_key;
static atomic_int stop;

static void child(CK_SESSION_HANDLE inherited) {
    CK_SESSION_INFO info;
    alarm(60); /* A child that hangs is a failure, not a test without end. */
    WANT(p11->C_GetSessionInfo(inherited, &info), CKR_CRYPTOKI_NOT_INITIALIZED);
    OK(initialize(p11));
    WANT(p11->C_GetSessionInfo(inherited, &info), CKR_SESSION_HANDLE_INVALID);
    CK_SESSION_HANDLE session = open_session(p11);
    OK(log_in(p11, session));
    CK_OBJECT_HANDLE public, private;
    make_pair(p11, session, &public, &private);
    CK_BYTE digest[32] = {7}, signature[64];
    OK(sign(p11, session, private, digest, signature));
    OK(verify(p11, session, public, digest, signature));
    OK(p11->C_Finalize(NULL));
    exit(0); /* through atexit and destructors, as programs do */
}

static void must_end_well(pid_t pid) {
    int status = 0;
    THAT(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("a child ended with status 0x%x", status);
    checks++;
}

static void *busy(void *unused) {
    (void)unused;
    CK_SESSION_HANDLE session = open_session(p11);
    while (!stop) {
        CK_BYTE digest[32] = {3}, signature[64];
        OK(sign(p11, session, private_key, digest, signature));
    }
    return NULL;
}

int main(void) {
    void *library;
    pthread_t threads[4];
    p11 = load(&library);
    OK(initialize(p11));
    CK_SESSION_HANDLE session = open_session(p11);
    OK(log_in(p11, session));
    make_pair(p11, session, &public_key, &private_key);

    CK_BYTE digest[32] = {9}, signature[64];
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_ULONG length = sizeof signature;
    OK(p11->C_SignInit(session, &mechanism, private_key));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child(session);
    /* While the child is at work, and after: the operation that was begun before the fork is the parent's. */
    OK(p11->C_Sign(session, digest, sizeof digest, signature, &length));
    must_end_well(pid);
    OK(verify(p11, session, public_key, digest, signature));

    /* A child that never initialises and just leaves, as a shell command does. */
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        exit(0);
    must_end_well(pid);
    OK(sign(p11, session, private_key, digest, signature));

    for (int i = 0; i < 4; i++)
        THAT(pthread_create(&threads[i], NULL, busy, NULL) == 0);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        fflush(NULL);
        children[i] = fork();
        if (children[i] == 0)
            child(session);
    }
    for (int i = 0; i < CHILDREN; i++)
        must_end_well(children[i]);
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("fork");
}
