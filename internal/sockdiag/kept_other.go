//go:build !linux

package sockdiag

import (
	"errors"
	"os"
)

func dialWire(*os.File) (wire, error) { return nil, errors.ErrUnsupported }
