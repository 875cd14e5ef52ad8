/* Has one call to the system fail, or all from one on: preloaded, and silent until `fault_arm` is called.

Only files below the directory that was armed count. A file is known by its path, or by what /proc/self/fd says of it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, SYNC, OPEN, RENAME, TRUNCATE, MKDIR, LINK, UNLINK, MMAP, KINDS };

static char place[PATH_MAX], hit[PATH_MAX];
#define LONGEST (1 << 20) /* of what is kept of the files that were met, a line for each call */

static char met[LONGEST];
static int armed, kind, error, sticky;
static long nth, counts[KINDS], hits, length_met;

/* Counts from 1, calls of `of` below `below`; fails the `n`th with `number`, and the later ones too where `for_good`. */
void fault_arm(const char *below, int of, int number, long n, int for_good)
{
    armed = 0;
    snprintf(place, sizeof place, "%s", below);
    kind = of, error = number, nth = n, sticky = for_good, hits = 0, hit[0] = 0;
    memset(counts, 0, sizeof counts);
    met[0] = length_met = 0;
    armed = 1;
}

void fault_disarm(void) { armed = 0; }
long fault_count(int of) { return counts[of]; }
long fault_hits(void) { return hits; }
const char *fault_met(void) { return met; }
const char *fault_hit(void) { return hit; } /* the first file that it met */

