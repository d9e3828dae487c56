package jobworker

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// Follow reads an output stream of a job from an offset until the stream is final. If the connection breaks, or the
// daemon is started anew, it reads on at its offset by itself, and says so with Resumed; after a minute without progress,
// or what Config.Patience says, it gives up. An error is the last thing that it gives; without one, End is.
func (c *Client) Follow(ctx context.Context, jobID string, stream Stream, offset int64) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		// The beginning of an id may fit another job by the time a broken read is resumed; the whole id never does.
		job, err := c.Get(ctx, jobID)
		if err != nil {
			yield(nil, err)
			return
		}
		f := &follow{client: c, outage: outage{patience: c.patience}, yield: yield}
		f.request = &jobworkerv1.ReadLogsRequest{JobId: job.Id, Stream: stream, Offset: offset, Follow: true}
		if err := f.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// errLeft says that the caller left the loop.
var errLeft = errors.New("left")

// follow is one follow, over as many calls as it takes.
type follow struct {
	client  *Client
	request *jobworkerv1.ReadLogsRequest // its offset is that of the byte that is due next
	outage  outage
	broken  error // what broke the last call, until the next one gives something
	yield   func(Frame, error) bool
}

// run reads to the end, again and again from where a call broke. It returns nil at the end, or if the caller left.
func (f *follow) run(ctx context.Context) error {
	for {
		err := f.read(ctx)
		if err == nil || errors.Is(err, errLeft) {
			return nil
		}
		if !f.resumable(err) {
			return err
		}
		f.broken = err
		if err := f.pause(ctx); err != nil {
			return err
		}
	}
}

// resumable tells whether an error is a break, or comes of the caller's context, which pause tells apart. CANCELLED, which
// the service never says, is also what gRPC makes of calls that have come, and are not begun, when their server is told to
// stop.
func (f *follow) resumable(err error) bool {
	code := status.Code(err)
	return (code == codes.Unavailable || code == codes.Canceled) && f.client.conn.GetState() != connectivity.Shutdown
}

// read makes one call.
func (f *follow) read(ctx context.Context) error {
	call, err := f.client.open(ctx, f.request)
	if err != nil {
		return err
	}
	defer call.cancel()
	began := time.Now()
	for {
		frame, err := call.next()
		if err != nil {
			f.outage.stood(time.Since(began))
			return err
		}
		if err := f.give(frame); err != nil {
			return err
		}
		if _, ended := frame.(End); ended {
			return nil
		}
	}
}

// give passes a frame on, if it is the one that is due: nothing is skipped or repeated.
func (f *follow) give(frame Frame) error {
	from, to := span(frame)
	if from != f.request.Offset || to < from {
		return failure(codes.DataLoss, "the daemon sent bytes %d to %d where byte %d was due; please report this",
			from, to, f.request.Offset)
	}
	f.outage.over()
	if f.broken != nil {
		resumed := Resumed{from, f.broken}
		f.broken = nil
		if !f.yield(resumed, nil) {
			return errLeft
		}
	}
	f.request.Offset = to
	if !f.yield(frame, nil) {
		return errLeft
	}
	return nil
}

// span returns where a frame begins and where the next one has to.
func span(frame Frame) (from, to int64) {
	switch frame := frame.(type) {
	case Data:
		return frame.Offset, frame.Offset + int64(len(frame.Bytes))
	case Gap:
		return frame.From, frame.To
	case End:
		return frame.Offset, frame.Offset
	default:
		return 0, -1
	}
}

// pause lets time pass before the next call. It returns an error if the client's patience or the caller's is over.
func (f *follow) pause(ctx context.Context) error {
	if ctx.Err() != nil {
		return explain(ctx, status.FromContextError(ctx.Err()).Err())
	}
	pause, more := f.outage.pause(time.Now(), rand.Float64())
	if !more {
		gaveUp := failure(codes.Unavailable, "gave up at byte %d after %s without progress: %s",
			f.request.Offset, f.outage.patience, f.broken)
		gaveUp.causes = append(gaveUp.causes, f.broken)
		return gaveUp
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return explain(ctx, status.FromContextError(ctx.Err()).Err())
	}
}
