/* Loaded before the C library (LD_PRELOAD): makes fsync fail and moves the wall clock of one process. A file says what, which the test
 * changes while the process runs; it is mapped before the sandbox closes.
 *
 * byte 0: whether fsync fails; bytes 8 to 15: seconds that the clock is ahead, as the machine writes an int64_t. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile unsigned char *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("CASEMATE_SHIM");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *mapped = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(file);
}

static int fails(void) {
    if (control == NULL || control[0] == 0)
        return 0;
    errno = EIO;
    return 1;
}

int fsync(int file) {
    return fails() ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return fails() ? -1 : (int)syscall(SYS_fdatasync, file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && control != NULL) {
        int64_t ahead;
        memcpy(&ahead, (const void *)(control + 8), sizeof ahead);
        now->tv_sec += ahead;
    }
    return result;
}
