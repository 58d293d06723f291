/* Preloaded into a process under test: a disk that fails once, when the file named by FAILING_DISK appears.
   Its content says how: "sync" fails the next fdatasync or fsync with EIO, "full" the next write with ENOSPC.
   The file is removed first, so the fault happens once: whoever tries again would be told that all is well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(const char *kind)
{
    const char *path = getenv("FAILING_DISK");
    char found[8] = {0};
    int fd;
    if (!path || (fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY)) < 0)
        return 0;
    (void)!read(fd, found, sizeof found - 1);
    close(fd);
    return !strncmp(found, kind, 4) && !unlink(path);
}

int fdatasync(int fd)
{
    if (fails("sync")) { errno = EIO; return -1; }
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    if (fails("sync")) { errno = EIO; return -1; }
    return (int)syscall(SYS_fsync, fd);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off_t at)
{
    if (fails("full")) { errno = ENOSPC; return -1; }
    return syscall(SYS_pwrite64, fd, from, count, at);
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at)
{
    return pwrite64(fd, from, count, at);
}
