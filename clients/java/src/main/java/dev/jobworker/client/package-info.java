/**
 * Drives a worker-daemon: starts commands as jobs on the daemon's host, stops them, tells their
 * state, and reads their output to the byte, also across broken connections. Wherever a job is
 * named, an unambiguous beginning of its id is enough.
 */
package dev.jobworker.client;
