// Package jobworker drives a worker-daemon: it starts commands as jobs on the daemon's host, stops them, tells their
// state, and reads their output to the byte, also across broken connections. Wherever a job is named, an unambiguous
// beginning of its id is enough.
//
// The stubs in jobworker.dev/go/jobworker/v1 and the copy of the service config are made from the proto folder of the
// repository, never committed.
package jobworker

//go:generate go run ../internal/protoc ../../../proto ..
//go:generate cp ../../../proto/jobworker/v1/service_config.json service_config.json

import (
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	jobworkerv1 "jobworker.dev/go/jobworker/v1"
)

// serviceConfig is the published one: which calls are repeated by themselves, and how.
//
//go:embed service_config.json
var serviceConfig string

// maxPage is enough for a page of jobs with the longest commands that Linux allows.
const maxPage = 256 << 20

// Config says which daemon to call, and as whom.
type Config struct {
	// Address is the daemon's host:port, such as localhost:8080 or [::1]:8080.
	Address string
	// CA, Cert and Key name PEM files: the certificate of the daemon's authority, and the client's own certificate with
	// its key. A client without Cert and Key is refused by every daemon; it is good for trying just that.
	CA, Cert, Key string
	// Patience is how long Follow bears to be without progress. Zero stands for a minute.
	Patience time.Duration
}

// Client is a connection to a daemon. It may be used from many goroutines at once.
type Client struct {
	conn     *grpc.ClientConn
	service  jobworkerv1.JobWorkerServiceClient
	patience time.Duration
}

// Connect returns a client, which connects with its first call and again whenever the connection was lost. Further
// options, such as interceptors, may be given. The error is the caller's: a file or the address is wrong.
func Connect(config Config, options ...grpc.DialOption) (*Client, error) {
	if !isHostAndPort(config.Address) {
		return nil, fmt.Errorf("the address %q is not host:port, such as localhost:8080", config.Address)
	}
	identity, err := config.tls()
	if err != nil {
		return nil, err
	}
	// Without a scheme a host named `unix` would be taken for one.
	conn, err := grpc.NewClient("dns:///"+config.Address, append(dialOptions(identity), options...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot call %q: %w", config.Address, err)
	}
	patience := config.Patience
	if patience == 0 {
		patience = time.Minute
	}
	return &Client{conn, jobworkerv1.NewJobWorkerServiceClient(conn), patience}, nil
}

func isHostAndPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// Close ends the connection and all calls that go over it. No job is harmed.
func (c *Client) Close() error {
	return c.conn.Close()
}

// Conn returns the connection itself, for stubs of other services, such as gRPC's health and reflection.
func (c *Client) Conn() grpc.ClientConnInterface {
	return c.conn
}

func dialOptions(identity *tls.Config) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(identity)),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxPage)),
		// A daemon is called directly, also where the environment names a proxy for the web.
		grpc.WithNoProxy(),
		// A follow of a quiet job must notice that the other side is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// How long one attempt to connect may take, and how soon the next may follow.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
	}
}

func (c Config) tls() (*tls.Config, error) {
	authorities, err := c.authorities()
	if err != nil {
		return nil, err
	}
	identity := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: authorities}
	if c.Cert == "" && c.Key == "" {
		return identity, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the client certificate %q with the key %q: %w", c.Cert, c.Key, err)
	}
	// The daemon does not send the names of its authorities, so there is nothing to choose by.
	identity.Certificates = []tls.Certificate{pair}
	return identity, nil
}

func (c Config) authorities() (*x509.CertPool, error) {
	content, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("the CA certificate %q is not PEM", c.CA)
	}
	return pool, nil
}
