package jobworker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// An error has all that the daemon says of it for programs.
func TestErrorHasTheDetails(t *testing.T) {
	client := connect(t, &fakedaemon.Daemon{Get: func(*jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) {
		state, err := status.New(codes.InvalidArgument, "several jobs").WithDetails(
			&errdetails.ErrorInfo{Reason: "AMBIGUOUS_JOB_ID", Domain: "jobworker", Metadata: map[string]string{"jobs": "2"}},
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "job_id"}}},
		)
		if err != nil {
			return nil, err
		}
		return nil, state.Err()
	}})
	_, err := client.Get(limited(t), "5")
	got := failed(t, err, codes.InvalidArgument)
	if got.Reason != "AMBIGUOUS_JOB_ID" || got.Field != "job_id" || got.Metadata["jobs"] != "2" {
		t.Errorf("the details are %q, %q, %q", got.Reason, got.Field, got.Metadata)
	}
	if got.Error() != "InvalidArgument: several jobs" {
		t.Errorf("the text is %q", got.Error())
	}
}

// An error of the transport has no details, and its metadata can be used all the same.
func TestErrorWithoutDetails(t *testing.T) {
	client := connect(t, &fakedaemon.Daemon{})
	_, err := client.Delete(limited(t), jobID)
	got := failed(t, err, codes.Unimplemented)
	if got.Reason != "" || got.Field != "" || got.Metadata == nil {
		t.Errorf("the details are %q, %q, %q", got.Reason, got.Field, got.Metadata)
	}
}

// An error from another stub on the connection is told in the same way.
func TestErrorOfAnotherStub(t *testing.T) {
	state, err := status.New(codes.NotFound, "no service").WithDetails(&errdetails.ErrorInfo{Reason: "SERVICE_NOT_FOUND"})
	if err != nil {
		t.Fatal(err)
	}
	if got := failed(t, jobworker.ErrorOf(state.Err()), codes.NotFound); got.Reason != "SERVICE_NOT_FOUND" {
		t.Errorf("the reason is %q", got.Reason)
	}
}

// Whoever gave the context finds its error in ours.
func TestErrorOfTheContext(t *testing.T) {
	waiting := make(chan struct{})
	client := connect(t, &fakedaemon.Daemon{Get: func(*jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) {
		<-waiting
		return nil, nil
	}})
	defer close(waiting)
	late, cancelLate := context.WithTimeout(limited(t), time.Millisecond)
	defer cancelLate()
	if _, err := client.Get(late, jobID); failed(t, err, codes.DeadlineExceeded) == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(limited(t))
	cancel()
	if _, err := client.Get(ended, jobID); failed(t, err, codes.Canceled) == nil || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
