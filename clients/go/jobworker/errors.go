package jobworker

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is why a call failed. Every error of a client's methods is one; get it with errors.As.
//
// If the caller's context was cancelled, errors.Is finds context.Canceled in it; if time was up, whether the context's or
// what the service config allows, context.DeadlineExceeded.
type Error struct {
	// Code is the gRPC status code. The proto says of each method which there are, and which may be tried again.
	Code codes.Code
	// Reason tells apart what a code alone does not, such as JOB_NOT_FOUND. Empty if the error is not the service's own,
	// but the transport's or the client's.
	Reason string
	// Field names the field of the request that is wrong, such as job_id. Empty if none is.
	Field string
	// Metadata is what else the service says for programs. Never nil.
	Metadata map[string]string
	// Message is for people.
	Message string

	causes []error
}

// Error returns the code and the message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the gRPC status error, so that status.Code and the like work too, and the context's error, if any.
func (e *Error) Unwrap() []error {
	return e.causes
}

// ErrorOf makes ours of an error that came from another stub on a client's connection, such as that of gRPC's health
// service.
func ErrorOf(err error) *Error {
	return explain(context.Background(), err)
}

// explain makes ours of the error of a call that was made with a context. There are none but gRPC's.
func explain(ctx context.Context, err error) *Error {
	state := status.Convert(err)
	explained := &Error{Code: state.Code(), Message: state.Message(), Metadata: map[string]string{}, causes: []error{err}}
	for _, detail := range state.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			explained.Reason = detail.Reason
			for key, value := range detail.Metadata {
				explained.Metadata[key] = value
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				explained.Field = violation.Field
			}
		}
	}
	switch {
	case explained.Code == codes.DeadlineExceeded:
		// The daemon can notice before the context does.
		explained.causes = append(explained.causes, context.DeadlineExceeded)
	case explained.Code == codes.Canceled && ctx.Err() != nil:
		explained.causes = append(explained.causes, ctx.Err())
	}
	return explained
}

// failure makes an error that is ours from the start.
func failure(code codes.Code, format string, arguments ...any) *Error {
	message := fmt.Sprintf(format, arguments...)
	return &Error{Code: code, Message: message, Metadata: map[string]string{}, causes: []error{status.Error(code, message)}}
}
