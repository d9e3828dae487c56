package dev.jobworker.client;

import com.google.protobuf.ByteString;
import dev.jobworker.v1.Job;

/** A piece of what a read gives. */
public sealed interface Frame {
  /**
   * A piece of the stream, exactly as the job wrote it. How a stream is divided has no meaning.
   *
   * @param offset of the first byte, counted from 0 at the stream's first one
   * @param bytes the bytes, never empty
   */
  record Data(long offset, ByteString bytes) implements Frame {}

  /**
   * Stands for bytes that the daemon has released, the oldest first, to keep the stream within its
   * size limit.
   *
   * @param from the first byte that is gone
   * @param to the first byte after it that is still there
   */
  record Gap(long from, long to) implements Frame {}

  /**
   * The last frame of every read that was complete. None that broke has it.
   *
   * @param offset where to read on; of a follow the stream's final size
   * @param job as it is at the end of the read
   */
  record End(long offset, Job job) implements Frame {}

  /**
   * Says that a follow had broken and goes on, with nothing lost or repeated. Only a follow gives
   * it.
   *
   * @param offset of the byte with which it goes on
   * @param cause what broke it
   */
  record Resumed(long offset, JobworkerException cause) implements Frame {}
}
