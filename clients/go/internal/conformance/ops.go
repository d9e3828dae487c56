package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"

	"jobworker.dev/go/jobworker"
)

// ops is what a step may ask for.
var ops = map[string]func(context.Context, *jobworker.Client, step) (any, error){
	"start":      start,
	"stop":       stop,
	"get":        get,
	"delete":     remove,
	"list":       list,
	"list_all":   listAll,
	"read":       read,
	"follow":     follow,
	"health":     health,
	"reflection": reflection,
}

type page struct {
	Count         int      `json:"count"`
	IDs           []string `json:"ids"`
	NextPageToken string   `json:"next_page_token"`
}

type walk struct {
	Count  int    `json:"count"`
	Unique int    `json:"unique"`
	SHA256 string `json:"ids_sha256"`
}

func start(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	if s.RequestID == nil {
		return theJob(client.Start(ctx, s.Command))
	}
	return theJob(client.StartWithID(ctx, s.Command, *s.RequestID))
}

func stop(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	return theJob(client.Stop(ctx, s.Job, time.Duration(s.GraceMS)*time.Millisecond))
}

func get(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	return theJob(client.Get(ctx, s.Job))
}

func remove(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	return theJob(client.Delete(ctx, s.Job))
}

func list(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	jobs, next, err := client.List(ctx, s.PageSize, s.PageToken)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, job := range jobs {
		ids = append(ids, job.Id)
	}
	return page{len(ids), ids, next}, nil
}

func listAll(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	var ids []string
	unique := map[string]bool{}
	for job, err := range client.All(ctx, s.PageSize) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, job.Id)
		unique[job.Id] = true
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return walk{len(ids), len(unique), hex.EncodeToString(sum[:])}, nil
}

func health(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	stub := grpc_health_v1.NewHealthClient(client.Conn())
	response, err := stub.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: s.Service})
	if err != nil {
		return nil, err
	}
	return map[string]string{"status": response.Status.String()}, nil
}

func reflection(ctx context.Context, client *jobworker.Client, _ step) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := grpc_reflection_v1.NewServerReflectionClient(client.Conn()).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	// If the call has failed, Recv says why.
	_ = call.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	response, err := call.Recv()
	if err != nil {
		return nil, err
	}
	services := []string{}
	for _, service := range response.GetListServicesResponse().GetService() {
		services = append(services, service.Name)
	}
	slices.Sort(services)
	return map[string][]string{"services": services}, nil
}

// streamOf leaves it to the daemon to refuse what is no stream.
func streamOf(name string) jobworker.Stream {
	return map[string]jobworker.Stream{"stdout": jobworker.Stdout, "stderr": jobworker.Stderr}[name]
}
