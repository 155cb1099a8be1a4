// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "CLinux.h"

static void signal_set(sigset_t *set, const uint8_t *signals, size_t count) {
    if (count == 0) {
        sigfillset(set);
        return;
    }
    sigemptyset(set);
    for (size_t i = 0; i < count; i++) sigaddset(set, signals[i]);
}

int clinux_signalfd(int fd, const uint8_t *signals, size_t count) {
    sigset_t set;
    signal_set(&set, signals, count);
    return signalfd(fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_block_signals(const uint8_t *signals, size_t count) {
    sigset_t set;
    signal_set(&set, signals, count);
    return sigprocmask(SIG_BLOCK, &set, NULL);
}

int clinux_reset_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    // The C library keeps a few signals for itself and refuses them; the kernel resets those at execve(2).
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

int clinux_ignore_signal(int number) { return signal(number, SIG_IGN) == SIG_ERR ? -1 : 0; }

int clinux_read_signal(int fd, int32_t *pid) {
    struct signalfd_siginfo information;
    ssize_t size;
    do size = read(fd, &information, sizeof information);
    while (size < 0 && errno == EINTR);
    if (size < 0) return errno == EAGAIN ? 0 : -1;
    *pid = (int32_t)information.ssi_pid;
    return (int)information.ssi_signo;
}

int clinux_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); }

int clinux_timerfd_set(int fd, int64_t nanoseconds) {
    struct itimerspec timer = {
        .it_value = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000}};
    return timerfd_settime(fd, 0, &timer, NULL);
}

int clinux_open_pty_master(const char *ptmx) {
    int master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) return -1;
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) {
        int error = errno;
        close(master);
        errno = error;
        return -1;
    }
    return master;
}

int clinux_open_pty_peer(int master) { return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC); }

int clinux_pty_number(int master) {
    unsigned number;
    return ioctl(master, TIOCGPTN, &number) < 0 ? -1 : (int)number;
}

int clinux_set_window_size(int fd, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(fd, TIOCSWINSZ, &size);
}

int clinux_get_window_size(int fd, uint16_t *rows, uint16_t *columns) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -1;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}

int clinux_set_controlling_terminal(int fd) { return ioctl(fd, TIOCSCTTY, 0); }

int clinux_clear_onlcr(int fd) {
    struct termios settings;
    if (tcgetattr(fd, &settings) < 0) return -1;
    settings.c_oflag &= ~(tcflag_t)ONLCR;
    return tcsetattr(fd, TCSANOW, &settings);
}

int clinux_make_raw(int fd, void *saved) {
    struct termios settings;
    if (tcgetattr(fd, &settings) < 0) return -1;
    memcpy(saved, &settings, sizeof settings);
    cfmakeraw(&settings);
    return tcsetattr(fd, TCSANOW, &settings);
}

int clinux_restore_terminal(int fd, const void *saved) { return tcsetattr(fd, TCSANOW, saved); }

size_t clinux_termios_size(void) { return sizeof(struct termios); }
