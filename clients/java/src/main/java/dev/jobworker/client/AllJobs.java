package dev.jobworker.client;

import dev.jobworker.v1.Job;
import java.util.Iterator;
import java.util.NoSuchElementException;

/** Walks all pages of jobs; asks for no page before its first job is wanted. */
final class AllJobs implements Iterator<Job> {
  private final JobworkerClient client;
  private final int pageSize;
  private Iterator<Job> page;
  private String nextPageToken = "";

  AllJobs(JobworkerClient client, int pageSize) {
    this.client = client;
    this.pageSize = pageSize;
  }

  @Override
  public boolean hasNext() {
    while (page == null || (!page.hasNext() && !nextPageToken.isEmpty())) {
      Page next = client.list(pageSize, nextPageToken);
      page = next.jobs().iterator();
      nextPageToken = next.nextPageToken();
    }
    return page.hasNext();
  }

  @Override
  public Job next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return page.next();
  }
}
