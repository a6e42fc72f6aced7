package auth

import (
	"bufio"
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// bodyWait is how long the body of an answer is waited for whose head decides.
const bodyWait = 250 * time.Millisecond

// maxInterim is how many interim answers (1xx) may come before the final one.
const maxInterim = 100

var (
	errStatusLine = errors.New("the answer does not start with an HTTP/1 status line")
	errInterim    = errors.New("too many interim answers")
	errBareLF     = errors.New("a line of the answer's head ends in LF, not in CRLF (RFC 9112, section 2.2)")
	errTLS        = errors.New("it speaks TLS: should the URL start with https://?")
	errLengths    = errors.New("the answer has more than one Content-Length (RFC 9112, section 6.3)")
	errFraming    = errors.New("the answer has both Content-Length and Transfer-Encoding (RFC 9112, section 6.3)")
	errLargeHead  = errors.New("the head of the answer is longer than 16 KiB")
)

// receive reads the final answer. clean reports that it was read to its end and nothing followed
// it. A body that is too large is read in part, without an error: the head was complete, and the
// status decides. With Config.HeadDecides the same holds for a body that is not whole within bodyWait.
func (l *link) receive(host *fasthttp.HostClient, resp *fasthttp.Response, deadline time.Time) (clean bool, err error) {
	r := host.AcquireReader(l)
	defer host.ReleaseReader(r)
	if err := readHead(r, resp); err != nil {
		return false, err
	}
	headDecides := l.dialer.headDecides
	if headDecides && time.Until(deadline) > bodyWait {
		_ = l.SetReadDeadline(time.Now().Add(bodyWait)) // an error shows when the body is read
	}
	err = readBody(r, resp, host.MaxResponseBodySize)
	if err == fasthttp.ErrBodyTooLarge || err != nil && headDecides {
		return false, nil
	}
	return r.Buffered() == 0 && resp.StatusCode() >= 200, err
}

// readHead reads heads up to the final answer's. 101 is final, because the request did not ask for
// an upgrade (RFC 9110, section 15.2.2).
func readHead(r *bufio.Reader, resp *fasthttp.Response) error {
	for range maxInterim {
		if err := checkStatusLine(r); err != nil {
			return err
		}
		head, err := peekHead(r)
		if err == nil {
			err = checkFraming(head)
		}
		if err == nil {
			err = resp.Header.Read(r)
		}
		if err != nil {
			return err
		}
		if status := resp.StatusCode(); status >= 200 || status == fasthttp.StatusSwitchingProtocols {
			return nil
		}
	}
	return errInterim
}

// tlsAlert begins an answer that a TLS server may give to plain HTTP; RFC 8446, section 5.1.
const tlsAlert = 21

// checkStatusLine checks the next bytes without consuming them. fasthttp reads a status of 000 but
// reports it as 200, which must not become an Allow. So the line has to begin as RFC 9112, section
// 4, requires, and the status has to be at least 100.
func checkStatusLine(r *bufio.Reader) error {
	const pattern = "HTTP/1.d sdde" // d: a digit, s: 1 to 9, e: the end of the status
	for i := range len(pattern) {
		start, err := r.Peek(i + 1) // one byte at a time, so that a wrong byte is noticed at once
		if err != nil {
			return err
		}
		b, ok := start[i], false
		switch pattern[i] {
		case 'd':
			ok = b >= '0' && b <= '9'
		case 's':
			ok = b >= '1' && b <= '9'
		case 'e':
			ok = b == ' ' || b == '\r' || b == '\n'
		default:
			ok = b == pattern[i]
		}
		switch {
		case !ok && i == 0 && b == tlsAlert:
			return errTLS
		case !ok:
			return errStatusLine
		}
	}
	return nil
}

// peekHead waits for the complete head, and does not consume it. It refuses a bare LF at once,
// because fasthttp would wait for a CRLF until the timeout.
func peekHead(r *bufio.Reader) ([]byte, error) {
	for {
		head, _ := r.Peek(r.Buffered())
		end := bytes.Index(head, []byte("\r\n\r\n"))
		if end >= 0 {
			head = head[:end+len("\r\n")]
		}
		if bytes.Count(head, []byte("\n")) > bytes.Count(head, []byte("\r\n")) {
			return nil, errBareLF
		}
		if end >= 0 {
			return head, nil
		}
		switch _, err := r.Peek(r.Buffered() + 1); {
		case err == bufio.ErrBufferFull:
			return nil, errLargeHead
		case err != nil:
			return nil, err
		}
	}
}

// checkFraming refuses a head that gives the body's length twice. fasthttp and a proxy on the route
// could choose differently: then one of them would take bytes of a body for the next answer, and an
// answer grants rights.
func checkFraming(head []byte) error {
	lengths, codings := 0, 0
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch name = bytes.TrimRight(name, " \t"); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			lengths++
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			codings++
		}
	}
	switch {
	case lengths > 1:
		return errLengths
	case lengths > 0 && codings > 0:
		return errFraming
	}
	return nil
}

// readBody reads the body of the head in resp (RFC 9112, section 6.3).
func readBody(r *bufio.Reader, resp *fasthttp.Response, limit int) error {
	switch status := resp.StatusCode(); {
	case status < 200, status == fasthttp.StatusNoContent, status == fasthttp.StatusNotModified:
		return nil
	}
	chunked := resp.Header.ContentLength() == -1
	if err := resp.ReadBody(r, limit); err != nil || !chunked {
		return err
	}
	// Trailers are read and ignored: they are not headers (RFC 9110, section 6.5.1), and headers grant
	// rights.
	return new(fasthttp.ResponseHeader).ReadTrailer(r)
}