static int below(const char *path)
{
    size_t length = strlen(place);
    return strncmp(path, place, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* Whether this call, of a file below the directory, shall fail. */
static int strikes(int of, const char *path)
{
    if (!below(path))
        return 0;
    long count = __atomic_add_fetch(&counts[of], 1, __ATOMIC_SEQ_CST);
    if (kind < 0) {
        long at = __atomic_fetch_add(&length_met, strlen(path) + 3, __ATOMIC_SEQ_CST);
        if (at + (long)strlen(path) + 3 < LONGEST)
            sprintf(met + at, "%d %s\n", of, path);
    }
    if (of != kind || !(count == nth || (sticky && count > nth)))
        return 0;
    if (__atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST) == 1)
        snprintf(hit, sizeof hit, "%s", path);
    errno = error;
    return 1;
}

static int path_of(int handle, char *path)
{
    char name[64];
    int before = errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    errno = before;
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && path[0] == '/';
}

static int strikes_handle(int of, int handle)
{
    char path[PATH_MAX];
    return armed && path_of(handle, path) && strikes(of, path);
}

static int strikes_path(int of, int folder, const char *name)
{
    char start[PATH_MAX], path[2 * PATH_MAX];
    if (!armed || !name)
        return 0;
    if (name[0] == '/')
        return strikes(of, name);
    if (folder == AT_FDCWD ? !getcwd(start, sizeof start) : !path_of(folder, start))
        return 0;
    snprintf(path, sizeof path, "%s/%s", start, name);
    return strikes(of, path);
}

/* The system's own. */
#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) \
        real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define ON_HANDLE(result, of, name, handle, parameters, arguments, ...) \
    result name parameters \
    { \
        REAL(result, name, __VA_ARGS__); \
        return strikes_handle(of, handle) ? (result)-1 : real arguments; \
    }

/* A disk that fills up takes what still fits, and nothing after that. */
ssize_t write(int h, const void *b, size_t n)
{
    REAL(ssize_t, write, int, const void *, size_t);
    if (!strikes_handle(WRITE, h))
        return real(h, b, n);
    return error == ENOSPC && sticky && hits == 1 && n > 1 ? real(h, b, n / 2) : -1;
}

ON_HANDLE(ssize_t, WRITE, pwrite, h, (int h, const void *b, size_t n, off_t o), (h, b, n, o), int, const void *, size_t, off_t)
ON_HANDLE(ssize_t, WRITE, pwrite64, h, (int h, const void *b, size_t n, off64_t o), (h, b, n, o), int, const void *, size_t, off64_t)
ON_HANDLE(ssize_t, WRITE, writev, h, (int h, const struct iovec *v, int n), (h, v, n), int, const struct iovec *, int)
ON_HANDLE(int, SYNC, fsync, h, (int h), (h), int)
ON_HANDLE(int, SYNC, fdatasync, h, (int h), (h), int)
ON_HANDLE(int, TRUNCATE, ftruncate, h, (int h, off_t n), (h, n), int, off_t)
ON_HANDLE(int, TRUNCATE, ftruncate64, h, (int h, off64_t n), (h, n), int, off64_t)
ON_HANDLE(void *, MMAP, mmap, h, (void *a, size_t n, int p, int f, int h, off_t o), (a, n, p, f, h, o), void *, size_t, int, int, int, off_t)
ON_HANDLE(void *, MMAP, mmap64, h, (void *a, size_t n, int p, int f, int h, off64_t o), (a, n, p, f, h, o), void *, size_t, int, int, int, off64_t)

#define ON_PATH(of, name, folder, path, parameters, arguments, ...) \
    int name parameters \
    { \
        REAL(int, name, __VA_ARGS__); \
        return strikes_path(of, folder, path) ? -1 : real arguments; \
    }

ON_PATH(TRUNCATE, truncate, AT_FDCWD, p, (const char *p, off_t n), (p, n), const char *, off_t)
ON_PATH(TRUNCATE, truncate64, AT_FDCWD, p, (const char *p, off64_t n), (p, n), const char *, off64_t)
ON_PATH(MKDIR, mkdir, AT_FDCWD, p, (const char *p, mode_t m), (p, m), const char *, mode_t)
ON_PATH(MKDIR, mkdirat, d, p, (int d, const char *p, mode_t m), (d, p, m), int, const char *, mode_t)
ON_PATH(LINK, link, AT_FDCWD, q, (const char *p, const char *q), (p, q), const char *, const char *)
ON_PATH(LINK, linkat, e, q, (int d, const char *p, int e, const char *q, int f), (d, p, e, q, f), int, const char *, int, const char *, int)
ON_PATH(UNLINK, unlink, AT_FDCWD, p, (const char *p), (p), const char *)
ON_PATH(UNLINK, unlinkat, d, p, (int d, const char *p, int f), (d, p, f), int, const char *, int)
ON_PATH(UNLINK, rmdir, AT_FDCWD, p, (const char *p), (p), const char *)
ON_PATH(RENAME, rename, AT_FDCWD, q, (const char *p, const char *q), (p, q), const char *, const char *)
ON_PATH(RENAME, renameat, e, q, (int d, const char *p, int e, const char *q), (d, p, e, q), int, const char *, int, const char *)
ON_PATH(RENAME, renameat2, e, q, (int d, const char *p, int e, const char *q, unsigned f), (d, p, e, q, f), int, const char *, int, const char *, unsigned)

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, int); \
        va_end(rest); \
    }

/* A full disk still opens what is there. */
static int strikes_open(int folder, const char *name, int flags)
{
    if (armed && error == ENOSPC && kind == OPEN && !(flags & O_CREAT)) {
        kind = KINDS; /* counted, and let through */
        strikes_path(OPEN, folder, name);
        kind = OPEN;
        return 0;
    }
    return strikes_path(OPEN, folder, name);
}

#define OPENS(name) \
    int name(const char *p, int flags, ...) \
    { \
        MODE(flags) \
        REAL(int, name, const char *, int, ...); \
        return strikes_open(AT_FDCWD, p, flags) ? -1 : real(p, flags, mode); \
    }

#define OPENS_AT(name) \
    int name(int d, const char *p, int flags, ...) \
    { \
        MODE(flags) \
        REAL(int, name, int, const char *, int, ...); \
        return strikes_open(d, p, flags) ? -1 : real(d, p, flags, mode); \
    }

OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)
