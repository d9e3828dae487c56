package jobworker

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc/codes"

	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// Stream is an output stream of a job.
type Stream = jobworkerv1.LogStream

// The two streams that a job has.
const (
	Stdout Stream = jobworkerv1.LogStream_LOG_STREAM_STDOUT
	Stderr Stream = jobworkerv1.LogStream_LOG_STREAM_STDERR
)

// Frame is a piece of what a read gives: Data, Gap or End, and of Follow also Resumed.
type Frame interface{ frame() }

// Data is a piece of the stream, exactly as the job wrote it. How a stream is divided has no meaning.
type Data struct {
	Offset int64 // of the first byte, counted from 0 at the stream's first one
	Bytes  []byte
}

// Gap stands for bytes that the daemon has released, the oldest first, to keep the stream within its size limit.
type Gap struct {
	From, To int64 // the first byte that is gone, and the first after it that is still there
}

// End is the last frame of every read that was complete. None that broke has it.
type End struct {
	Offset int64 // where to read on; of a follow the stream's final size
	Job    *Job  // as it is at the end of the read
}

// Resumed says that a follow had broken and goes on, with nothing lost or repeated.
type Resumed struct {
	Offset int64 // of the byte with which it goes on
	Cause  error // what broke it
}

func (Data) frame()    {}
func (Gap) frame()     {}
func (End) frame()     {}
func (Resumed) frame() {}

// ReadOptions says what Read reads. The zero value reads all that there is now.
type ReadOptions struct {
	// Offset is the first byte wanted.
	Offset int64
	// Follow waits for more output at the end of what there is now, until the stream is final.
	Follow bool
	// TailLines, if set, begins so many lines before the end, in place of at Offset.
	TailLines *int64
	// Limit is the most bytes to read; zero is no limit.
	Limit int64
}

// Read reads an output stream of a job with one call, which may break: Follow is what goes on by itself. An error is the
// last thing that it gives; without one, End is. To leave the loop ends the call.
func (c *Client) Read(ctx context.Context, jobID string, stream Stream, options ReadOptions) iter.Seq2[Frame, error] {
	request := &jobworkerv1.ReadLogsRequest{
		JobId:     jobID,
		Stream:    stream,
		Offset:    options.Offset,
		Follow:    options.Follow,
		TailLines: options.TailLines,
		Limit:     options.Limit,
	}
	return func(yield func(Frame, error) bool) {
		call, err := c.open(ctx, request)
		if err != nil {
			yield(nil, err)
			return
		}
		defer call.cancel()
		for {
			frame, err := call.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if _, ended := frame.(End); !yield(frame, nil) || ended {
				return
			}
		}
	}
}

// call is one ReadLogs under way.
type call struct {
	ctx    context.Context // the caller's
	cancel context.CancelFunc
	stream jobworkerv1.JobWorkerService_ReadLogsClient
}

// open begins a call. Without an error it has reached the daemon.
func (c *Client) open(ctx context.Context, request *jobworkerv1.ReadLogsRequest) (*call, error) {
	own, cancel := context.WithCancel(ctx)
	stream, err := c.service.ReadLogs(own, request)
	if err != nil {
		cancel()
		return nil, explain(ctx, err)
	}
	return &call{ctx, cancel, stream}, nil
}

// next returns the next frame. After End there is none.
func (c *call) next() (Frame, error) {
	response, err := c.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, failure(codes.Unavailable, "the daemon ended the output without its end mark")
	}
	if err != nil {
		return nil, explain(c.ctx, err)
	}
	switch frame := response.Frame.(type) {
	case *jobworkerv1.ReadLogsResponse_Data:
		return Data{frame.Data.Offset, frame.Data.Data}, nil
	case *jobworkerv1.ReadLogsResponse_Gap:
		return Gap{frame.Gap.From, frame.Gap.To}, nil
	case *jobworkerv1.ReadLogsResponse_End:
		// The status comes after it. To cancel before that would make a failure of a good call in the daemon's log.
		_, _ = c.stream.Recv()
		return End{frame.End.Offset, frame.End.Job}, nil
	default:
		return nil, failure(codes.DataLoss, "the daemon sent a frame that this client does not know")
	}
}
