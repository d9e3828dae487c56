// A job that writes small lines: write_lines COUNT writes so many of 100 bytes to its stdout, with one write(2) each.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char line[100];
  if (argc != 2) {
    fputs("usage: write_lines COUNT\n", stderr);
    return 2;
  }
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\n';
  for (long left = atol(argv[1]); left > 0; left--) {
    if (write(STDOUT_FILENO, line, sizeof line) != sizeof line) {
      perror("write");
      return 1;
    }
  }
  return 0;
}
