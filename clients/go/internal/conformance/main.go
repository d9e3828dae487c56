// Conformance is the driver of clients/conformance for this language: it takes the steps of a scenario from stdin, does
// them over one client, and writes their results to stdout, both as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	"jobworker.dev/go/jobworker"
)

// scenario is what comes in.
type scenario struct {
	Address string                       `json:"address"`
	CA      string                       `json:"ca"`
	Cert    string                       `json:"cert"`
	Key     string                       `json:"key"`
	Steps   []map[string]json.RawMessage `json:"steps"`
}

// result is what comes of one step.
type result struct {
	OK    any      `json:"ok,omitempty"`
	Error *failure `json:"error,omitempty"`
}

type failure struct {
	Code     string            `json:"code"`
	Reason   string            `json:"reason"`
	Field    string            `json:"field"`
	Metadata map[string]string `json:"metadata"`
}

func main() {
	log.SetFlags(0)
	if err := run(os.Stdin, os.Stdout); err != nil {
		log.Fatal("driver: ", err)
	}
}

// run does a whole scenario. An error is a fault of the scenario or of the driver, never what a step came to.
func run(in io.Reader, out io.Writer) error {
	var s scenario
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	client, err := jobworker.Connect(jobworker.Config{Address: s.Address, CA: s.CA, Cert: s.Cert, Key: s.Key})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	results := []result{}
	for number, fields := range s.Steps {
		done, err := do(client, fields, results)
		if err != nil {
			return fmt.Errorf("step %d: %w", number, err)
		}
		results = append(results, done)
	}
	return json.NewEncoder(out).Encode(map[string][]result{"results": results})
}

// do does one step, which may name what came of the earlier ones.
func do(client *jobworker.Client, fields map[string]json.RawMessage, earlier []result) (result, error) {
	parsed, err := parse(fields, earlier)
	if err != nil {
		return result{}, err
	}
	op, known := ops[parsed.Op]
	if !known {
		return result{}, fmt.Errorf("there is no op %q", parsed.Op)
	}
	ctx := context.Background()
	if parsed.DeadlineMS != nil {
		limited, cancel := context.WithTimeout(ctx, time.Duration(*parsed.DeadlineMS)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	ok, err := op(ctx, client, parsed)
	if err != nil {
		return result{Error: explain(err)}, nil
	}
	return result{OK: ok}, nil
}

// explain names an error as the runner does. What is not the library's comes from a stub of gRPC's own services.
func explain(err error) *failure {
	var failed *jobworker.Error
	if !errors.As(err, &failed) {
		failed = jobworker.ErrorOf(err)
	}
	return &failure{code.Code_name[int32(failed.Code)], failed.Reason, failed.Field, failed.Metadata}
}
