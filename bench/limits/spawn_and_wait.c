// How fast the kernel makes processes: posix_spawn and wait, again and again, in as many processes as asked for.
//
// spawn_and_wait COUNT PROCESSES prints how many /bin/true a second all of them got through together, and the median
// of the seconds that one posix_spawn took, which returns once the program is executed.

#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void run(long count, double *seconds) {
  char *command[] = {"/bin/true", NULL}, *environment[] = {"PATH=/usr/bin:/bin", NULL};
  for (long number = 0; number < count; number++) {
    pid_t pid;
    int status;
    double began = now();
    if (posix_spawn(&pid, command[0], NULL, NULL, command, environment) != 0) fail("posix_spawn");
    seconds[number] = now() - began;
    if (waitpid(pid, &status, 0) != pid || status != 0) fail("/bin/true");
  }
}

int main(int argc, char **argv) {
  long count = argc == 3 ? atol(argv[1]) : 0, processes = argc == 3 ? atol(argv[2]) : 0;
  if (count < 1 || processes < 1 || count % processes != 0) {
    fputs("usage: spawn_and_wait COUNT PROCESSES, which divides COUNT\n", stderr);
    return 2;
  }
  double *seconds = mmap(NULL, sizeof(double) * (size_t)count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (seconds == MAP_FAILED) fail("mmap");
  double began = now();
  for (long number = 0; number < processes; number++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
      run(count / processes, seconds + number * (count / processes));
      _exit(0);
    }
  }
  for (long number = 0; number < processes; number++) {
    int status;
    if (wait(&status) < 0 || status != 0) return 1;
  }
  double duration = now() - began;
  qsort(seconds, (size_t)count, sizeof(double), ascending);
  printf("%.9g %.9g\n", (double)count / duration, seconds[count / 2]);
  return 0;
}
