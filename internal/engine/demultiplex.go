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
	streamStdin  = 0 // written on standard output
	streamStdout = 1
	streamStderr = 2
	streamSystem = 3 // an error of the engine's own, in place of output
)

const frameHeaderSize = 8

// demultiplex copies a multiplexed stream to stdout and stderr until it ends. A frame is 1 byte stream, 3
// bytes of zeros, 4 bytes length, big-endian, and so many bytes. stdcopy of the Docker module is not used,
// because it allocates a buffer of the length that a header claims, up to 4 GiB.
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
			err = systemError(src, length)
		default:
			err = fmt.Errorf("unknown stream %d", header[0])
		}
		if err != nil {
			return err
		}
	}
}

// copyFrame writes straight from the reader's buffer.
func copyFrame(dst io.Writer, src *bufio.Reader, length int64) error {
	for length > 0 {
		if _, err := src.Peek(1); err != nil {
			return fmt.Errorf("frame: %w", noEOF(err))
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

func systemError(src io.Reader, length int64) error {
	const longest = 1024 // bytes quoted
	text, err := io.ReadAll(io.LimitReader(src, min(length, longest)))
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	return fmt.Errorf("the engine reports: %s", text)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
