//go:build !linux

package conntrack

import (
	"context"
	"errors"
	"os"
)

// Dump fails: only Linux has this table.
func Dump(context.Context, *os.File) (Table, error) { return Table{}, errors.ErrUnsupported }
