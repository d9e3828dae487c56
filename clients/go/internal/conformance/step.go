package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// step is one step of a scenario; an op takes from it what it needs.
type step struct {
	Op         string   `json:"op"`
	DeadlineMS *int64   `json:"deadline_ms"`
	Command    []string `json:"command"`
	RequestID  *string  `json:"request_id"`
	Job        string   `json:"job"`
	GraceMS    int64    `json:"grace_ms"`
	PageSize   int32    `json:"page_size"`
	PageToken  string   `json:"page_token"`
	Stream     string   `json:"stream"`
	Offset     int64    `json:"offset"`
	Follow     bool     `json:"follow"`
	TailLines  *int64   `json:"tail_lines"`
	Limit      int64    `json:"limit"`
	CancelAt   *int64   `json:"cancel_after_bytes"`
	Service    string   `json:"service"`
}

var (
	jobReference  = regexp.MustCompile(`^\$([0-9]+)(?::([0-9]+))?$`)
	pageReference = regexp.MustCompile(`^\$page([0-9]+)$`)
)

// parse puts what came of earlier steps in the place of "$3", "$3:8" and "$page3", in fields that are strings.
func parse(fields map[string]json.RawMessage, earlier []result) (step, error) {
	resolved := map[string]json.RawMessage{}
	for name, value := range fields {
		var text string
		if json.Unmarshal(value, &text) == nil {
			meant, err := resolve(text, earlier)
			if err != nil {
				return step{}, fmt.Errorf("%s: %w", name, err)
			}
			if meant != text {
				value, _ = json.Marshal(meant)
			}
		}
		resolved[name] = value
	}
	whole, err := json.Marshal(resolved)
	if err != nil {
		return step{}, err
	}
	var parsed step
	return parsed, json.Unmarshal(whole, &parsed)
}

func resolve(text string, earlier []result) (string, error) {
	if match := pageReference.FindStringSubmatch(text); match != nil {
		page, ok := earlierOK(match[1], earlier).(page)
		if !ok {
			return "", fmt.Errorf("%s names no page", text)
		}
		return page.NextPageToken, nil
	}
	match := jobReference.FindStringSubmatch(text)
	if match == nil {
		return text, nil
	}
	id := jobID(earlierOK(match[1], earlier))
	if id == "" {
		return "", fmt.Errorf("%s names no job", text)
	}
	if length, err := strconv.Atoi(match[2]); err == nil && length < len(id) {
		id = id[:length]
	}
	return id, nil
}

// earlierOK returns what a step came to, or nil if it failed or is none that was done.
func earlierOK(number string, earlier []result) any {
	index, err := strconv.Atoi(number)
	if err != nil || index >= len(earlier) {
		return nil
	}
	return earlier[index].OK
}

func jobID(ok any) string {
	switch ok := ok.(type) {
	case jobResult:
		return ok.Job.id()
	case reading:
		return ok.Job.id()
	case following:
		return ok.Job.id()
	}
	return ""
}
