// Package fakedaemon serves the API for tests: real gRPC over real mutual TLS on loopback, with answers that the test
// gives.
package fakedaemon

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// ReadCall is one ReadLogs that came in.
type ReadCall = grpc.ServerStreamingServer[jobworkerv1.ReadLogsResponse]

// Daemon answers with its functions; a method whose function is nil is UNIMPLEMENTED.
type Daemon struct {
	jobworkerv1.UnimplementedJobWorkerServiceServer

	Start  func(*jobworkerv1.StartJobRequest) (*jobworkerv1.Job, error)
	Stop   func(*jobworkerv1.StopJobRequest) (*jobworkerv1.Job, error)
	Get    func(*jobworkerv1.GetJobRequest) (*jobworkerv1.Job, error)
	Delete func(*jobworkerv1.DeleteJobRequest) (*jobworkerv1.Job, error)
	List   func(*jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error)
	Read   func(*jobworkerv1.ReadLogsRequest, ReadCall) error

	// Address and the paths of the PEM files are set by Serve.
	Address, CA, Cert, Key string

	listener *listener
}

// Serve starts serving on a free port, until the test ends.
func (d *Daemon) Serve(t *testing.T) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.Address = inner.Addr().String()
	d.listener = &listener{Listener: inner}
	server := grpc.NewServer(grpc.Creds(d.makeCertificates(t)))
	jobworkerv1.RegisterJobWorkerServiceServer(server, d)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(d.listener) }()
	t.Cleanup(func() {
		server.Stop()
		// A test can be over before the serving began.
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
}

// Cut breaks all connections there are, without a word.
func (d *Daemon) Cut() {
	d.listener.cut()
}

// StartJob answers with Start.
func (d *Daemon) StartJob(_ context.Context, request *jobworkerv1.StartJobRequest) (*jobworkerv1.StartJobResponse, error) {
	job, err := answer(d.Start, request)
	return &jobworkerv1.StartJobResponse{Job: job}, err
}

// StopJob answers with Stop.
func (d *Daemon) StopJob(_ context.Context, request *jobworkerv1.StopJobRequest) (*jobworkerv1.StopJobResponse, error) {
	job, err := answer(d.Stop, request)
	return &jobworkerv1.StopJobResponse{Job: job}, err
}

// GetJob answers with Get.
func (d *Daemon) GetJob(_ context.Context, request *jobworkerv1.GetJobRequest) (*jobworkerv1.GetJobResponse, error) {
	job, err := answer(d.Get, request)
	return &jobworkerv1.GetJobResponse{Job: job}, err
}

// DeleteJob answers with Delete.
func (d *Daemon) DeleteJob(_ context.Context, request *jobworkerv1.DeleteJobRequest) (*jobworkerv1.DeleteJobResponse, error) {
	job, err := answer(d.Delete, request)
	return &jobworkerv1.DeleteJobResponse{Job: job}, err
}

// ListJobs answers with List.
func (d *Daemon) ListJobs(_ context.Context, request *jobworkerv1.ListJobsRequest) (*jobworkerv1.ListJobsResponse, error) {
	return answer(d.List, request)
}

// ReadLogs answers with Read.
func (d *Daemon) ReadLogs(request *jobworkerv1.ReadLogsRequest, call ReadCall) error {
	if d.Read == nil {
		return status.Error(codes.Unimplemented, "the test expects no such call")
	}
	return d.Read(request, call)
}

func answer[Request, Answer any](function func(Request) (*Answer, error), request Request) (*Answer, error) {
	if function == nil {
		return nil, status.Error(codes.Unimplemented, "the test expects no such call")
	}
	return function(request)
}

// listener knows its connections.
type listener struct {
	net.Listener
	mutex sync.Mutex
	conns []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

func (l *listener) cut() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}
