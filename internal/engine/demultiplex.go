package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The streams of a multiplexed connection (moby api/types/container, "Stream format" of attach).
const (
	streamStdin  = 0 // written to standard output
	streamStdout = 1
	streamStderr = 2
	streamSystem = 3 // an error of the engine itself, in place of output
)

const frameHeaderSize = 8

// demultiplex copies a multiplexed stream to stdout and stderr until it ends. A frame consists of 1 byte stream, 3
// zero bytes, 4 bytes length (big-endian) and that many bytes of data. Docker's stdcopy is unsuitable: it allocates a
// buffer of the length in the header, up to 4 GiB.
func demultiplex(src *bufio.Reader, stdout, stderr io.Writer) error {
	var header [frameHeaderSize]byte
	for {
		if _, err := io.ReadFull(src, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("frame header: %w", err)
		}
		length := int64(binary.BigEndian.Uint32(header[4:]))
		var err error
		switch header[0] {
		case streamStdin, streamStdout:
			err = copyFrame(stdout, src, length)
		case streamStderr:
			err = copyFrame(stderr, src, length)
		case streamSystem:
			err = readSystemError(src, length)
		default:
			err = fmt.Errorf("unknown stream %d", header[0])
		}
		if err != nil {
			return err
		}
	}
}

// copyFrame writes directly from the reader's buffer.
func copyFrame(dst io.Writer, src *bufio.Reader, length int64) error {
	for length > 0 {
		if _, err := src.Peek(1); err != nil {
			return fmt.Errorf("frame: %w", toUnexpectedEOF(err))
		}
		chunk, _ := src.Peek(int(min(length, int64(src.Buffered()))))
		if _, err := dst.Write(chunk); err != nil {
			return err
		}
		n, _ := src.Discard(len(chunk))
		length -= int64(n)
	}
	return nil
}

// readSystemError returns the engine's message as an error. It quotes at most maxQuoted bytes.
func readSystemError(src io.Reader, length int64) error {
	const maxQuoted = 1024
	text, err := io.ReadAll(io.LimitReader(src, min(length, maxQuoted)))
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	return fmt.Errorf("the engine reports: %s", text)
}

func toUnexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
