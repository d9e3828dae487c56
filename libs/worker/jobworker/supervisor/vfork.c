// Makes a job's first process in its cgroup without copying the process that makes it.
//
// The child borrows its parent's memory, as after vfork(2), while the parent waits until it has executed its program or
// failed. That is what posix_spawn(3) does, which before glibc 2.39 can't give a child its cgroup; and what Python can't
// do, since a child that runs Python in its parent's memory would change that.
//
// In the child only what vfork(2) allows happens: system calls, and nothing that returns from the function that made it.

#define _GNU_SOURCE

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STREAMS 3

// As `_Request` in vfork.py.
struct request {
  const char *program;
  char *const *arguments;
  char *const *environment;
  uint64_t ignored_signals;  // bit n: signal n is ignored here, and is not to be in the child
  int streams[STREAMS];      // none of them is below STREAMS
  int cgroup;                // a descriptor of its directory
};

// Makes a process as clone3(2) does. In this function's caller, not in one that libc returns from: the child would leave
// its parent another return address than it came with.
__attribute__((always_inline)) static inline long clone3(const struct clone_args *arguments) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = (long)arguments;
  register long size __asm__("x1") = sizeof *arguments;
  __asm__ volatile("svc #0" : "+r"(result) : "r"(number), "r"(size) : "memory");
  return result;
#else
  (void)arguments;
  return -ENOSYS;
#endif
}

// A function of its own, so that nothing of its caller's frame is written to.
__attribute__((noinline, noreturn)) static void become(const struct request *request, volatile int *failure) {
  setsid();
  for (int number = 0; number < STREAMS; number++) {
    if (dup2(request->streams[number], number) < 0) goto failed;
  }
  struct sigaction defaults = {.sa_handler = SIG_DFL};
  for (int signal = 1; signal < 64; signal++) {
    if (request->ignored_signals >> signal & 1) sigaction(signal, &defaults, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(request->program, request->arguments, request->environment);
failed:
  *failure = errno;
  _exit(127);
}

// Whether this processor's calls are known here; nothing else is to be called where they are not.
const int jobworker_can_vfork =
#if defined(__x86_64__) || defined(__aarch64__)
    1;
#else
    0;
#endif

// Returns the child's process id once it has executed its program; or the negative errno of what kept it from that, and
// in `exited` the process id of the child that is to be reaped; 0 if none was made.
int jobworker_vfork_into(const struct request *request, int *exited) {
  struct clone_args arguments = {
      // No handler of this process may run in its child: it would run in this process's memory.
      .flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND,
      .exit_signal = SIGCHLD,
      .cgroup = (uint64_t)request->cgroup,
  };
  volatile int failure = 0;
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  long pid = clone3(&arguments);
  if (pid == 0) become(request, &failure);
  sigprocmask(SIG_SETMASK, &before, NULL);
  *exited = pid > 0 && failure ? (int)pid : 0;
  return failure ? -failure : (int)pid;
}
