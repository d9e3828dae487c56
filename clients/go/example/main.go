// Example is a tour of the API: it starts jobs, follows one, stops one, lists all, and tells errors apart.
//
//	go run ./example [HOST:PORT [FOLDER]], where the folder has certificates and key by their names below
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"

	"jobworker.dev/go/jobworker"
)

func main() {
	log.SetFlags(0)
	given := []string{"localhost:8080", "../../certs"}
	if copy(given, os.Args[1:]) < len(os.Args)-1 {
		log.Fatal("usage: example [HOST:PORT [FOLDER]]")
	}
	address, certs := given[0], given[1]
	client, err := jobworker.Connect(jobworker.Config{
		Address: address,
		CA:      filepath.Join(certs, "ca-cert.pem"),
		Cert:    filepath.Join(certs, "client-cert.pem"), Key: filepath.Join(certs, "client-key.pem"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := tour(context.Background(), client); err != nil {
		log.Fatal(advice(err))
	}
}

func tour(ctx context.Context, client *jobworker.Client) error {
	// Start sends a request id, so that the call can be repeated and there is one job all the same.
	job, err := client.Start(ctx, []string{"sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"})
	if err != nil {
		return err
	}
	fmt.Println("started", job.Id)
	// Restart the daemon meanwhile, with --state-dir, or cut the network: no line is lost or repeated.
	for frame, err := range client.Follow(ctx, job.Id, jobworker.Stdout, 0) {
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case jobworker.Data:
			_, _ = os.Stdout.Write(frame.Bytes)
		case jobworker.Gap:
			fmt.Printf("(bytes %d to %d are gone)\n", frame.From, frame.To)
		case jobworker.Resumed:
			fmt.Printf("(resumed at byte %d after: %v)\n", frame.Offset, frame.Cause)
		case jobworker.End:
			fmt.Printf("ended as %s with %d bytes\n", frame.Job.State, frame.Offset)
		}
	}
	if job, err = client.Start(ctx, []string{"sleep", "3600"}); err != nil {
		return err
	}
	if job, err = client.Stop(ctx, job.Id, 5*time.Second); err != nil {
		return err
	}
	fmt.Printf("stopped %s, by signal %d\n", job.Id, job.GetSignal())
	count := 0
	for _, err := range client.All(ctx, 100) {
		if err != nil {
			return err
		}
		count++
	}
	fmt.Println("the daemon has", count, "jobs")
	_, err = client.Start(ctx, []string{"no-such-program"})
	fmt.Println("to start no-such-program:", advice(err))
	return nil
}

// advice tells errors apart: by their code what may be done, by their reason what is the matter.
func advice(err error) string {
	var failed *jobworker.Error
	switch {
	case !errors.As(err, &failed):
		return fmt.Sprint("not an error of a call: ", err)
	case failed.Reason == "PROGRAM_NOT_FOUND":
		return "the daemon's host has no such program: " + failed.Message
	case failed.Code == codes.PermissionDenied:
		return "ask the operator for a role: " + failed.Message
	case failed.Code == codes.Unavailable:
		return "see whether the daemon runs there and takes this certificate: " + failed.Message
	default:
		return fmt.Sprintf("%s %s %s: %s", failed.Code, failed.Reason, failed.Field, failed.Message)
	}
}
