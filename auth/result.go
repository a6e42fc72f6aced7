package auth

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"
)

// Result says how a call ended. There is a small fixed set, so that it can be a label of a metric
// and index an array of NumResults.
type Result uint8

const (
	ResultDeny         Result = iota // answered with a refusal
	ResultAllow                      // answered with 200
	ResultStatus                     // answered 5xx
	ResultTimeout                    // no complete answer within Config.Timeout
	ResultBusy                       // not started: MaxConns calls were under way all the time, or Call.Deadline had passed
	ResultUnreachable                // no connection: name, route, refusal, TLS
	ResultReset                      // connection lost before the answer was complete
	ResultMalformed                  // the answer is not HTTP, or its head is over 16 KiB
	ResultClosed                     // asked after Client.Close
	ResultNoDescriptor               // this process had no free descriptor all the time
	ResultInternal                   // a defect of this package
	ResultCached                     // given by a Cache, without a call; ResultOf never returns it
	NumResults                       // their number; not a result
)

var resultNames = [NumResults]string{
	"deny", "allow", "status_5xx", "timeout", "busy",
	"unreachable", "reset", "malformed", "closed", "no_descriptor", "internal", "cached",
}

// String returns the label: lower case, no spaces, stable between versions.
func (r Result) String() string {
	if r < NumResults {
		return resultNames[r]
	}
	return "invalid"
}

// ResultOf returns the label of what Ask returned.
func ResultOf(d Decision, cause error) Result {
	switch d {
	case Allow:
		return ResultAllow
	case Deny:
		return ResultDeny
	}
	if failed, ok := cause.(*CallError); ok { // as Ask returns it: unwrapped
		return failed.Result
	}
	if failed := (*CallError)(nil); errors.As(cause, &failed) {
		return failed.Result
	}
	if status := (*StatusError)(nil); errors.As(cause, &status) {
		return ResultStatus
	}
	return ResultInternal
}

// StatusError is the cause of a decision that an HTTP status made.
type StatusError struct {
	Status int // 0 to 999
}

// Error returns the status, and its name if it has one.
func (e *StatusError) Error() string {
	text := "authorizer answered " + strconv.Itoa(e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " " + name
	}
	return text
}

// CallError is the cause of a Down without an answer.
type CallError struct {
	Result Result // never ResultDeny, ResultAllow or ResultStatus
	Err    error  // the underlying error; nil where Result says all
}

// Error returns the label and the underlying error.
func (e *CallError) Error() string {
	text := "authorizer " + e.Result.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the underlying error.
func (e *CallError) Unwrap() error { return e.Err }

// statusErrors holds one error per status, so that a denial allocates nothing. It is not written
// after the program has started.
var statusErrors = func() (table [1000]StatusError) {
	for status := range table {
		table[status].Status = status
	}
	return table
}()

func statusError(status int) error {
	if status < 0 || status >= len(statusErrors) {
		return &StatusError{Status: status}
	}
	return &statusErrors[status]
}

var (
	errClosed  = &CallError{Result: ResultClosed}
	errBusy    = &CallError{Result: ResultBusy}
	errTimeout = &CallError{Result: ResultTimeout}
)

// failure returns err as a *CallError. An error that this package has not classified is a defect.
func failure(err error) error {
	if _, ok := err.(*CallError); ok {
		return err
	}
	if err == fasthttp.ErrTimeout { // the time was over before a connection was needed
		return errTimeout
	}
	return &CallError{Result: ResultInternal, Err: err}
}
