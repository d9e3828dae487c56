package main

import (
	"strings"

	"jobworker.dev/go/jobworker"
	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// jobResult is what ops on one job come to.
type jobResult struct {
	Job *jobFacts `json:"job"`
}

// jobFacts is a job as the runner compares it.
type jobFacts struct {
	ID              string   `json:"id"`
	Command         []string `json:"command"`
	State           string   `json:"state"`
	ExitCode        *int32   `json:"exit_code"`
	Signal          *int32   `json:"signal"`
	StdoutBytes     int64    `json:"stdout_bytes"`
	StderrBytes     int64    `json:"stderr_bytes"`
	Owner           string   `json:"owner"`
	Principal       string   `json:"principal"`
	KilledProcesses *int32   `json:"killed_processes"`
	Lost            bool     `json:"lost"`
	Started         bool     `json:"started"`
	Ended           bool     `json:"ended"`
	StopRequested   bool     `json:"stop_requested"`
}

// id returns the job's id, or nothing of no job.
func (j *jobFacts) id() string {
	if j == nil {
		return ""
	}
	return j.ID
}

// theJob takes what a method of the library returns.
func theJob(job *jobworker.Job, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return jobResult{factsOf(job)}, nil
}

func factsOf(job *jobworker.Job) *jobFacts {
	facts := &jobFacts{
		ID:            job.Id,
		Command:       job.Command,
		State:         strings.TrimPrefix(job.State.String(), "JOB_STATE_"),
		StdoutBytes:   job.StdoutBytes,
		StderrBytes:   job.StderrBytes,
		Owner:         job.Owner,
		Principal:     job.Principal,
		Started:       job.StartTime != nil,
		Ended:         job.EndTime != nil,
		StopRequested: job.StopRequestTime != nil,
	}
	switch outcome := job.Outcome.(type) {
	case *jobworkerv1.Job_ExitCode:
		facts.ExitCode = &outcome.ExitCode
	case *jobworkerv1.Job_Signal:
		facts.Signal = &outcome.Signal
	case *jobworkerv1.Job_Lost:
		facts.Lost = true
	}
	if job.Termination != nil {
		facts.KilledProcesses = &job.Termination.KilledProcesses
	}
	return facts
}
