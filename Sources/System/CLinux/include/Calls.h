// SPDX-License-Identifier: Apache-2.0
// What Swift cannot call or should not do: variadic and unwrapped system calls, control-message macros, and the code
// that runs between clone(2) and execve(2). Functions return -1 and set errno unless they say otherwise.
#ifndef SWIFTLET_CLINUX_CALLS_H
#define SWIFTLET_CLINUX_CALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


// Files
int clinux_openat(int directory, const char *path, int flags, unsigned mode);
int clinux_fcntl(int fd, int command, long argument);
int clinux_ioctl(int fd, unsigned long request, void *argument);
int clinux_close_range(unsigned first, unsigned last, unsigned flags);
int clinux_memfd_create(const char *name, unsigned flags);
int clinux_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags);
/// The file system's magic number, or -1.
int64_t clinux_filesystem_type(int fd);
/// The ST_* mount flags of the file system, or -1.
int64_t clinux_filesystem_flags(int fd);

// Mounts
int clinux_pivot_root(const char *new_root, const char *put_old);
int clinux_open_tree(int directory, const char *path, unsigned flags);
int clinux_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int clinux_mount_setattr(
    int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation,
    int user_namespace);

// Processes
/// fork(2) into new namespaces (CLONE_NEW* and CLONE_PARENT in `flags`), optionally into a cgroup (directory
/// descriptor or -1). Only for single-threaded programs: the child goes on as the same program.
pid_t clinux_fork(uint64_t flags, int cgroup, int *pidfd);
int clinux_setns(int fd, int kinds);
int clinux_unshare(int kinds);
int clinux_pidfd_open(pid_t pid);
int clinux_pidfd_send_signal(int pidfd, int signal);
struct clinux_child_exit {
    pid_t pid;
    /// CLD_EXITED, CLD_KILLED or CLD_DUMPED
    int code;
    /// the exit code or the signal
    int status;
};
/// waitid(2) for WEXITED with `options` added; pid is 0 when WNOHANG found nothing.
int clinux_waitid(int id_type, unsigned id, int options, struct clinux_child_exit *result);
int clinux_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int clinux_execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags);
/// Lowest descriptors of the capability sets; see capget(2), version 3.
int clinux_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
int clinux_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int clinux_keyctl_join_session(const char *name);
int clinux_keyctl_describe(int32_t key, char *buffer, size_t size);
int clinux_keyctl_setperm(int32_t key, uint32_t permissions);
int clinux_personality(unsigned long persona);
int clinux_ioprio_set(int which, int who, int value);
struct clinux_scheduler {
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
int clinux_sched_setattr(const struct clinux_scheduler *attributes);
/// setgroups(2), setresgid(2) and setresuid(2) of the calling thread; the program must be single-threaded.
int clinux_setgroups(size_t count, const gid_t *groups);
int clinux_setresgid(gid_t gid);
int clinux_setresuid(uid_t uid);
int clinux_prlimit(pid_t pid, int resource, uint64_t soft, uint64_t hard);
int clinux_bpf(int command, void *attributes, unsigned size);

// Sockets
/// pipe2(2) and accept4(2), close-on-exec.
int clinux_pipe(int ends[2]);
int clinux_accept(int socket);
/// sendmsg(2) of `length` bytes with `count` descriptors (SCM_RIGHTS, at most 16).
ssize_t clinux_send_fds(int socket, const void *bytes, size_t length, const int *fds, size_t count, int flags);
/// recvmsg(2); received descriptors are close-on-exec and `*count` is set to their number (at most its value before).
ssize_t clinux_receive_fds(int socket, void *bytes, size_t length, int *fds, size_t *count, int flags);
/// connect(2) or bind(2) of a UNIX socket by path (at most 107 bytes).
int clinux_unix_connect(int socket, const char *path);
int clinux_unix_bind(int socket, const char *path);
/// The credentials of a UNIX socket's peer (SO_PEERCRED).
int clinux_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid);
/// Sets the loopback interface of the calling thread's network namespace up.
int clinux_loopback_up(void);

// Events
int clinux_signalfd(int fd, const uint8_t *signals, size_t count);
/// Blocks the signals, or all of them where count is 0; the old mask is kept for clinux_restore_signal_mask.
int clinux_block_signals(const uint8_t *signals, size_t count);
/// Unblocks every signal and gives each its default action: for a program that is about to execve(2).
int clinux_reset_signals(void);
int clinux_ignore_signal(int signal);
/// Reads one struct signalfd_siginfo; returns the signal's number, 0 at EAGAIN.
int clinux_read_signal(int fd, int32_t *pid);
int clinux_timerfd(void);
/// Arms a monotonic timer: nanoseconds from now, 0 disarms.
int clinux_timerfd_set(int fd, int64_t nanoseconds);

// Terminals
/// Opens a pseudo-terminal's master of the devpts that /dev/ptmx belongs to.
int clinux_open_pty_master(const char *ptmx);
/// Unlocks the other side and opens it through the master, so that no path is trusted (TIOCGPTPEER).
int clinux_open_pty_peer(int master);
int clinux_pty_number(int master);
int clinux_set_window_size(int fd, uint16_t rows, uint16_t columns);
int clinux_get_window_size(int fd, uint16_t *rows, uint16_t *columns);
int clinux_set_controlling_terminal(int fd);
/// Turns ONLCR off, as runc and crun do for the terminals that they hand out.
int clinux_clear_onlcr(int fd);
/// Puts a terminal in raw mode; `saved` (at least clinux_termios_size() bytes) keeps what it was.
int clinux_make_raw(int fd, void *saved);
int clinux_restore_terminal(int fd, const void *saved);
size_t clinux_termios_size(void);

// The clock
/// Whether a time service keeps the clock (adjtimex(2)): 1, 0, or -1 with errno.
int clinux_is_clock_synchronised(void);

// The heap of the C library
void clinux_heap_limit_arenas(int count);
void clinux_heap_trim(void);

// The program's own image
/// Unmaps the pages of the segments that nobody writes to, of the program and its libraries; they are read again when they are
/// used. The bytes of the segments, or -1.
int64_t clinux_release_read_only_segments(void);

#endif
