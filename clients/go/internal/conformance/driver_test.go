package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"jobworker.dev/go/internal/fakedaemon"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

const id = "5a2e0b1c-0000-4000-8000-000000000000"

func running() *jobworkerv1.Job {
	return &jobworkerv1.Job{
		Id: id, Command: []string{"echo", "$0"}, State: jobworkerv1.JobState_JOB_STATE_RUNNING,
		StartTime: timestamppb.Now(), Owner: "ab", Principal: "ci",
	}
}

func ended() *jobworkerv1.Job {
	job := running()
	job.State = jobworkerv1.JobState_JOB_STATE_STOPPED
	job.EndTime, job.StopRequestTime = timestamppb.Now(), timestamppb.Now()
	job.Outcome = &jobworkerv1.Job_Signal{Signal: 9}
	job.Termination = &jobworkerv1.Termination{KilledProcesses: 2}
	job.StdoutBytes = 5
	return job
}

// fake knows one job and has two pages with one job each.
func fake() *fakedaemon.Daemon {
	return &fakedaemon.Daemon{
		Start: func(request *jobworkerv1.StartJobRequest) (*jobworkerv1.Job, error) {
			job := running()
			job.Principal = request.RequestId
			return job, nil
		},
		Stop: func(request *jobworkerv1.StopJobRequest) (*jobworkerv1.Job, error) {
			return answer(request.JobId, request.GracePeriod.AsDuration().Milliseconds() == 1500)
		},
		Get: func(request *jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error) {
			return answer(request.JobId, true)
		},
		Delete: func(request *jobworkerv1.DeleteJobRequest) (*jobworkerv1.Job, error) {
			return answer(request.JobId, true)
		},
		List: func(request *jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error) {
			job := &jobworkerv1.Job{Id: "job" + request.PageToken}
			next := map[string]string{"": "2"}[request.PageToken]
			return &jobworkerv1.ListJobsResponse{Jobs: []*jobworkerv1.Job{job}, NextPageToken: next}, nil
		},
		Read: func(request *jobworkerv1.ReadLogsRequest, call fakedaemon.ReadCall) error {
			if request.Stream == jobworkerv1.LogStream_LOG_STREAM_UNSPECIFIED {
				return status.Error(codes.InvalidArgument, "no stream")
			}
			for _, frame := range []*jobworkerv1.ReadLogsResponse{
				{Frame: &jobworkerv1.ReadLogsResponse_Gap{Gap: &jobworkerv1.LogGap{From: request.Offset, To: 3}}},
				{Frame: &jobworkerv1.ReadLogsResponse_Data{Data: &jobworkerv1.LogData{Offset: 3, Data: []byte("ab")}}},
				{Frame: &jobworkerv1.ReadLogsResponse_End{End: &jobworkerv1.LogEnd{Offset: 5, Job: ended()}}},
			} {
				if err := call.Send(frame); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func answer(asked string, right bool) (*jobworkerv1.Job, error) {
	if asked != "" && strings.HasPrefix(id, asked) && right {
		return ended(), nil
	}
	state, err := status.New(codes.NotFound, "no such job").WithDetails(
		&errdetails.ErrorInfo{Reason: "JOB_NOT_FOUND", Metadata: map[string]string{"job_id": asked}})
	if err != nil {
		return nil, err
	}
	return nil, state.Err()
}

const (
	runningJSON = `{"ok": {"job": {"id": "` + id + `", "command": ["echo", "$0"], "state": "RUNNING", "exit_code": null,
		"signal": null, "stdout_bytes": 0, "stderr_bytes": 0, "owner": "ab", "principal": "", "killed_processes": null,
		"lost": false, "started": true, "ended": false, "stop_requested": false}}}`
	endedFacts = `{"id": "` + id + `", "command": ["echo", "$0"], "state": "STOPPED", "exit_code": null,
		"signal": 9, "stdout_bytes": 5, "stderr_bytes": 0, "owner": "ab", "principal": "ci", "killed_processes": 2,
		"lost": false, "started": true, "ended": true, "stop_requested": true}`
	endedJSON = `{"ok": {"job": ` + endedFacts + `}}`
	readFacts = `"bytes": 2, "sha256": "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603",
		"first_offset": 3, "gaps": [[0, 3]], "ordered": true`
	emptySHA256 = `e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`
)

// Each operation gives what the runner expects of it, written out by hand.
func TestEachOperation(t *testing.T) {
	steps, want := []string{}, []string{}
	for _, done := range []struct{ step, result string }{
		{`{"op": "start", "command": ["echo", "$0"], "request_id": ""}`, runningJSON},
		{`{"op": "stop", "job": "$0:8", "grace_ms": 1500, "deadline_ms": 60000}`, endedJSON},
		{`{"op": "get", "job": "$1"}`, endedJSON},
		{`{"op": "delete", "job": "ffff"}`,
			`{"error": {"code": "NOT_FOUND", "reason": "JOB_NOT_FOUND", "field": "", "metadata": {"job_id": "ffff"}}}`},
		{`{"op": "list", "page_size": 1}`, `{"ok": {"count": 1, "ids": ["job"], "next_page_token": "2"}}`},
		{`{"op": "list", "page_size": 1, "page_token": "$page4"}`, `{"ok": {"count": 1, "ids": ["job2"], "next_page_token": ""}}`},
		{`{"op": "list_all", "page_size": 1}`,
			`{"ok": {"count": 2, "unique": 2, "ids_sha256": "5261cc4cfa511c25c4ca6c42a8e7603019b48b4b56c351b32ce0e858527cc7e7"}}`},
		{`{"op": "read", "job": "$0", "stream": "stdout"}`,
			`{"ok": {` + readFacts + `, "end_offset": 5, "job": ` + endedFacts + `, "cancelled": false}}`},
		{`{"op": "read", "job": "$7", "stream": "stderr", "follow": true, "cancel_after_bytes": 1}`,
			`{"ok": {` + readFacts + `, "end_offset": null, "job": null, "cancelled": true}}`},
		{`{"op": "read", "job": "$0", "stream": "unspecified"}`,
			`{"error": {"code": "INVALID_ARGUMENT", "reason": "", "field": "", "metadata": {}}}`},
		{`{"op": "follow", "job": "$0", "stream": "stdout", "offset": 0}`,
			`{"ok": {` + readFacts + `, "end_offset": 5, "job": ` + endedFacts + `, "cancelled": false, "resumes": 0}}`},
		{`{"op": "follow", "job": "$10", "stream": "stdout", "offset": 2, "deadline_ms": 0}`,
			`{"error": {"code": "DEADLINE_EXCEEDED", "reason": "", "field": "", "metadata": {}}}`},
		{`{"op": "read", "job": "$0", "stream": "stdout", "cancel_after_bytes": 0}`,
			`{"ok": {"bytes": 0, "sha256": "` + emptySHA256 + `", "first_offset": null, "end_offset": null,
			  "gaps": [[0, 3]], "job": null, "cancelled": true, "ordered": true}}`},
		{`{"op": "health", "service": ""}`, `{"ok": {"status": "SERVING"}}`},
		{`{"op": "health", "service": "no.such"}`, `{"error": {"code": "NOT_FOUND", "reason": "", "field": "", "metadata": {}}}`},
		{`{"op": "reflection"}`, `{"ok": {"services": ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
			"grpc.reflection.v1alpha.ServerReflection", "jobworker.v1.JobWorkerService"]}}`},
	} {
		steps, want = append(steps, done.step), append(want, done.result)
	}
	got := results(t, fake(), steps)
	for number, text := range want {
		var expected any
		if err := json.Unmarshal([]byte(text), &expected); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got[number], expected) {
			t.Errorf("%s gives\n%v, not\n%v", steps[number], got[number], expected)
		}
	}
}

// Without a request id in the step the library makes one.
func TestStartWithTheLibrarysRequestID(t *testing.T) {
	got := results(t, fake(), []string{`{"op": "start", "command": ["x"]}`})
	job := got[0].(map[string]any)["ok"].(map[string]any)["job"].(map[string]any)
	if len(job["principal"].(string)) != len(id) {
		t.Error(job)
	}
}

// A scenario that makes no sense fails as a whole.
func TestSenselessScenarios(t *testing.T) {
	daemon := fake()
	daemon.Serve(t)
	for _, step := range []string{
		`{"op": "no such"}`,
		`{"op": "get", "job": "$0"}`,
		`{"op": "list", "page_token": "$page0"}`,
		`{"op": "get", "job": 7}`,
	} {
		var out bytes.Buffer
		if err := run(scenarioOf(t, daemon, []string{step}), &out); err == nil || out.Len() > 0 {
			t.Errorf("%s gives %v and %q", step, err, out.String())
		}
	}
}

func results(t *testing.T, daemon *fakedaemon.Daemon, steps []string) []any {
	t.Helper()
	daemon.Serve(t)
	var out bytes.Buffer
	if err := run(scenarioOf(t, daemon, steps), &out); err != nil {
		t.Fatal(err)
	}
	var got struct{ Results []any }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != len(steps) {
		t.Fatalf("%d steps have %d results", len(steps), len(got.Results))
	}
	return got.Results
}

func scenarioOf(t *testing.T, daemon *fakedaemon.Daemon, steps []string) *bytes.Reader {
	t.Helper()
	scenario := map[string]any{"address": daemon.Address, "ca": daemon.CA, "cert": daemon.Cert, "key": daemon.Key}
	scenario["steps"] = json.RawMessage("[" + strings.Join(steps, ",") + "]")
	text, err := json.Marshal(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(text)
}
