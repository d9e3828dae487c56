package jobworker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// one answers one ReadLogs.
type one func(*jobworkerv1.ReadLogsRequest, fakedaemon.ReadCall) error

// script answers each ReadLogs with the next of its functions, and keeps the requests.
type script struct {
	answers  []one
	requests []*jobworkerv1.ReadLogsRequest
}

func (s *script) read(request *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
	s.requests = append(s.requests, request)
	if len(s.requests) > len(s.answers) {
		return status.Error(codes.Internal, "the test expects no more calls")
	}
	return s.answers[len(s.requests)-1](request, call)
}

func (s *script) offsets() []int64 {
	var offsets []int64
	for _, request := range s.requests {
		offsets = append(offsets, request.Offset)
	}
	return offsets
}

func sends(frames ...*jobworkerv1.ReadLogsResponse) one {
	return func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error { return send(call, frames...) }
}

func fails(code codes.Code, frames ...*jobworkerv1.ReadLogsResponse) one {
	return func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
		if err := send(call, frames...); err != nil {
			return err
		}
		return status.Error(code, "as the test has it")
	}
}

// taken is what a follow gave.
type taken struct {
	text    string
	gaps    []jobworker.Gap
	resumed []int64
	end     *jobworker.End
	err     error
}

func follow(ctx context.Context, client *jobworker.Client, offset int64) taken {
	var got taken
	for frame, err := range client.Follow(ctx, jobID[:4], jobworker.Stdout, offset) {
		if err != nil {
			got.err = err
			continue
		}
		switch frame := frame.(type) {
		case jobworker.Data:
			got.text += string(frame.Bytes)
		case jobworker.Gap:
			got.gaps = append(got.gaps, frame)
		case jobworker.Resumed:
			got.resumed = append(got.resumed, frame.Offset)
		case jobworker.End:
			got.end = &frame
		}
	}
	return got
}

// complete checks that a follow came to the end of "hello, world".
func (got taken) complete(t *testing.T, text string) {
	t.Helper()
	if got.err != nil || got.text != text || got.end == nil || got.end.Offset != 12 || got.end.Job.Id != jobID {
		t.Fatalf("it gave %+v", got)
	}
}

// After each kind of break, the connection's own among them, a follow reads on at its byte, by the job's whole id.
func TestFollowResumesAtItsOffset(t *testing.T) {
	daemon := &fakedaemon.Daemon{Get: known}
	cut := func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
		if err := send(call, data(7, "wo")); err != nil {
			return err
		}
		<-call.Context().Done()
		return call.Context().Err()
	}
	s := &script{answers: []one{
		fails(codes.Unavailable, data(0, "hello")),
		fails(codes.Canceled, data(5, ", ")),
		cut,
		sends(data(9, "r")), // an end without its mark
		sends(data(10, "ld"), end(12)),
	}}
	daemon.Read = s.read
	client := connect(t, daemon)
	var got taken
	for frame, err := range client.Follow(limited(t), jobID[:4], jobworker.Stdout, 0) {
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case jobworker.Data:
			got.text += string(frame.Bytes)
			if frame.Offset == 7 {
				daemon.Cut()
			}
		case jobworker.Resumed:
			got.resumed = append(got.resumed, frame.Offset)
		case jobworker.End:
			got.end = &frame
		}
	}
	got.complete(t, "hello, world")
	if want := []int64{0, 5, 7, 9, 10}; !slices.Equal(s.offsets(), want) || !slices.Equal(got.resumed, want[1:]) {
		t.Errorf("it read from %v, and said it resumed at %v", s.offsets(), got.resumed)
	}
	for _, request := range s.requests {
		if request.JobId != jobID || !request.Follow || request.Stream != jobworker.Stdout {
			t.Error(request)
		}
	}
}

// A gap is told, and a follow goes on behind it, also when it breaks there.
func TestFollowTellsOfGaps(t *testing.T) {
	s := &script{answers: []one{fails(codes.Unavailable, gap(2, 7)), sends(data(7, "world"), end(12))}}
	got := follow(limited(t), connect(t, &fakedaemon.Daemon{Get: known, Read: s.read}), 2)
	got.complete(t, "world")
	if !slices.Equal(got.gaps, []jobworker.Gap{{From: 2, To: 7}}) || !slices.Equal(s.offsets(), []int64{2, 7}) {
		t.Errorf("it gave %+v after reading from %v", got, s.offsets())
	}
}

// What the daemon refuses is not tried again.
func TestFollowEndsWithARefusal(t *testing.T) {
	for _, code := range []codes.Code{codes.NotFound, codes.PermissionDenied, codes.OutOfRange, codes.ResourceExhausted, codes.Internal} {
		s := &script{answers: []one{fails(code)}}
		got := follow(limited(t), connect(t, &fakedaemon.Daemon{Get: known, Read: s.read}), 0)
		failed(t, got.err, code)
		if len(s.requests) != 1 || got.end != nil {
			t.Errorf("after %d calls it gave %+v", len(s.requests), got)
		}
	}
}

