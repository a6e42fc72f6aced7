package live

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// patience is how long a page may take to read an event. Then its stream is ended.
const patience = 30 * time.Second

//go:embed page
var files embed.FS

// policy lets the page use its own files and stream, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Wanted reports whether a request for / is a browser's. Programs such as curl accept anything and
// get plain text.
func Wanted(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// Page answers with the page.
func Page(w http.ResponseWriter, r *http.Request) { serve(w, r, "page.html") }

// File answers with a file of the page, which the request's path value "file" names.
func File(w http.ResponseWriter, r *http.Request) { serve(w, r, r.PathValue("file")) }

func serve(w http.ResponseWriter, r *http.Request, name string) {
	page, _ := fs.Sub(files, "page") // no error: it is embedded
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept")
	http.ServeFileFS(w, r, page, name)
}

// Events answers with the stream: server-sent events without an end. It returns when the client or
// the server ends, or when the client does not read.
func (b *Board) Events(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		http.Error(w, "pages of other sites cannot use this stream", http.StatusForbidden) // they could occupy it
		return
	}
	s, event := b.open()
	if s == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many streams are open", http.StatusServiceUnavailable)
		return
	}
	defer b.close(s)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	s.copyTo(w, r, event)
}

// copyTo writes the first event and those that follow. Deadlines of the server's requests do not
// apply: each event has its own.
func (s *stream) copyTo(w http.ResponseWriter, r *http.Request, event []byte) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	for ok := true; ok; {
		_ = control.SetWriteDeadline(time.Now().Add(patience))
		if _, err := w.Write(event); err != nil || control.Flush() != nil {
			return
		}
		select {
		case event, ok = <-s.events:
		case <-r.Context().Done():
			return
		}
	}
}
