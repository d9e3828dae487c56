package jobworker_test

import (
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// A read passes its options on and gives the frames as they come.
func TestReadGivesTheFrames(t *testing.T) {
	s := &script{answers: []one{sends(gap(0, 3), data(3, "\xff\x00"), end(5))}}
	client := connect(t, &fakedaemon.Daemon{Read: s.read})
	lines := int64(20)
	var got []jobworker.Frame
	for frame, err := range client.Read(limited(t), jobID, jobworker.Stderr, jobworker.ReadOptions{Follow: true, TailLines: &lines, Limit: 9}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, frame)
	}
	if len(got) != 3 || !reflect.DeepEqual(got[:2], []jobworker.Frame{jobworker.Gap{To: 3}, jobworker.Data{Offset: 3, Bytes: []byte("\xff\x00")}}) {
		t.Error(got)
	}
	if last, ok := got[2].(jobworker.End); !ok || last.Offset != 5 || last.Job.Id != jobID {
		t.Error(got[2])
	}
	want := &jobworkerv1.ReadLogsRequest{JobId: jobID, Stream: jobworker.Stderr, Follow: true, TailLines: &lines, Limit: 9}
	if !proto.Equal(s.requests[0], want) {
		t.Error(s.requests[0])
	}
}

// A read that ends without its end mark has failed.
func TestReadWithoutEndIsBroken(t *testing.T) {
	s := &script{answers: []one{sends(data(0, "hello"))}}
	client := connect(t, &fakedaemon.Daemon{Read: s.read})
	var last error
	for _, err := range client.Read(limited(t), jobID, jobworker.Stdout, jobworker.ReadOptions{}) {
		last = err
	}
	failed(t, last, codes.Unavailable)
}

// To leave the loop ends the call.
func TestReadIsLeft(t *testing.T) {
	ended := make(chan struct{})
	client := connect(t, &fakedaemon.Daemon{Read: func(_ *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
		_ = send(call, data(0, "hello"))
		<-call.Context().Done()
		close(ended)
		return nil
	}})
	for _, err := range client.Read(limited(t), jobID, jobworker.Stdout, jobworker.ReadOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	<-ended
}