// A job that does not exist is said before anything is read.
func TestFollowOfNoJob(t *testing.T) {
	daemon := &fakedaemon.Daemon{Get: func(*jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) {
		return nil, status.Error(codes.NotFound, "no job")
	}}
	failed(t, follow(limited(t), connect(t, daemon), 0).err, codes.NotFound)
}

// Bytes that come twice, or are left out without a gap, are an error and never passed on.
func TestFollowRefusesBytesThatAreNotDue(t *testing.T) {
	for name, frames := range map[string][]*jobworkerv1.ReadLogsResponse{
		"repeated":          {data(0, "hello"), data(4, "o, ")},
		"left out":          {data(0, "hello"), data(6, " ")},
		"ended early":       {data(0, "hello"), end(4)},
		"a gap backwards":   {data(0, "hello"), gap(5, 3)},
		"a frame of no use": {data(0, "hello"), {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []one{sends(frames...)}}
			got := follow(limited(t), connect(t, &fakedaemon.Daemon{Get: known, Read: s.read}), 0)
			failed(t, got.err, codes.DataLoss)
			if got.text != "hello" || len(s.requests) != 1 {
				t.Errorf("after %d calls it gave %+v", len(s.requests), got)
			}
		})
	}
}

// Without progress for as long as its patience is, a follow gives up, says where, and keeps what broke it.
func TestFollowGivesUp(t *testing.T) {
	s := &script{}
	for range 100 {
		s.answers = append(s.answers, fails(codes.Unavailable))
	}
	s.answers[0] = fails(codes.Unavailable, data(0, "hello"))
	daemon := &fakedaemon.Daemon{Get: known, Read: s.read}
	daemon.Serve(t)
	client := connectAs(t, jobworker.Config{
		Address: daemon.Address, CA: daemon.CA, Cert: daemon.Cert, Key: daemon.Key, Patience: 300 * time.Millisecond,
	})
	got := follow(limited(t), client, 0)
	failed(t, got.err, codes.Unavailable)
	if !strings.Contains(got.err.Error(), "gave up at byte 5 after 300ms") || !strings.Contains(got.err.Error(), "as the test has it") {
		t.Error(got.err)
	}
	if got.text != "hello" || len(got.resumed) != 0 || len(s.requests) < 3 {
		t.Errorf("after %d calls it gave %+v", len(s.requests), got)
	}
}

// The caller's own cancellation is no break: the follow ends, also in a pause.
func TestFollowEndsWithItsContext(t *testing.T) {
	for name, answer := range map[string]one{
		"waiting": func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
			_ = send(call, data(0, "hello"))
			<-call.Context().Done()
			return nil
		},
		"broken": fails(codes.Unavailable, data(0, "hello")),
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []one{answer}}
			client := connect(t, &fakedaemon.Daemon{Get: known, Read: s.read})
			ctx, cancel := context.WithCancel(limited(t))
			defer cancel()
			var last error
			for _, err := range client.Follow(ctx, jobID, jobworker.Stdout, 0) {
				last = err
				cancel()
			}
			failed(t, last, codes.Canceled)
			if !errors.Is(last, context.Canceled) || len(s.requests) != 1 {
				t.Errorf("after %d calls: %v", len(s.requests), last)
			}
		})
	}
}

// Neither is the client's end.
func TestFollowEndsWithItsClient(t *testing.T) {
	s := &script{answers: []one{func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
		_ = send(call, data(0, "hello"))
		<-call.Context().Done()
		return nil
	}}}
	client := connect(t, &fakedaemon.Daemon{Get: known, Read: s.read})
	var last error
	for _, err := range client.Follow(limited(t), jobID, jobworker.Stdout, 0) {
		last = err
		_ = client.Close()
	}
	failed(t, last, codes.Canceled)
	if len(s.requests) != 1 {
		t.Errorf("there were %d calls", len(s.requests))
	}
}

// To leave the loop ends the call, at whichever frame.
func TestFollowIsLeft(t *testing.T) {
	ended := make(chan struct{}, 2)
	waits := func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
		_ = send(call, data(5, "hello"))
		<-call.Context().Done()
		ended <- struct{}{}
		return nil
	}
	s := &script{answers: []one{fails(codes.Unavailable, data(0, "hello")), waits}}
	client := connect(t, &fakedaemon.Daemon{Get: known, Read: s.read})
	for frame, err := range client.Follow(limited(t), jobID, jobworker.Stdout, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if _, resumed := frame.(jobworker.Resumed); resumed {
			break
		}
	}
	<-ended
}
