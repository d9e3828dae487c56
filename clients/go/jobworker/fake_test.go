package jobworker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

const jobID = "5a2e0b1c-0000-4000-8000-000000000000"

// connect serves a daemon and returns a client of it, with little patience: tests that wait for its end should be short.
func connect(t *testing.T, daemon *fakedaemon.Daemon) *jobworker.Client {
	t.Helper()
	daemon.Serve(t)
	return connectAs(t, jobworker.Config{
		Address: daemon.Address, CA: daemon.CA, Cert: daemon.Cert, Key: daemon.Key, Patience: 10 * time.Second,
	})
}

func connectAs(t *testing.T, config jobworker.Config) *jobworker.Client {
	t.Helper()
	client, err := jobworker.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// limited returns a context that ends a test which hangs.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// failed returns an error as the library's, with the code that it has to have.
func failed(t *testing.T, err error, code codes.Code) *jobworker.Error {
	t.Helper()
	var failed *jobworker.Error
	if !errors.As(err, &failed) {
		t.Fatalf("%v is not the library's error", err)
	}
	if failed.Code != code || status.Code(err) != code {
		t.Fatalf("%v has not the code %s", err, code)
	}
	return failed
}

func known(request *jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) {
	return &jobworkerv1.Job{Id: jobID, State: jobworkerv1.JobState_JOB_STATE_RUNNING}, nil
}

func data(offset int64, text string) *jobworkerv1.ReadLogsResponse {
	return &jobworkerv1.ReadLogsResponse{
		Frame: &jobworkerv1.ReadLogsResponse_Data{Data: &jobworkerv1.LogData{Offset: offset, Data: []byte(text)}},
	}
}

func gap(from, to int64) *jobworkerv1.ReadLogsResponse {
	return &jobworkerv1.ReadLogsResponse{
		Frame: &jobworkerv1.ReadLogsResponse_Gap{Gap: &jobworkerv1.LogGap{From: from, To: to}},
	}
}

func end(offset int64) *jobworkerv1.ReadLogsResponse {
	job := &jobworkerv1.Job{Id: jobID, State: jobworkerv1.JobState_JOB_STATE_SUCCEEDED}
	return &jobworkerv1.ReadLogsResponse{
		Frame: &jobworkerv1.ReadLogsResponse_End{End: &jobworkerv1.LogEnd{Offset: offset, Job: job}},
	}
}

// send sends frames and returns the first error.
func send(call fakedaemon.ReadCall, frames ...*jobworkerv1.ReadLogsResponse) error {
	for _, frame := range frames {
		if err := call.Send(frame); err != nil {
			return err
		}
	}
	return nil
}
