package lines

import "fmt"

// RowError is the error for a line that could not be decoded.
type RowError struct {
	Line int    // counted from 1 over the whole stream
	Text string // the beginning of the line
	Err  error
}

// Error returns the line's number, its text and the cause.
func (e *RowError) Error() string { return fmt.Sprintf("line %d %q: %v", e.Line, e.Text, e.Err) }

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Err }
