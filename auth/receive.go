package auth

import (
	"bufio"
	"errors"

	"github.com/valyala/fasthttp"
)

// maxInterim is how many interim answers (1xx) may come before the final one.
const maxInterim = 100

var (
	errStatusLine = errors.New("the answer does not start with an HTTP/1 status line")
	errInterim    = errors.New("too many interim answers")
	errBareLF     = errors.New("the lines of the answer's head end in LF, not in CRLF (RFC 9112, section 2.2)")
	errTLS        = errors.New("it speaks TLS: should the URL start with https://?")
	errLengths    = errors.New("the answer has more than one Content-Length (RFC 9112, section 6.3)")
	errLargeHead  = errors.New("the head of the answer is longer than 16 KiB")
)

// receive reads the final answer. clean says that it was read to its end and
// that nothing came behind it. An answer whose body is too large is read as far
// as it goes, without an error: its head was whole, and the status decides.
func (l *link) receive(host *fasthttp.HostClient, resp *fasthttp.Response) (clean bool, err error) {
	r := host.AcquireReader(l)
	defer host.ReleaseReader(r)
	if err := readHead(r, resp); err != nil {
		return false, err
	}
	err = readBody(r, resp, host.MaxResponseBodySize)
	if err == fasthttp.ErrBodyTooLarge {
		return false, nil
	}
	return r.Buffered() == 0 && resp.StatusCode() >= 200, err
}

// readHead reads heads up to that of the final answer. 101 is final: nobody
// asked for it (RFC 9110, section 15.2.2).
func readHead(r *bufio.Reader, resp *fasthttp.Response) error {
	for range maxInterim {
		if err := checkStatusLine(r); err != nil {
			return err
		}
		if err := resp.Header.Read(r); err != nil {
			return headError(err)
		}
		if status := resp.StatusCode(); status >= 200 || status == fasthttp.StatusSwitchingProtocols {
			return nil
		}
	}
	return errInterim
}

// headError says in our words what webhooks are known to get wrong.
func headError(err error) error {
	small := (*fasthttp.ErrSmallBuffer)(nil)
	switch {
	case errors.As(err, &small):
		return errLargeHead
	case errors.Is(err, fasthttp.ErrDuplicateContentLength):
		return errLengths
	}
	return err
}

// tlsAlert begins what a TLS server may answer to plain HTTP; RFC 8446, section 5.1.
const tlsAlert = 21

// checkStatusLine looks at the next bytes without taking them. fasthttp reads a
// status of 000 but reports it as 200, which must not become a yes; so the
// line's start has to be that of RFC 9112, section 4, and the status not under
// 100.
func checkStatusLine(r *bufio.Reader) error {
	const pattern = "HTTP/1.d sdde" // d: a digit, s: 1 to 9, e: the end of the status
	for i := range len(pattern) {
		start, err := r.Peek(i + 1) // one more, so that a wrong byte shows at once
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
	return checkLineEnd(r, len(pattern)-1)
}

// checkLineEnd looks for the end of the status line, behind its first from bytes.
// fasthttp would wait for a CRLF until the timeout.
func checkLineEnd(r *bufio.Reader, from int) error {
	for n := from + 1; ; n++ {
		switch line, err := r.Peek(n); {
		case err == bufio.ErrBufferFull:
			return errLargeHead
		case err != nil:
			return err
		case line[n-1] != '\n':
		case line[n-2] != '\r':
			return errBareLF
		default:
			return nil
		}
	}
}

// readBody reads what belongs to the head in resp (RFC 9112, section 6.3).
func readBody(r *bufio.Reader, resp *fasthttp.Response, limit int) error {
	switch status := resp.StatusCode(); {
	case status < 200, status == fasthttp.StatusNoContent, status == fasthttp.StatusNotModified:
		return nil
	}
	chunked := resp.Header.ContentLength() == -1
	if err := resp.ReadBody(r, limit); err != nil || !chunked {
		return err
	}
	return resp.Header.ReadTrailer(r)
}
