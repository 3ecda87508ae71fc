// Counts the system calls that change files below one folder, and refuses some of them; see system_calls.py.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t length;  // of the folder's name; 0: nothing is counted yet
static long left;      // changes that still succeed
static int refusal;    // an error number; 0: the process dies
static int stays;      // whether all further changes are refused too
static int refuses_removal;  // a full disk still removes files
static int log_file = -1;

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

// Begins to count. Called once, from Python, when the folder is known.
void watch_changes(const char *path, long before, int error, int from_then_on, int removal, const char *log) {
    log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    left = before;
    refusal = error;
    stays = from_then_on;
    refuses_removal = removal;
    snprintf(folder, sizeof folder, "%s", path);
    length = strlen(folder);
}

// How many more would succeed.
long changes_left(void) { return left; }

static int is_refused(const char *call, const char *path) {
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/'))
        return 0;
    if (__atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST) > 0)
        return 0;
    if (left < -1 && !stays)
        return 0;
    dprintf(log_file, "%s %s\n", call, path + length);
    if (!refusal)
        kill(getpid(), SIGKILL);
    errno = refusal;
    return 1;
}

static int at_path(const char *call, int parent, const char *path) {
    char whole[2 * PATH_MAX], link[64];
    if (!length || !path)
        return 0;
    if (path[0] == '/')
        return is_refused(call, path);
    snprintf(link, sizeof link, parent == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", parent);
    ssize_t size = readlink(link, whole, PATH_MAX - 1);
    if (size < 0)
        return 0;
    snprintf(whole + size, PATH_MAX, "/%s", path);
    return is_refused(call, whole);
}

static int at_file(const char *call, int file) {
    char whole[PATH_MAX], link[64];
    if (!length)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, whole, sizeof whole - 1);
    if (size <= 0)
        return 0;
    whole[size] = 0;
    return is_refused(call, whole);
}

#define FILE_CALL(type, name, parameters, values)                                                                      \
    type name parameters {                                                                                             \
        REAL(name);                                                                                                    \
        return at_file(#name, file) ? -1 : real values;                                                                \
    }
FILE_CALL(ssize_t, write, (int file, const void *data, size_t size), (file, data, size))
FILE_CALL(ssize_t, writev, (int file, const struct iovec *data, int count), (file, data, count))
FILE_CALL(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
FILE_CALL(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
FILE_CALL(ssize_t, sendfile, (int file, int from, off_t *at, size_t size), (file, from, at, size))
FILE_CALL(int, ftruncate, (int file, off_t size), (file, size))
FILE_CALL(int, ftruncate64, (int file, off64_t size), (file, size))
FILE_CALL(int, fallocate, (int file, int mode, off_t at, off_t size), (file, mode, at, size))
FILE_CALL(int, fsync, (int file), (file))
FILE_CALL(int, fdatasync, (int file), (file))

#define PATH_CALL(name, parameters, parent, path, values, applies)                                                     \
    int name parameters {                                                                                              \
        REAL(name);                                                                                                    \
        return (applies) && at_path(#name, parent, path) ? -1 : real values;                                           \
    }
PATH_CALL(mkdir, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode), 1)
PATH_CALL(mkdirat, (int parent, const char *path, mode_t mode), parent, path, (parent, path, mode), 1)
PATH_CALL(rmdir, (const char *path), AT_FDCWD, path, (path), refuses_removal)
PATH_CALL(unlink, (const char *path), AT_FDCWD, path, (path), refuses_removal)
PATH_CALL(unlinkat, (int parent, const char *path, int flags), parent, path, (parent, path, flags), refuses_removal)
PATH_CALL(rename, (const char *path, const char *target), AT_FDCWD, target, (path, target), 1)
PATH_CALL(renameat, (int parent, const char *path, int other, const char *target), other, target,
          (parent, path, other, target), 1)

#define OPENING(name, ...)                                                                                             \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }                                                                                                                  \
    REAL(name);
// To open for reading is no change; to open a file that is there for writing is one on a read-only disk.
#define OPENS(parent) ((flags & O_ACCMODE) != O_RDONLY && at_path("open", parent, path))
int open(const char *path, int flags, ...) {
    OPENING(open)
    return OPENS(AT_FDCWD) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    OPENING(open64)
    return OPENS(AT_FDCWD) ? -1 : real(path, flags, mode);
}
int openat(int parent, const char *path, int flags, ...) {
    OPENING(openat)
    return OPENS(parent) ? -1 : real(parent, path, flags, mode);
}
int openat64(int parent, const char *path, int flags, ...) {
    OPENING(openat64)
    return OPENS(parent) ? -1 : real(parent, path, flags, mode);
}
