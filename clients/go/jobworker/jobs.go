package jobworker

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// Job is one started command, with its state and facts about its output. The proto says what its fields mean.
type Job = jobworkerv1.Job

// Start starts a command as a new job and returns it once its first process runs. The first element is the program; no
// shell takes part. The request carries a request id of its own and is repeated by itself if the connection breaks: there
// is one job all the same.
func (c *Client) Start(ctx context.Context, command []string) (*Job, error) {
	return c.StartWithID(ctx, command, uuid.NewString())
}

// StartWithID is Start with a request id from the caller, a UUID: whoever keeps it can ask again, even after a crash,
// and gets the job that the first request started. With an empty id every request starts a job, and it is made once.
func (c *Client) StartWithID(ctx context.Context, command []string, requestID string) (*Job, error) {
	var options []grpc.CallOption
	if requestID == "" {
		// Once sent it is not kept for being sent again.
		options = append(options, grpc.MaxRetryRPCBufferSize(0))
	}
	request := &jobworkerv1.StartJobRequest{Command: command, RequestId: requestID}
	response, err := c.service.StartJob(ctx, request, options...)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return response.Job, nil
}

// Stop ends all processes of a job and returns it once they are gone. With a grace period its process group gets SIGTERM
// first, and what is left after it is killed; with zero it is killed at once. A job that has ended already is returned
// as it is.
func (c *Client) Stop(ctx context.Context, jobID string, grace time.Duration) (*Job, error) {
	request := &jobworkerv1.StopJobRequest{JobId: jobID}
	if grace != 0 {
		request.GracePeriod = durationpb.New(grace)
	}
	response, err := c.service.StopJob(ctx, request)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return response.Job, nil
}

// Get returns a job as it is now.
func (c *Client) Get(ctx context.Context, jobID string) (*Job, error) {
	response, err := c.service.GetJob(ctx, &jobworkerv1.GetJobRequest{JobId: jobID})
	if err != nil {
		return nil, explain(ctx, err)
	}
	return response.Job, nil
}

// Delete deletes a job that has ended, and its output, and returns it as it was. It is not repeated by itself, since
// after a request that got through the next one finds no such job.
func (c *Client) Delete(ctx context.Context, jobID string) (*Job, error) {
	response, err := c.service.DeleteJob(ctx, &jobworkerv1.DeleteJobRequest{JobId: jobID})
	if err != nil {
		return nil, explain(ctx, err)
	}
	return response.Job, nil
}

// List returns one page of jobs, newest first, and the token of the next page, which is empty after the last one. A page
// size of zero leaves it to the daemon; the first page's token is empty.
func (c *Client) List(ctx context.Context, pageSize int32, pageToken string) (jobs []*Job, next string, err error) {
	request := &jobworkerv1.ListJobsRequest{PageSize: pageSize, PageToken: pageToken}
	response, err := c.service.ListJobs(ctx, request)
	if err != nil {
		return nil, "", explain(ctx, err)
	}
	return response.Jobs, response.NextPageToken, nil
}

// All returns all jobs, newest first, and gets them in pages as the loop goes on. An error is the last that it gives.
func (c *Client) All(ctx context.Context, pageSize int32) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for token, more := "", true; more; more = token != "" {
			jobs, next, err := c.List(ctx, pageSize, token)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, job := range jobs {
				if !yield(job, nil) {
					return
				}
			}
			token = next
		}
	}
}
