package wire

import "bytes"

// Chunks decodes a chunked body; RFC 9112, section 7.1. The zero value is at the start
// of a body. It keeps no input and takes pieces of any size, as the socket gives them.
//
// It is as strict as [ParseRequest]: only CR LF ends a line, and only an extension
// may follow the size of a chunk. Extensions and trailers are read and discarded,
// with one bound for both.
type Chunks struct {
	left  uint64 // bytes left of the chunk; while its size is read, the size so far
	state chunkState
	extra int // bytes of extensions and trailers so far
}

// chunkState says what the next byte belongs to.
type chunkState uint8

const (
	chunkSize      chunkState = iota // the first digit of a size
	chunkSizeMore                    // a further digit, or the end of the size
	chunkExtension                   // up to CR
	chunkSizeLF                      // the LF after it
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // the first byte of a line after the last chunk
	chunksLF     // the LF of the blank line, which ends the body
	trailerLine  // up to CR
	trailerLF    // the LF after it
	chunksDone
)

// maxChunk bounds the size of a chunk, so that the next digit cannot overflow it.
const maxChunk = 1 << 58

// Next returns a piece of the body from p, borrowed from p. n is how many bytes of p
// were used. If data is empty, either all of p was used, or done is true: the body is
// complete, and the rest of p belongs to the next request. Any error is a
// [*HandshakeError]. maxExtra bounds extensions and trailers.
func (c *Chunks) Next(p []byte, maxExtra int) (data []byte, n int, done bool, err error) {
	for n < len(p) && c.state != chunksDone {
		if c.state == chunkData {
			size := int(min(c.left, uint64(len(p)-n)))
			data = p[n : n+size]
			if c.left -= uint64(size); c.left == 0 {
				c.state = chunkDataCR
			}
			return data, n + size, false, nil
		}
		if bad := c.step(p[n], maxExtra); bad != nil {
			return nil, n, false, bad
		}
		n++
	}
	return nil, n, c.state == chunksDone, nil
}

// step takes a byte that is not data.
func (c *Chunks) step(b byte, maxExtra int) *HandshakeError {
	switch c.state {
	case chunkSize, chunkSizeMore:
		return c.size(b)
	case chunkExtension, trailerStart, trailerLine:
		return c.thrownAway(b, maxExtra)
	case chunkDataCR:
		return c.expect(b, '\r', chunkDataLF)
	case chunkDataLF:
		return c.expect(b, '\n', chunkSize)
	case trailerLF:
		return c.expect(b, '\n', trailerStart)
	case chunksLF:
		return c.expect(b, '\n', chunksDone)
	}
	next := chunkData // after the line with the size
	if c.left == 0 {
		next = trailerStart
	}
	return c.expect(b, '\n', next)
}

func (c *Chunks) expect(b, want byte, next chunkState) *HandshakeError {
	if b != want {
		return errChunk
	}
	c.state = next
	return nil
}

// size takes a digit of a size, or the byte that ends it.
func (c *Chunks) size(b byte) *HandshakeError {
	digit := bytes.IndexByte([]byte("0123456789abcdef"), lower(b))
	switch {
	case digit >= 0 && c.left < maxChunk>>4:
		c.left, c.state = c.left<<4|uint64(digit), chunkSizeMore
	case c.state == chunkSizeMore && b == ';':
		c.state = chunkExtension
	case c.state == chunkSizeMore && b == '\r':
		c.state = chunkSizeLF
	default:
		return errChunk
	}
	return nil
}

// thrownAway takes a byte of an extension, or of the lines after the last chunk.
func (c *Chunks) thrownAway(b byte, maxExtra int) *HandshakeError {
	c.extra++
	switch {
	case b == '\r':
		c.state++ // in chunkState, each is followed by the LF of its line
		return nil
	case classesOf[b]&isValue == 0, c.state == trailerStart && classesOf[b]&isToken == 0: // also a folded line
		return errChunk
	case c.extra > maxExtra:
		return errTrailersTooBig
	}
	if c.state == trailerStart {
		c.state = trailerLine
	}
	return nil
}
