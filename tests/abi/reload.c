/* dlopen, use, dlclose, again and again: no thread and no descriptor stays; dlclose without C_Finalize, after which the library may
 * still be there, for it is unmapped when the threads that used it have ended; a thread that ends after dlclose; the end of
 * the process with sessions open, and C_Finalize in an atexit handler older than the module. */
#include "abi.h"

#include <pthread.h>

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

static int entries(const char *directory) {
    int count = 0;
    DIR *open = opendir(directory);
    THAT(open != NULL);
    while (readdir(open) != NULL)
        count++;
    closedir(open);
    return count;
}

static void use(int finalize) {
    void *library;
    struct CK_FUNCTION_LIST_3_0 *p11 = load(&library);
    WANT(initialize(p11), CKR_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED);
    CK_SESSION_HANDLE session = open_session(p11);
    WANT(log_in(p11, session), CKR_OK, CKR_USER_ALREADY_LOGGED_IN);
    CK_OBJECT_HANDLE public, private;
    make_pair(p11, session, &public, &private);
    CK_BYTE digest[32] = {5}, signature[64];
    OK(sign(p11, session, private, digest, signature));
    OK(verify(p11, session, public, digest, signature));
    if (finalize)
        OK(p11->C_Finalize(NULL));
    unload(library);
}

/* Loads, initialises, finalises and unloads without a call to an HSM, and ends. */
static void *brief(void *unused) {
    void *library;
    struct CK_FUNCTION_LIST_3_0 *p11 = load(&library);
    OK(initialize(p11));
    OK(p11->C_Finalize(NULL));
    OK((CK_RV)dlclose(library));
    return unused;
}

static struct CK_FUNCTION_LIST_3_0 *loaded;

static void finalize_late(void) {
    /* Whatever it answers, it must return: the module's own exit handlers have run before this one. */
    CK_RV code = loaded->C_Finalize(NULL);
    if (code != CKR_OK && code != CKR_CRYPTOKI_NOT_INITIALIZED)
        _Exit(3);
}

static void leave(int how) {
    void *library;
    alarm(60);
    if (how == 1)
        atexit(finalize_late);
    loaded = load(&library);
    OK(initialize(loaded));
    CK_SESSION_HANDLE session = open_session(loaded);
    OK(log_in(loaded, session));
    CK_OBJECT_HANDLE public, private;
    make_pair(loaded, session, &public, &private);
    if (how == 2)
        atexit(finalize_late);
    exit(0);
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 3; i++) {
        THAT(pthread_create(&thread, NULL, brief, NULL) == 0);
        THAT(pthread_join(thread, NULL) == 0);
    }
    use(1);
    int threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    for (int i = 0; i < 10; i++)
        use(1);
    THAT(entries("/proc/self/task") == threads);
    THAT(entries("/proc/self/fd") == descriptors);
    use(0);
    use(0);
    use(1);
    for (int how = 0; how < 3; how++) {
        int status = 0;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            leave(how);
        THAT(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            die("leaving in way %d ended with status 0x%x", how, status);
    }
    return done("reload");
}
