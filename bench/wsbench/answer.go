//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxAnswer is how long an HTTP answer may be.
const maxAnswer = 8 << 10

// answer collects one HTTP answer. The zero value is ready.
type answer struct {
	got []byte
}

// take adds bytes and reports the status once the answer is whole. What comes behind
// it is an error: one request is asked at a time.
func (a *answer) take(p []byte) (status int, whole bool, err error) {
	a.got = append(a.got, p...)
	end := bytes.Index(a.got, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, false, a.checkSize()
	}
	head := a.got[:end+2]
	if status, err = statusOf(head); err != nil {
		return 0, false, err
	}
	size := 0
	if value := headerOf(head, "Content-Length"); value != "" {
		if size, err = strconv.Atoi(value); err != nil || size < 0 {
			return status, false, fmt.Errorf("answered Content-Length: %q", value)
		}
	}
	switch want := end + 4 + size; {
	case len(a.got) < want:
		return status, false, a.checkSize()
	case len(a.got) > want:
		return status, false, errors.New("bytes came behind the answer")
	}
	return status, true, nil
}

func (a *answer) checkSize() error {
	if len(a.got) > maxAnswer {
		return fmt.Errorf("an answer is above %d bytes", maxAnswer)
	}
	return nil
}

func (a *answer) body() []byte {
	_, body, _ := bytes.Cut(a.got, []byte("\r\n\r\n"))
	return bytes.TrimSpace(body)
}

// statusOf reads a status line; RFC 9112, section 4.
func statusOf(head []byte) (int, error) {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := strconv.Atoi(string(code))
	if !bytes.HasPrefix(version, []byte("HTTP/1.")) || err != nil {
		return 0, fmt.Errorf("answered %q", line)
	}
	return status, nil
}

// headerOf finds the value of a header in a head, "" when there is none.
func headerOf(head []byte, name string) string {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if n, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(n, []byte(name)) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// retryAfter is when a refusal says to come again; RFC 9110, section 10.2.3.
func retryAfter(head []byte) time.Duration {
	seconds, err := strconv.Atoi(headerOf(head, "Retry-After"))
	if err != nil || seconds < 0 {
		return stormPause
	}
	return time.Duration(seconds) * time.Second
}

// posted is raw of an exchange of POST /broadcast: a 201 ends a round trip, any other
// status fails the crowd. It is called by receivers.
func (x *exchange) posted(m *member, p []byte) {
	if m.answer == nil {
		m.answer = new(answer)
	}
	status, whole, err := m.answer.take(p)
	switch {
	case err != nil:
		m.at.crowd.fail(fmt.Errorf("POST /broadcast: %w", err))
	case whole && status != http.StatusCreated:
		m.at.crowd.fail(fmt.Errorf("POST /broadcast: answered %d: %s", status, m.answer.body()))
	case whole:
		m.answer.got = m.answer.got[:0]
		x.message(m, event{})
	}
}

// answerSize makes one request and returns how many bytes its answer has.
func answerSize(port int, request []byte) (int, error) {
	fd, err := newSources().dial(port)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, request); err != nil {
		return 0, err
	}
	var a answer
	buf := make([]byte, maxAnswer)
	for end := time.Now().Add(dialTimeout); time.Now().Before(end); {
		n, err := readSome(fd, buf)
		if err != nil {
			return 0, err
		}
		if _, whole, err := a.take(buf[:n]); whole || err != nil {
			return len(a.got), err
		}
	}
	return 0, fmt.Errorf("no answer within %v", dialTimeout)
}
