package jobworker_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// Start makes a request id of its own, a fresh one for each job.
func TestStartSendsAFreshRequestID(t *testing.T) {
	var ids []string
	client := connect(t, &fakedaemon.Daemon{Start: func(request *jobworkerv1.StartJobRequest) (*jobworkerv1.Job, error) {
		ids = append(ids, request.RequestId)
		return &jobworkerv1.Job{Id: jobID, Command: request.Command}, nil
	}})
	for range 2 {
		job, err := client.Start(limited(t), []string{"echo", "größe"})
		if err != nil || !slices.Equal(job.Command, []string{"echo", "größe"}) {
			t.Fatal(job, err)
		}
	}
	for _, id := range ids {
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 4 {
			t.Errorf("%q is no random UUID", id)
		}
	}
	if ids[0] == ids[1] {
		t.Error("both have the same id")
	}
}

// Stop passes the grace period on; without one there is none in the request.
func TestStopPassesTheGracePeriod(t *testing.T) {
	var asked []*jobworkerv1.StopJobRequest
	client := connect(t, &fakedaemon.Daemon{Stop: func(request *jobworkerv1.StopJobRequest) (*jobworkerv1.Job, error) {
		asked = append(asked, request)
		return &jobworkerv1.Job{Id: request.JobId}, nil
	}})
	for _, grace := range []time.Duration{0, 1500 * time.Millisecond} {
		if job, err := client.Stop(limited(t), jobID, grace); err != nil || job.Id != jobID {
			t.Fatal(job, err)
		}
	}
	if asked[0].GracePeriod != nil || asked[1].GracePeriod.AsDuration() != 1500*time.Millisecond {
		t.Error(asked)
	}
}

// The iterator walks all pages with their tokens, also over one that is empty, and asks for no page that is not wanted.
func TestAllWalksThePages(t *testing.T) {
	pages := [][]string{{"a", "b"}, {}, {"c"}}
	var calls atomic.Int32
	client := connect(t, &fakedaemon.Daemon{List: func(request *jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error) {
		calls.Add(1)
		page := 0
		if request.PageToken != "" {
			page, _ = strconv.Atoi(request.PageToken)
		}
		response := &jobworkerv1.ListJobsResponse{}
		for _, id := range pages[page] {
			response.Jobs = append(response.Jobs, &jobworkerv1.Job{Id: id})
		}
		if page+1 < len(pages) {
			response.NextPageToken = strconv.Itoa(page + 1)
		}
		return response, nil
	}})
	var ids []string
	for job, err := range client.All(limited(t), 2) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.Id)
	}
	if !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Error(ids)
	}
	calls.Store(0)
	for range client.All(limited(t), 2) {
		break
	}
	if calls.Load() != 1 {
		t.Errorf("%d pages were read for the first job", calls.Load())
	}
}

// The iterator ends with the error of a page that could not be read.
func TestAllEndsWithTheError(t *testing.T) {
	client := connect(t, &fakedaemon.Daemon{List: func(*jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "page_size is negative")
	}})
	var errs []error
	for _, err := range client.All(limited(t), -1) {
		errs = append(errs, err)
	}
	if len(errs) != 1 {
		t.Fatal(errs)
	}
	failed(t, errs[0], codes.InvalidArgument)
}

// What may be repeated is repeated when the daemon is going away, and what may not be is not.
func TestRetries(t *testing.T) {
	var calls atomic.Int32
	twice := func() error {
		if calls.Add(1) < 3 {
			return status.Error(codes.Unavailable, "going away")
		}
		return nil
	}
	client := connect(t, &fakedaemon.Daemon{
		Start:  func(*jobworkerv1.StartJobRequest) (*jobworkerv1.Job, error) { return nil, twice() },
		Stop:   func(*jobworkerv1.StopJobRequest) (*jobworkerv1.Job, error) { return nil, twice() },
		Get:    func(*jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) { return nil, twice() },
		Delete: func(*jobworkerv1.DeleteJobRequest) (*jobworkerv1.Job, error) { return nil, twice() },
		List: func(*jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error) {
			return &jobworkerv1.ListJobsResponse{}, twice()
		},
		Read: func(*jobworkerv1.ReadLogsRequest, fakedaemon.ReadCall) error { return twice() },
	})
	for name, method := range map[string]struct {
		call     func(context.Context) error
		repeated bool
	}{
		"start":            {func(ctx context.Context) error { _, err := client.Start(ctx, []string{"x"}); return err }, true},
		"start without id": {func(ctx context.Context) error { _, err := client.StartWithID(ctx, []string{"x"}, ""); return err }, false},
		"stop":             {func(ctx context.Context) error { _, err := client.Stop(ctx, jobID, 0); return err }, true},
		"get":              {func(ctx context.Context) error { _, err := client.Get(ctx, jobID); return err }, true},
		"delete":           {func(ctx context.Context) error { _, err := client.Delete(ctx, jobID); return err }, false},
		"list":             {func(ctx context.Context) error { _, _, err := client.List(ctx, 0, ""); return err }, true},
		"read": {func(ctx context.Context) error {
			for _, err := range client.Read(ctx, jobID, jobworker.Stdout, jobworker.ReadOptions{}) {
				return err
			}
			return fmt.Errorf("nothing came")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			calls.Store(0)
			err := method.call(limited(t))
			if method.repeated {
				if err != nil || calls.Load() != 3 {
					t.Errorf("after %d calls: %v", calls.Load(), err)
				}
				return
			}
			failed(t, err, codes.Unavailable)
			if calls.Load() != 1 {
				t.Errorf("it was called %d times", calls.Load())
			}
		})
	}
}
