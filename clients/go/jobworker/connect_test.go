package jobworker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"jobworker.dev/go/internal/fakedaemon"
	"jobworker.dev/go/jobworker"
)

// What is wrong with the files or the address is said before any call.
func TestConnectSaysWhatIsWrong(t *testing.T) {
	daemon := &fakedaemon.Daemon{}
	daemon.Serve(t)
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	if err := os.WriteFile(notPEM, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]struct {
		config jobworker.Config
		says   string
	}{
		"no port":    {jobworker.Config{Address: "localhost", CA: daemon.CA}, "not host:port"},
		"large port": {jobworker.Config{Address: "localhost:65536", CA: daemon.CA}, "not host:port"},
		"no CA":      {jobworker.Config{Address: daemon.Address}, "cannot read the CA certificate"},
		"CA not PEM": {jobworker.Config{Address: daemon.Address, CA: notPEM}, "is not PEM"},
		"no key":     {jobworker.Config{Address: daemon.Address, CA: daemon.CA, Cert: daemon.Cert}, "cannot use the client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jobworker.Connect(wrong.config); err == nil || !strings.Contains(err.Error(), wrong.says) {
				t.Fatalf("%v does not say %q", err, wrong.says)
			}
		})
	}
}

// A client without a certificate gets no further than the handshake, and neither does one that trusts another authority.
func TestNobodyUnknownGetsIn(t *testing.T) {
	daemon, other := &fakedaemon.Daemon{Get: known}, &fakedaemon.Daemon{}
	daemon.Serve(t)
	other.Serve(t)
	for name, config := range map[string]jobworker.Config{
		"no certificate":    {Address: daemon.Address, CA: daemon.CA},
		"another authority": {Address: daemon.Address, CA: other.CA, Cert: daemon.Cert, Key: daemon.Key},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connectAs(t, config).Get(limited(t), jobID)
			failed(t, err, codes.Unavailable)
		})
	}
}
