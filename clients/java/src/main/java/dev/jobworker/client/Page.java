package dev.jobworker.client;

import dev.jobworker.v1.Job;
import java.util.List;

/**
 * A page of jobs.
 *
 * @param jobs newest first
 * @param nextPageToken the token of the next page; empty after the last one
 */
public record Page(List<Job> jobs, String nextPageToken) {
  /** Keeps the list from being changed. */
  public Page {
    jobs = List.copyOf(jobs);
  }
}
