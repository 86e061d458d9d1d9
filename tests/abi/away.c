/* A program that starts while every HSM is away: the module loads, the slot and its token are there, and what needs an
 * HSM says so at the deadline. When the HSM comes, all of it works, without a restart; when it goes again, the log gets
 * one line, and one more when it is back, however many calls failed between.
 * $KILL and $START are commands; $LOG_FILE is the log of the configuration, whose deadline is $DEADLINE_MS. */
#include "abi.h"

#include <time.h>

static struct CK_FUNCTION_LIST_3_0 *p11;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void run(const char *name) {
    if (system(from_environment(name)) != 0)
        die("$%s failed", name);
}

/* How many lines of the log have `text` in them; with NULL, how many there are. */
static int logged(const char *text) {
    FILE *file = fopen(from_environment("LOG_FILE"), "r");
    char line[4096];
    int count = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += text == NULL || strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

static void at_the_deadline(CK_RV code, double began) {
    double deadline = atof(from_environment("DEADLINE_MS")), took = now() - began;
    WANT(code, CKR_DEVICE_ERROR);
    if (took < deadline / 2 || took > deadline + 3000) /* never for ever, and not before it was tried */
        die("a call took %.0f ms of a deadline of %.0f ms", took, deadline);
    checks++;
}

int main(void) {
    void *library;
    run("KILL");
    p11 = load(&library);
    OK(initialize(p11));
    CK_TOKEN_INFO token;
    CK_SLOT_INFO slot;
    CK_MECHANISM_INFO mechanism;
    CK_ULONG count = 0;
    OK(p11->C_GetSlotInfo(first_slot(p11), &slot));
    THAT(slot.flags & CKF_TOKEN_PRESENT);
    OK(p11->C_GetTokenInfo(first_slot(p11), &token));
    THAT(token.flags & CKF_TOKEN_INITIALIZED);
    OK(p11->C_GetMechanismList(first_slot(p11), NULL, &count));
    THAT(count > 40);
    OK(p11->C_GetMechanismInfo(first_slot(p11), CKM_ECDSA, &mechanism));
    CK_SESSION_HANDLE session = open_session(p11);
    double began = now();
    at_the_deadline(log_in(p11, session), began);
    CK_BYTE random[8], digest[32] = {1}, signature[64];
    CK_OBJECT_HANDLE pair[2];
    CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};
    OK(p11->C_DigestInit(session, &sha256)); /* digests are made here */
    count = sizeof digest;
    OK(p11->C_Digest(session, random, 0, digest, &count));
    began = now();
    at_the_deadline(p11->C_GenerateRandom(session, random, sizeof random), began);
    THAT(logged(NULL) == 1 && logged("no HSM can be reached") == 1);

    run("START");
    OK(log_in(p11, session));
    make_pair(p11, session, &pair[0], &pair[1]);
    OK(sign(p11, session, pair[1], digest, signature));
    THAT(logged(NULL) == 2 && logged("the HSM is back") == 1);

    run("KILL");
    for (int call = 0; call < 4; call++) {
        began = now();
        at_the_deadline(p11->C_GenerateRandom(session, random, sizeof random), began);
    }
    THAT(logged(NULL) == 3);
    run("START");
    /* The log-in, the session and its key are as they were. */
    OK(sign(p11, session, pair[1], digest, signature));
    OK(verify(p11, session, pair[0], digest, signature));
    THAT(logged(NULL) == 4 && logged("the HSM is back") == 2);
    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("away");
}
