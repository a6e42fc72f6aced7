package wire

import "bytes"

// Chunks decodes a body in chunks; RFC 9112, section 7.1. The zero value is at its
// start. It keeps no bytes: it is fed what the socket gave, in pieces of any size.
//
// It is as strict as [ParseRequest]: only CR LF ends a line, and nothing but an
// extension may stand beside the size of a chunk. Extensions and trailers are read
// and discarded, and bounded together.
type Chunks struct {
	left  uint64 // of the chunk that is read; so far, of the size that is read
	state chunkState
	extra int // bytes of extensions and trailers so far
}

// chunkState is what the next byte belongs to.
type chunkState uint8

const (
	chunkSize      chunkState = iota // the first digit of a size
	chunkSizeMore                    // a further digit, or what ends the size
	chunkExtension                   // up to CR
	chunkSizeLF                      // behind it
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // the first byte of a line behind the last chunk
	chunksLF     // behind a CR there: the end
	trailerLine  // up to CR
	trailerLF    // behind it
	chunksDone
)

// maxChunk bounds the size of a chunk, so that the next digit cannot overflow it.
const maxChunk = 1 << 58

// Next yields a piece of the body that is in p: data, borrowed from p. n is how many
// bytes of p are used up. When data is empty p is used up, or done says that the body
// is complete and what is behind it belongs to the next request. Any error is a
// [*HandshakeError]; maxExtra is the bound on extensions and trailers.
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
	next := chunkData // behind the line of a size
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

// size takes a digit of a size, or what ends it.
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

// thrownAway takes a byte of an extension, or of the lines behind the last chunk.
func (c *Chunks) thrownAway(b byte, maxExtra int) *HandshakeError {
	c.extra++
	switch {
	case b == '\r':
		c.state++ // each is followed by the LF of its line
		return nil
	case classesOf[b]&isValue == 0, c.state == trailerStart && classesOf[b]&isToken == 0: // a folded line, too
		return errChunk
	case c.extra > maxExtra:
		return errTrailersTooBig
	}
	if c.state == trailerStart {
		c.state = trailerLine
	}
	return nil
}
